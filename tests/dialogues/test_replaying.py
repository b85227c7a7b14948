"""Replay before publishing: which turns it affects, what they are answered, how it breaks off."""

from datetime import timedelta
from io import StringIO
from unittest import mock

from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import TestCase
from django.utils import timezone

from agents.actions import HANDOFF
from dialogues import tasks
from dialogues.desk import noting
from dialogues.loop import replaying, weighing
from dialogues.loop.summarising import advice, summarise
from dialogues.models import (
    Event,
    Judgement,
    JudgementSource,
    Replay,
    ReplayVerdict,
    TurnQuestion,
    Verdict,
)
from knowledge import jobs, services
from knowledge.models import Job, JobState
from knowledge.searching import search
from tests.dialogues.replays import COLD, LATE, ReplayMixin, base_as_it_is, edited
from tests.engine import Answer, calls, says
from tests.factories import (
    make_conversation,
    make_tool,
    make_turn,
    make_unit,
    make_user,
)


class SearchTests(ReplayMixin, TestCase):
    def test_turns_that_find_the_edit_are_affected_and_others_are_not(self):
        replay = self.run_replay()
        rows = self.rows(replay)
        assert set(rows) == {self.cold.pk, self.late.pk}
        cold = rows[self.cold.pk]
        assert [rule["revision_id"] for rule in cold.before["rules"]] == [self.unit.live_id]
        assert [rule["revision_id"] for rule in cold.after["rules"]] == [self.unit.latest_id]
        assert rows[self.late.pk].before["rules"] == []
        assert rows[self.late.pk].after["rules"][0]["unit_id"] == self.unit.pk
        assert rows[self.late.pk].after["rules"][0]["similarity"] > 0.9
        assert replay.looked_at == 3
        assert replay.job.state == JobState.DONE

    def test_nothing_of_it_is_published(self):
        before = base_as_it_is()
        self.run_replay()
        assert base_as_it_is() == before
        [found] = search([COLD], scene=self.scene)
        assert found[0].content == "We pay $5."

    def test_questions_without_a_vector_get_one(self):
        TurnQuestion.objects.all().delete()
        self.run_replay()
        assert TurnQuestion.objects.count() == 3
        noting.note_questions()
        assert TurnQuestion.objects.count() == 3

    def test_archiving_can_be_tried_too(self):
        before = base_as_it_is()
        replay = self.run_replay(is_removal=True)
        cold = self.rows(replay)[self.cold.pk]
        assert cold.before["rules"][0]["unit_id"] == self.unit.pk
        assert self.unit.pk not in [rule["unit_id"] for rule in cold.after["rules"]]
        assert (summarise(replay).left, summarise(replay).entered) == (1, 0)
        assert base_as_it_is() == before

    def test_turns_of_other_scenes_are_left_alone(self):
        make_turn(make_conversation(), COLD)
        assert set(self.rows(self.run_replay())) == {self.cold.pk, self.late.pk}

    def test_a_rule_for_some_affects_their_turns_only(self):
        self.unit = edited(self.unit, self.by, segments=["plus"])
        self.cold.conversation.audience = {"segment": "plus"}
        self.cold.conversation.save()
        rows = self.rows(self.run_replay())
        assert self.late.pk not in rows, "whoever asks it is not known as plus"
        assert rows[self.cold.pk].after["rules"][0]["revision_id"] == self.unit.latest_id

    def test_a_draft_that_was_never_live(self):
        self.unit = make_unit(scene=self.scene, author=self.by, condition=LATE, content="Half.")
        rows = self.rows(self.run_replay())
        assert self.unit.pk in [rule["unit_id"] for rule in rows[self.late.pk].after["rules"]]

    def test_other_wordings_alone_change_no_answer(self):
        self.unit = edited(self.unit, self.by, content="We pay $5.", questions=["Was it cold?"])
        replay = self.run_replay()
        cold = self.rows(replay)[self.cold.pk]
        assert (cold.verdict, cold.reason) == (ReplayVerdict.SAME, replaying.SAME_RULES)
        assert all(row.turn_id != self.cold.pk for row in replaying.to_answer(replay.turns.all()))


class StartTests(ReplayMixin, TestCase):
    def test_nothing_unpublished(self):
        for unit in (self.other, services.archive_unit(unit=self.other, by=self.by)):
            with self.assertRaises(replaying.NothingToReplay):
                replaying.start_replay(unit=unit, by=self.by)
        with self.assertRaises(replaying.NothingToReplay):
            replaying.start_replay(unit=make_unit(), by=self.by, is_removal=True)

    def test_twice_is_once_while_it_runs(self):
        assert self.start() == self.start()
        assert self.start() != self.start(is_removal=True)
        Job.objects.update(state=JobState.DONE, finished_at=timezone.now())
        self.start()
        assert Replay.objects.count() == 3

    def test_only_what_broke_off_is_resumed(self):
        replay = self.run_replay()
        with self.assertRaises(replaying.NotFinished):
            replaying.resume_replay(replay=replay, by=self.by)


class AnswerTests(ReplayMixin, TestCase):
    def test_both_rules_go_through_the_prompt_of_service(self):
        replay = self.run_replay()
        prompts = [request["messages"][1]["content"] for request in self.engine.requests]
        of_cold = [prompt for prompt in prompts if COLD in prompt.split("DIALOGUE")[1]]
        assert len(of_cold) == 2
        assert "We pay $5." in of_cold[0]
        assert "We pay $9." in of_cold[1]
        assert "We pay $5." not in of_cold[1]
        assert {row.verdict for row in replay.turns.all()} == {ReplayVerdict.SAME}
        summary = summarise(replay)
        assert (summary.answered, summary.same, summary.harmful) == (2, 2, 0)
        assert "you can publish it" in advice(summary, replay)

    def test_different_answers_wait_for_people(self):
        self.engine.will(*(says(text) for text in ("Five.", "Nine.", "No.", "Yes.")))
        replay = self.run_replay()
        assert {row.verdict for row in replay.turns.all()} == {ReplayVerdict.OPEN}
        row = replay.turns.first()
        assert row.before["action"]["reply"] != row.after["action"]["reply"]
        assert "Judge the 2 replies" in advice(summarise(replay), replay)

    def test_tools_are_named_and_never_called(self):
        parameters = {"type": "object", "properties": {}}
        make_tool(name="refund", method="POST", parameters=parameters)
        self.engine.always = calls("refund")
        with mock.patch("agents.acting.call_tool") as called:
            replay = self.run_replay()
        assert not called.called
        assert replay.turns.first().after["action"]["action"]["name"] == "refund"

    def test_imported_turns_are_answered_by_the_live_release(self):
        for turn in (self.cold, self.late):
            turn.release = None
            turn.save()
        assert self.run_replay().job.state == JobState.DONE
        assert {request["model"] for request in self.engine.requests} == {self.release.version.name}

    def test_a_lost_citation_is_harm_and_comes_first(self):
        cites = {"knowledge": [self.unit.pk]}
        # First the late order, to which the rule is new: what is not shown can't be cited.
        self.engine.will(says("A"), says("B", **cites), says("C", **cites), says("D"))
        replay = self.run_replay()
        first, second = replay.turns.all()
        assert (first.turn, second.turn) == (self.cold, self.late)
        assert (first.harm >= weighing.HARMFUL, second.harm >= weighing.HARMFUL) == (True, False)
        assert weighing.loses_its_citation(first)
        assert "Read the replies that get worse" in advice(summarise(replay), replay)

    def test_another_action_than_the_one_called_good_is_harm(self):
        author = make_user("reviewer")
        for turn in (self.cold, self.late):
            Judgement.objects.create(
                turn=turn, source=JudgementSource.REVIEWER, author=author, verdict=Verdict.GOOD
            )
        self.engine.will(says("A"), says("Bye.", HANDOFF), says("A"), says("B"))
        harmful = [row.harm >= weighing.HARMFUL for row in self.run_replay().turns.all()]
        assert harmful == [True, False]

    def test_no_more_than_some_are_answered(self):
        with mock.patch.object(replaying, "MOST_ANSWERS", 1):
            summary = summarise(self.run_replay())
        assert (summary.answered, summary.unanswered) == (1, 1)
        assert len(self.engine.requests) == 2

    def test_the_engine_is_down(self):
        self.engine.always = Answer(status=400)
        replay = self.run_replay()
        assert replay.job.state == JobState.FAILED
        assert "engine does not answer" in replay.job.error
        assert replay.turns.count() == 2, "what the search found stays"
        self.engine.always = says("Hello.")
        with mock.patch.object(jobs, "send"):
            resumed = replaying.resume_replay(replay=replay, by=self.by)
        tasks.replay(resumed.job_id)
        assert summarise(replay).answered == 2

    def test_no_release_is_live(self):
        type(self.release).objects.get().promotions.all().delete()
        for turn in (self.cold, self.late):
            turn.release = None
            turn.save()
        replay = self.run_replay()
        assert "No release is live" in replay.job.error
        assert replay.turns.count() == 2


class BrokenOffTests(ReplayMixin, TestCase):
    def test_done_twice_asks_once(self):
        replay = self.run_replay()
        tasks.replay(replay.job_id)
        tasks.replay(-1)
        assert len(self.engine.requests) == 4
        assert replay.turns.count() == 2

    def test_a_dead_worker_is_succeeded_where_it_stopped(self):
        replay = self.start()
        verdicts = [weighing.Weighed(ReplayVerdict.SAME), SystemExit]
        with (
            mock.patch.object(weighing, "weigh", side_effect=verdicts),
            self.assertRaises(SystemExit),
        ):
            tasks.replay(replay.job_id)
        assert Job.objects.get().state == JobState.RUNNING
        assert len(self.engine.requests) == 4
        Job.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
        tasks.replay(replay.job_id)
        assert len(self.engine.requests) == 6, "the first turn was not asked again"
        assert summarise(replay).answered == 2
        assert Job.objects.get().state == JobState.DONE

    def test_cancelled_between_two_turns(self):
        replay = self.start()

        def cancel(*_, **__):
            jobs.cancel(Job.objects.get())
            return weighing.Weighed(ReplayVerdict.SAME)

        with mock.patch.object(weighing, "weigh", side_effect=cancel):
            tasks.replay(replay.job_id)
        assert Job.objects.get().state == JobState.CANCELLED
        assert len(self.engine.requests) == 2
        with mock.patch.object(jobs, "send"):
            replay = replaying.resume_replay(replay=replay, by=self.by)
        tasks.replay(replay.job_id)
        assert summarise(replay).answered == 2
        assert Job.objects.count() == 2


class CommandTests(ReplayMixin, TestCase):
    def test_it_prints_the_summary(self):
        out = StringIO()
        call_command("replay", self.unit.pk, stdout=out)
        assert "affected         2" in out.getvalue()
        assert "you can publish it" in out.getvalue()

    def test_what_it_refuses(self):
        for arguments, says_why in (
            ([-1], "no rule"),
            ([self.other.pk], "Edit the rule"),
            ([self.unit.pk, "--by", "nobody"], "no user"),
        ):
            with self.assertRaisesMessage(CommandError, says_why):
                call_command("replay", *map(str, arguments), stdout=StringIO())

    def test_a_dead_engine_is_an_error(self):
        self.engine.always = Answer(status=400)
        with self.assertRaisesMessage(CommandError, "does not answer"):
            call_command("replay", self.unit.pk, stdout=StringIO())
        assert Event.objects.filter(role="agent").count() == 3, "and customers notice nothing"
