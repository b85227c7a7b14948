"""The questions of the benchmarks, and what counts as resting on the right rule."""

from types import SimpleNamespace
from unittest import mock

from django.core.management import CommandError, call_command
from django.test import SimpleTestCase, TestCase

from knowledge.models import LabelledSet
from tests.factories import make_published_unit
from wowconsole import benchmark_answers
from wowconsole.benchmark_answers import demo_questions, labelled_questions, references
from wowconsole.demo.content import read


class QuestionTests(SimpleTestCase):
    def test_they_are_the_same_at_each_call_and_of_both_kinds(self):
        asked = demo_questions(50)
        assert asked == demo_questions(50)
        assert len({text for text, _ in asked}) == 50
        assert 10 <= sum(not rules for _, rules in asked) <= 25

    def test_no_model_was_trained_on_them(self):
        trained = {row["customer"] for row in read("practice.jsonl")}
        trained |= {text for unit in read("units.jsonl") for text in unit["questions"]}
        trained |= {turn["text"] for talk in read("dialogues.jsonl") for turn in talk["turns"]}
        assert trained.isdisjoint(row["text"] for row in read("asked.jsonl"))

    def test_their_rules_are_the_demos(self):
        known = {unit["external_id"] for unit in read("units.jsonl")}
        assert all(known.issuperset(row["rules"]) for row in read("asked.jsonl"))


class LabelledTests(TestCase):
    def test_a_labelled_sets_questions_are_asked_in_its_scene(self):
        unit = make_published_unit(external_id="soup.1")
        labelled = LabelledSet.objects.create(name="soups", scene=unit.scene)
        labelled.queries.create(external_id="1", text="Cold?").relevant.add(unit)
        labelled.queries.create(external_id="2", text="Bowls?")
        scene, asked = labelled_questions("soups", 5)
        assert scene == unit.scene
        assert dict(asked) == {"Cold?": {"soup.1"}, "Bowls?": set()}

    def test_an_unknown_set_is_named(self):
        with self.assertRaisesMessage(CommandError, "There is no labelled set “x”"):
            call_command("bench", "turn", labelled="x")


class ReferenceTests(SimpleTestCase):
    def scores(self, *turns):
        """`turns` are (cited, rules that answer, error)."""
        asked = [
            (SimpleNamespace(cited=cited, error=error), frozenset(rules))
            for cited, rules, error in turns
        ]
        with mock.patch.object(benchmark_answers, "_cited", lambda turn: turn.cited):
            return references(asked)

    def test_any_of_the_rules_that_answer_and_no_other(self):
        scores = self.scores(
            (["a"], ["a", "b"], ""),  # one of two that answer
            (["a", "c"], ["a"], ""),  # another one too
            ([], ["a"], ""),
            (["a"], ["a"], "unbacked"),
        )
        assert (scores["turns"], scores["r_kn"]) == (4, 0.25)
        assert (scores["recall"], scores["precision"]) == (0.75, 0.75)

    def test_questions_without_a_rule_count_by_themselves(self):
        scores = self.scores((["a"], [], ""), ([], [], ""))
        assert (scores["turns"], scores["r_kn"]) == (0, None)
        assert (scores["turns_without_rule"], scores["cited_where_none_applies"]) == (2, 1)
