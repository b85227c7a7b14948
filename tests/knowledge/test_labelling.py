"""Labelled sets from files, whole or not at all, and from single corrections."""

import io
import json

import pytest
from django.core.exceptions import ValidationError
from django.test import TestCase

from knowledge import labelling
from knowledge.models import KnowledgeUnit, LabelledQuery, LabelledSet
from tests.factories import make_scene, make_unit, make_user
from wowconsole.demo import labels


class LabelTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene()
        cls.late = make_unit(scene=cls.scene, external_id="late")
        cls.cold = make_unit(scene=cls.scene, external_id="cold")

    def read(self, text, name="set.csv", units=None):
        data = text if isinstance(text, bytes) else text.encode()
        units = KnowledgeUnit.objects.all() if units is None else units
        return labelling.read_labels(io.BytesIO(data), name, units)

    def problems(self, text, name="set.csv", units=None):
        with pytest.raises(ValidationError) as refused:
            self.read(text, name, units)
        return refused.value.messages


class ReadingTests(LabelTests):
    def test_external_ids_numbers_and_nothing(self):
        text = f'query,relevant\nwhere?,late;#{self.cold.pk}\nwho?,"{self.cold.pk}\nlate"\nwhy?,\n'
        where, who, why = self.read(text)
        assert where.relevant == [self.late.pk, self.cold.pk]
        assert who.relevant == [self.cold.pk, self.late.pk]
        assert why.relevant == []
        assert len({where.external_id, who.external_id, why.external_id}) == 3

    def test_json_lines_with_lists_and_ids(self):
        rows = [{"query": "wo?", "relevant": ["late"], "id": "q1"}, {"query": "wer?"}]
        first, second = self.read("\n".join(map(json.dumps, rows)), "set.jsonl")
        assert (first.external_id, first.relevant) == ("q1", [self.late.pk])
        assert second.relevant == []

    def test_every_bad_line_is_named(self):
        text = f"query,relevant\n,late\nwhere?,late\nwho?,moon\nwhere?,\n{'x' * 2001},\na\0b,\n"
        assert self.problems(text) == [
            "Line 2: the question is empty.",
            "Line 4: there is no rule “moon” in your scenes.",
            "Line 5: this question, or its id, stands in the file already.",
            "Line 6: the question is longer than 2,000 characters.",
            "Line 7: the question holds a NUL byte, which can't be stored.",
        ]

    def test_many_bad_lines_are_cut(self):
        problems = self.problems("query,relevant\n" + "x,moon\n" * 60)
        assert len(problems) == 51
        assert problems[-1] == "And 10 more lines."

    def test_a_name_of_two_scenes_must_be_a_number(self):
        make_unit(external_id="late")
        assert "several scenes" in self.problems("query,relevant\nwhere?,late\n")[0]

    def test_rules_one_does_not_see_cannot_be_named(self):
        units = KnowledgeUnit.objects.visible_to(make_user("operator"))
        assert "no rule “late”" in self.problems("query,relevant\nwhere?,late\n", units=units)[0]

    def test_files_that_cannot_be_read(self):
        assert "columns; missing: relevant" in self.problems("query\nx\n")[0]
        assert "not UTF-8" in self.problems(b"query,relevant\n\xff\xfe,\n")[0]
        assert "are read from" in self.problems("x", "set.pdf")[0]
        assert "no question" in self.problems("query,relevant\n")[0]
        assert "not CSV" in self.problems('query,relevant\n"x,late\n')[0]
        for line in ("[1]", "{", '{"query": "\\ud800"}'):
            assert "not a JSON object" in self.problems(line, "set.jsonl")[0]
        assert "must be a text" in self.problems('{"query": 7}', "set.jsonl")[0]

    def test_too_many_questions(self):
        lines = "".join(f"question {n},\n" for n in range(labelling.MAX_QUESTIONS + 1))
        assert "At most 5,000" in self.problems("query,relevant\n" + lines)[0]


class SetTests(LabelTests):
    def make(self, **fields):
        label = labelling.Label("q1", "where?", [self.late.pk])
        fields = {"name": "Openings", "labels": [label], "by": None, "scene": self.scene, **fields}
        return labelling.make_set(**fields)

    def test_a_set_is_stored_with_its_labels(self):
        query = self.make().queries.get()
        assert (query.text, list(query.relevant.all())) == ("where?", [self.late])

    def test_a_taken_name_stores_nothing(self):
        self.make()
        with pytest.raises(ValidationError):
            self.make()
        assert LabelledQuery.objects.count() == 1

    def test_a_correction_is_added_once_and_can_change(self):
        labelled_set = self.make()
        labelling.add_query(labelled_set, " who? ", [self.late])
        query = labelling.add_query(labelled_set, "who?", [self.cold])
        assert labelled_set.queries.count() == 2
        assert list(query.relevant.all()) == [self.cold]

    def test_an_empty_correction_is_refused(self):
        with pytest.raises(ValidationError):
            labelling.add_query(self.make(), "  ", [])

    def test_whoever_works_in_all_its_rules_scenes_sees_a_set(self):
        self.make()
        self.make(name="Everywhere", scene=None)
        there, elsewhere = make_user("operator", [self.scene]), make_user("operator")
        assert LabelledSet.objects.visible_to(there).count() == 2
        assert not LabelledSet.objects.visible_to(elsewhere)
        assert LabelledSet.objects.visible_to(make_user("auditor")).count() == 2

    def test_who_made_a_set_of_no_scene_sees_it(self):
        maker = make_user("operator")
        mine = self.make(name="Mine", scene=None)
        LabelledSet.objects.filter(pk=mine.pk).update(by=maker)
        assert list(LabelledSet.objects.visible_to(maker)) == [mine]


class DemoSetTests(TestCase):
    def test_the_demo_brings_answerable_and_unanswerable_openings(self):
        scene = make_scene()
        for name in {name for _, cited in labels.openings() for name in cited}:
            make_unit(scene=scene, external_id=name)
        labelled_set = labels.make_demo_set(make_user("operator"))
        answered = labelled_set.queries.filter(relevant__isnull=False).distinct().count()
        assert answered >= 25
        assert labelled_set.queries.count() - answered >= 25
        assert labels.make_demo_set(make_user("operator")) is None

    def test_without_the_rules_there_is_no_set(self):
        assert labels.make_demo_set(make_user("operator")) is None
