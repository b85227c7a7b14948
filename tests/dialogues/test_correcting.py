"""Reviewers' corrections become labelled questions."""

from django.test import TestCase
from django.urls import reverse

from agents.actions import DialogueAction
from dialogues.loop import correcting
from dialogues.models import Case, Verdict
from knowledge import labelling
from knowledge.models import LabelledSet
from tests.factories import make_conversation, make_scene, make_turn, make_unit, make_user


class CorrectionTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene()
        cls.operator = make_user("operator", [cls.scene])
        cls.late, cls.cold = (make_unit(scene=cls.scene) for _ in range(2))
        cls.set = labelling.make_set(name="S", labels=[], by=None, scene=cls.scene)

    def correct(self, question, *units, scene=None, label=Verdict.BAD):
        turn = make_turn(make_conversation(scene=scene or self.scene), question=question)
        rewrite = DialogueAction("reply", "Sorry.", knowledge=[unit.pk for unit in units])
        return Case.objects.create(turn=turn, label=label, rewrite=rewrite.as_dict())

    def add(self, by=None):
        return correcting.add_corrections(labelled_set=self.set, by=by or self.operator)

    def labels(self):
        return {q.text: set(q.relevant.all()) for q in self.set.queries.all()}

    def test_a_rewrite_that_cites_rules_labels_its_question(self):
        self.correct("where is it?", self.late)
        self.correct("thanks")
        assert self.add() == 1
        assert self.labels() == {"where is it?": {self.late}}

    def test_twice_adds_nothing_and_the_last_word_counts(self):
        self.correct("where is it?", self.late)
        self.add()
        self.correct("where is it?", self.cold)
        self.add()
        assert self.labels() == {"where is it?": {self.cold}}

    def test_other_scenes_and_rules_one_does_not_see_are_left_out(self):
        elsewhere = make_scene()
        self.correct("what?", self.late, scene=elsewhere)
        self.correct("which?", make_unit(scene=elsewhere))
        self.correct("x" * (labelling.MAX_QUESTION + 1), self.late)
        assert self.add() == 0

    def test_the_number_of_queries_to_read_does_not_grow(self):
        for number in range(3):
            self.correct(f"{number}?", self.late)
        self.add()
        other = make_user("operator", [self.scene])
        # roles, cases, events, rules; questions, labels out and in; two savepoints
        with self.assertNumQueries(8 + 4):
            self.add(other)

    def test_the_button_and_who_may_press_it(self):
        self.correct("where is it?", self.late)
        url = reverse("dialogues:label-corrections", args=[self.set.public_id])
        self.client.force_login(self.operator)
        page = self.client.get(reverse("knowledge:quality-detail", args=[self.set.public_id]))
        self.assertContains(page, url)
        assert self.client.get(url).status_code == 405
        assert self.client.post(url).status_code == 302
        assert self.set.queries.count() == 1
        self.client.force_login(make_user("operator"))
        assert self.client.post(url).status_code == 404
        self.client.force_login(make_user("reviewer", [self.scene]))
        assert self.client.post(url).status_code == 403
        self.client.logout()
        assert self.client.post(url).status_code == 302
        assert LabelledSet.objects.count() == 1
