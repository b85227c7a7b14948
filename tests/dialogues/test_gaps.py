"""Questions that no rule answered come together as gaps."""

from unittest import mock

from django.test import TestCase

from dialogues import tasks
from dialogues.desk import noting
from dialogues.loop import gaps
from dialogues.models import (
    Case,
    Gap,
    GapState,
    GapTurn,
    Role,
    Turn,
    TurnQuestion,
    TurnUnit,
    Verdict,
)
from knowledge import jobs
from knowledge.indexing import live_index
from knowledge.models import Job, JobState
from tests.factories import (
    make_conversation,
    make_published_unit,
    make_scene,
    make_turn,
    make_user,
    say,
)

AIRPORT = [
    "Do you deliver to the airport?",
    "do you guys deliver to the airport?",
    "can you deliver food to the airport",
]
PARTY = ["How do I book catering for a party?", "I want to book catering for a birthday party"]


def ask(scene, question, **fields):
    """A turn in a conversation of its own."""
    return make_turn(make_conversation(scene=scene), question, **fields)


def handed(reply="A colleague will know."):
    action = {"name": "handoff", "arguments": {}}
    return {"thought": "", "knowledge": [], "action": action, "reply": reply}


def found(turn, unit, *, cited=False):
    return TurnUnit.objects.create(
        turn=turn, unit=unit, revision=unit.latest, rank=1, score=0.03, cited=cited
    )


def look(scene):
    noting.note_questions()
    return gaps.look_in(scene)


def members(gap):
    return set(gap.members.values_list("turn", flat=True))


class UnansweredTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene()
        cls.unit = make_published_unit(scene=cls.scene)
        cls.turn = ask(cls.scene, AIRPORT[0])

    def is_unanswered(self):
        return gaps.unanswered().filter(pk=self.turn.pk).exists()

    def change(self, **fields):
        Turn.objects.filter(pk=self.turn.pk).update(**fields)

    def test_nothing_was_found(self):
        assert self.is_unanswered()

    def test_a_rule_was_found(self):
        found(self.turn, self.unit)
        assert not self.is_unanswered()

    def test_the_engine_failed_before_rules_were_looked_for(self):
        self.change(error="No engine.")
        assert not self.is_unanswered()

    def test_a_goodbye_asks_nothing(self):
        self.change(output={**handed(), "action": {"name": "close", "arguments": {}}})
        assert not self.is_unanswered()

    def test_a_tool_answered(self):
        self.turn.conversation.events.create(
            kind="action", role=Role.AGENT, fence=0, turn=self.turn, data={"name": "look_up"}
        )
        assert not self.is_unanswered()

    def test_handed_off_although_rules_were_found(self):
        found(self.turn, self.unit)
        self.change(output=handed())
        assert self.is_unanswered()

    def test_handed_off_as_a_rule_says(self):
        found(self.turn, self.unit, cited=True)
        self.change(output=handed())
        say(self.turn.conversation, "I booked it.", Role.STAFF)
        assert not self.is_unanswered()

    def test_a_person_had_to_answer(self):
        found(self.turn, self.unit, cited=True)
        say(self.turn.conversation, "No, that is wrong: …", Role.STAFF)
        assert self.is_unanswered()

    def test_a_person_answered_only_what_was_asked_later(self):
        found(self.turn, self.unit, cited=True)
        make_turn(self.turn.conversation, "And my refund?")
        say(self.turn.conversation, "It is on its way.", Role.STAFF)
        assert not self.is_unanswered()

    def test_judged_to_lack_the_answer_without_a_rule(self):
        row = found(self.turn, self.unit)
        Case.objects.create(
            turn=self.turn, label=Verdict.BAD, issue_types=["withheld_solution"], rewrite={}
        )
        assert self.is_unanswered()
        TurnUnit.objects.filter(pk=row.pk).update(cited=True)
        assert not self.is_unanswered()


class LookingTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene()
        cls.airport = [ask(cls.scene, text) for text in AIRPORT]
        cls.party = [ask(cls.scene, text) for text in PARTY]
        ask(cls.scene, "Are you going public this year?")
        for text in ("hello there", "Hello there!", "thanks", "Thank you", "GW1050", "GW1051"):
            ask(cls.scene, text)

    def test_like_questions_form_a_gap_named_after_the_most_typical(self):
        outcome = look(self.scene)
        assert outcome == gaps.Outcome(gaps=2, turns=5)
        party, airport = Gap.objects.all()
        assert members(airport) == {turn.pk for turn in self.airport}
        assert members(party) == {turn.pk for turn in self.party}
        assert airport.title in AIRPORT
        assert airport.scene == self.scene

    def test_small_talk_forms_none(self):
        look(self.scene)
        titles = " ".join(Gap.objects.values_list("title", flat=True)).lower()
        assert "hello" not in titles
        assert "thank" not in titles

    def test_a_second_search_changes_nothing(self):
        look(self.scene)
        before = list(GapTurn.objects.values_list("gap", "turn", "typicality"))
        assert look(self.scene) == gaps.Outcome()
        assert list(GapTurn.objects.values_list("gap", "turn", "typicality")) == before

    def test_the_same_questions_form_the_same_gaps(self):
        look(self.scene)
        before = [(gap.title, members(gap)) for gap in Gap.objects.all()]
        Gap.objects.all().delete()
        look(self.scene)
        assert [(gap.title, members(gap)) for gap in Gap.objects.all()] == before

    def test_scenes_are_kept_apart(self):
        other = make_scene()
        ask(other, AIRPORT[0])
        assert look(other) == gaps.Outcome()

    def test_questions_of_no_scene_have_gaps_too(self):
        for text in AIRPORT:
            ask(None, text)
        assert look(None) == gaps.Outcome(gaps=1, turns=3)

    def test_like_questions_join_a_decided_gap(self):
        look(self.scene)
        airport = Gap.objects.get(members__turn=self.airport[0])
        Gap.objects.filter(pk=airport.pk).update(state=GapState.DISMISSED)
        late = ask(self.scene, "do you deliver to the airport")
        assert look(self.scene) == gaps.Outcome(gaps=0, turns=1)
        assert late.pk in members(airport)
        airport.refresh_from_db()
        assert airport.state == GapState.DISMISSED

    def test_a_title_names_nobody_where_another_question_does_not(self):
        scene = make_scene()
        ask(scene, "Can I pay my order GW1050 in cash at the door?")
        ask(scene, "Can I pay my order in cash at the door?")
        look(scene)
        assert Gap.objects.get(scene=scene).title == "Can I pay my order in cash at the door?"

    def test_every_night_each_scene_is_searched(self):
        noting.note_questions()
        with self.assertLogs("dialogues.loop.gaps", "INFO"):
            tasks.look_for_gaps_everywhere()
            tasks.look_for_gaps_everywhere()
        assert Gap.objects.count() == 2

    def test_the_queries_do_not_grow_with_the_gaps(self):
        look(self.scene)
        ask(self.scene, AIRPORT[0])
        noting.note_questions()
        with self.assertNumQueries(7):  # lock and savepoint, index, questions, gaps, insert
            gaps.look_in(self.scene)


class JobTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene, cls.other = make_scene(), make_scene()
        for text in AIRPORT:
            ask(cls.scene, text)
            ask(cls.other, text)
        cls.person = make_user("operator", [cls.scene])

    def start(self):
        return jobs.start(task=gaps.TASK, title="Look for gaps", by=self.person)

    def test_the_job_notes_questions_and_looks_in_the_persons_scenes(self):
        job = self.start()
        tasks.look_for_gaps(job.pk)
        job.refresh_from_db()
        assert (job.state, job.done, job.total) == (JobState.DONE, 2, 2)
        assert job.note == "1 new, 3 questions added."
        assert Gap.objects.get().scene == self.scene

    def test_a_second_delivery_does_nothing(self):
        job = self.start()
        tasks.look_for_gaps(job.pk)
        tasks.look_for_gaps(job.pk)
        assert Gap.objects.count() == 1

    def test_a_job_that_is_gone_is_no_matter(self):
        tasks.look_for_gaps(0)
        assert not Gap.objects.exists()

    def test_it_goes_on_where_it_broke_off(self):
        job = self.start()
        Job.objects.filter(pk=job.pk).update(done=1, total=2)
        with mock.patch.object(gaps, "look_in", return_value=gaps.Outcome()) as look_in:
            tasks.look_for_gaps(job.pk)
        look_in.assert_called_once_with(None)


class OtherModelTests(TestCase):
    """A model whose related texts have a cosine of .8, where the shipped one says .9."""

    def setUp(self):
        self.scene = make_scene()
        self.index = live_index()
        self.index.options = {"scale": {"slope": 2.0, "offset": -1.0}}
        self.index.save(update_fields=["options"])

    def asked(self, question, cosine):
        """A question noted with a vector of this cosine to the first axis."""
        turn = ask(self.scene, question)
        vector = [cosine, (1 - cosine**2) ** 0.5, *[0.0] * (self.index.dimensions - 2)]
        TurnQuestion.objects.create(turn=turn, text=question, index=self.index, embedding=vector)

    def test_the_threshold_is_the_one_that_stands_for_the_shipped_models(self):
        self.asked(AIRPORT[0], 1.0)
        self.asked(AIRPORT[1], 0.82)
        gaps.look_in(self.scene)
        assert Gap.objects.get().members.count() == 2
        self.asked(AIRPORT[2], 0.95)
        gaps.look_in(self.scene)
        assert Gap.objects.get().members.count() == 3
