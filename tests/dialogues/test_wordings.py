"""A rule's wordings: suggestions from past dialogues, hits of each, adding and cutting."""

from django.test import TestCase
from django.urls import reverse

from dialogues.loop import wordings
from dialogues.models import Case, TurnQuestion, TurnUnit, Verdict
from knowledge.indexing import embed_for, live_index
from knowledge.models import Lineage
from knowledge.services import StaleEdit
from tests.factories import (
    make_conversation,
    make_published_unit,
    make_scene,
    make_turn,
    make_unit,
    make_user,
)


def note(turn, text):
    """Note a turn's question as the worker does."""
    index = live_index()
    [vector] = embed_for(index, [text], is_query=True)
    return TurnQuestion.objects.create(turn=turn, text=text, index=index, embedding=vector)


def ask(scene, text, unit=None, **found):
    """A turn with its question noted; with a unit, one in which it was found."""
    turn = make_turn(make_conversation(scene=scene), text)
    note(turn, text)
    if unit:
        TurnUnit.objects.create(
            turn=turn,
            unit=unit,
            revision=unit.latest,
            rank=1,
            score=0.03,
            **{"cited": True, **found},
        )
    return turn


class WordingTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene()
        cls.author = make_user("operator", [cls.scene])
        cls.unit = make_published_unit(
            scene=cls.scene,
            author=cls.author,
            title="Late delivery",
            condition="When an order arrives more than 20 minutes late",
            content="The customer receives $5 credit.",
            questions=["my food came late", "do I get something for a late order?"],
        )

    def texts(self, unit=None):
        return [item.text for item in wordings.suggestions(unit or self.unit)]

    def test_what_the_rule_answered_comes_first(self):
        ask(self.scene, "Is there credit for a late delivery?")
        ask(self.scene, "the driver was half an hour behind time", self.unit)
        assert self.texts()[0] == "the driver was half an hour behind time"
        assert "Is there credit for a late delivery?" in self.texts()

    def test_similarities_are_told_as_by_the_shipped_model(self):
        ask(self.scene, "the driver was half an hour behind time", self.unit)
        [item] = wordings.suggestions(self.unit)
        index = live_index()
        index.options = {"scale": {"slope": 1.0, "offset": -0.05}}
        index.save(update_fields=["options"])
        [scaled] = wordings.suggestions(self.unit)
        assert round(scaled.similarity - item.similarity, 4) == 0.05

    def test_what_a_reviewer_says_it_should_have_answered_counts(self):
        turn = ask(self.scene, "we sat hungry until nine")
        assert self.texts() == []
        Case.objects.create(
            turn=turn,
            label=Verdict.BAD,
            issue_types=["withheld_solution"],
            rewrite={"knowledge": [self.unit.pk], "reply": "$5"},
        )
        assert self.texts() == ["we sat hungry until nine"]

    def test_what_is_far_from_the_rule_is_left_out(self):
        ask(self.scene, "Do you sell birthday balloons with helium?")
        assert self.texts() == []

    def test_what_another_rule_answered_belongs_there(self):
        other = make_unit(scene=self.scene)
        ask(self.scene, "Is there credit for a late delivery?", other)
        assert self.texts() == []

    def test_repetitions_small_talk_and_private_texts_are_left_out(self):
        for text in (
            "My food came late!",
            "thank you",
            "order GW1050 is late, credit please",
            "write to ann@example.com about the late order",
        ):
            ask(self.scene, text, self.unit)
        assert self.texts() == []

    def test_other_scenes_customers_are_not_quoted(self):
        ask(make_scene(), "the driver was half an hour behind time", self.unit)
        assert self.texts() == []

    def test_what_a_merged_rule_answered_counts(self):
        older = make_unit(scene=self.scene)
        Lineage.objects.create(source=older, target=self.unit, kind="merge", by=self.author)
        ask(self.scene, "the driver was half an hour behind time", older)
        assert self.texts() == ["the driver was half an hour behind time"]

    def test_a_draft_has_no_hooks_but_what_cited_it(self):
        draft = make_unit(scene=self.scene)
        assert self.texts(draft) == []

    def test_each_text_shows_how_often_it_was_the_one(self):
        for _ in range(2):
            ask(self.scene, "late again", self.unit, matched="my food came late")
        hits = {hook.text: hook.hits for hook in wordings.hook_uses(self.unit)}
        assert hits["my food came late"] == 2
        assert hits["do I get something for a late order?"] == 0
        assert len(hits) == 5

    def test_only_other_wordings_without_hits_may_be_cut(self):
        ask(self.scene, "late again", self.unit, matched="my food came late")
        cuttable = [hook.text for hook in wordings.hook_uses(self.unit) if hook.may_be_cut]
        assert cuttable == ["do I get something for a late order?"]
        for text in ("my food came late", "Late delivery", "no such text"):
            with self.assertRaises(wordings.HookInUse):
                wordings.cut(unit=self.unit, by=self.author, based_on=1, text=text)
        unit = wordings.cut(unit=self.unit, by=self.author, based_on=1, text=cuttable[0])
        assert unit.latest.questions == ["my food came late"]
        assert unit.has_unpublished_edit

    def test_adding_saves_a_draft_and_sees_what_others_saved(self):
        unit = wordings.add(unit=self.unit, by=self.author, based_on=1, texts=["so late", "late?"])
        assert unit.latest.questions[-2:] == ["so late", "late?"]
        with self.assertRaises(StaleEdit):
            wordings.add(unit=self.unit, by=self.author, based_on=1, texts=["late!"])


class WordingPageTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene()
        cls.author = make_user("operator", [cls.scene])
        cls.unit = make_published_unit(
            scene=cls.scene, title="Late delivery", questions=["my food came late"]
        )
        for text in ("the driver was half an hour behind", "dinner came at nine", "so so slow"):
            ask(cls.scene, text, cls.unit)
        cls.url = reverse("dialogues:unit-wordings", args=[cls.unit.pk])

    def setUp(self):
        self.client.force_login(self.author)

    def test_the_box_comes_in_few_queries(self):
        # session, user, roles; unit; index, hooks, family, cited, near; family, hits
        with self.assertNumQueries(11):
            box = self.client.get(self.url, headers={"HX-Request": "true"})
        self.assertContains(box, "dinner came at nine")
        self.assertNotContains(box, "<h1")
        self.assertContains(self.client.get(self.url), "<h1")

    def test_several_are_added_at_once(self):
        texts = ["dinner came at nine", "so so slow"]
        answer = self.client.post(self.url, {"based_on": 1, "add": texts})
        self.assertRedirects(answer, self.unit.get_absolute_url())
        self.unit.refresh_from_db()
        assert self.unit.latest.questions == ["my food came late", *texts]

    def test_one_is_cut(self):
        self.client.post(self.url, {"based_on": 1, "cut": "my food came late"})
        self.unit.refresh_from_db()
        assert self.unit.latest.questions == []

    def test_nothing_ticked_changes_nothing(self):
        self.client.post(self.url, {"based_on": 1})
        assert self.unit.revisions.count() == 1

    def test_an_older_page_is_told_of_the_newer_text(self):
        self.client.post(self.url, {"based_on": 1, "add": ["so so slow"]})
        answer = self.client.post(self.url, {"based_on": 1, "add": ["dinner came at nine"]})
        assert answer.status_code == 409
        assert self.client.post(self.url, {"add": ["x"]}).status_code == 422

    def test_readers_read_and_strangers_find_nothing(self):
        self.client.force_login(make_user("reviewer", [self.scene]))
        self.assertNotContains(self.client.get(self.url), 'name="add"')
        assert self.client.post(self.url, {"based_on": 1, "add": ["x"]}).status_code == 403
        self.client.force_login(make_user("operator", [make_scene()]))
        assert self.client.get(self.url).status_code == 404
        self.client.logout()
        assert self.client.get(self.url).status_code == 302
