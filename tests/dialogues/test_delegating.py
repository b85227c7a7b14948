from datetime import timedelta
from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync
from django.db import IntegrityError, transaction
from django.test import TestCase
from django.utils import timezone

from dialogues import answering, services
from dialogues.desk import control
from dialogues.history import lines_for
from dialogues.jobs import delegating
from dialogues.models import Control, SubagentJob, SubagentState, Turn
from tests import factories
from tests.dialogues.calls import (
    NUMBER,
    SubAgentMixin,
    do,
    make_job,
    make_plan,
    result_of,
    told,
)
from wowconsole.errors import Invalid


def delegate(turn, name, arguments, key="turn-1"):
    return async_to_sync(delegating.delegate_for(turn))(name, arguments, key)


class DelegatingTests(SubAgentMixin, TestCase):
    def setUp(self):
        self.turn = factories.make_turn()

    def test_a_turn_starts_a_job_and_the_chat_is_told(self):
        make_plan()
        answer = delegate(self.turn, "call_merchant", {"order_id": "GW1001"})
        job = SubagentJob.objects.get()
        assert answer["job"] == str(job.public_id)
        assert answer["state"] == "queued"
        assert (job.turn, job.conversation, job.subagent) == (
            self.turn,
            self.turn.conversation,
            "outbound_call",
        )
        assert told(job) == [("queued", "Queued")]

    def test_a_turn_knows_that_one_goes_on(self):
        self.register(result_of(well=True))
        for at_work in (False, True, False):
            context = answering.context_of(self.turn, self.turn.release)
            assert bool(context.at_work) is at_work
            if at_work:
                do(SubagentJob.objects.get())
            elif not SubagentJob.objects.exists():
                delegate(self.turn, "tested", {})

    def test_the_same_key_is_the_same_job_and_the_same_answer(self):
        self.register(result_of(well=True))
        first = delegate(self.turn, "tested", {})
        do(SubagentJob.objects.get())
        assert delegate(self.turn, "tested", {}) == first
        assert SubagentJob.objects.count() == 1

    def test_the_same_work_that_is_under_way_is_not_begun_again(self):
        make_plan()
        first = delegate(self.turn, "call_merchant", {"order_id": "GW1001"})
        again = delegate(self.turn, "call_merchant", {"order_id": "GW1001"}, key="turn-2")
        other = delegate(self.turn, "call_merchant", {"order_id": "GW1002"}, key="turn-3")
        assert again["job"] == first["job"] != other["job"]

    def test_what_is_refused_becomes_an_error_for_the_model(self):
        make_plan()
        assert "error" in delegate(self.turn, "nobody", {})
        assert "error" in delegate(self.turn, "call_merchant", {"order_id": "x"})
        assert "error" in delegate(self.turn, "outbound_call", {"whom": {"name": "the pope"}})
        assert not SubagentJob.objects.exists()

    def test_a_plan_that_is_switched_off_is_unknown(self):
        make_plan(is_active=False)
        assert "There is no sub-agent" in delegate(self.turn, "call_merchant", {})["error"]

    def test_only_so_many_at_once(self):
        self.register(result_of(well=True))
        for number in range(delegating.MOST_AT_ONCE):
            delegate(self.turn, "tested", {"n": number}, key=f"key-{number}")
        answer = delegate(self.turn, "tested", {"n": 99}, key="key-99")
        assert "under way already" in answer["error"]

    def test_a_closed_conversation_starts_nothing(self):
        services.close(conversation=self.turn.conversation)
        self.register(result_of(well=True))
        assert "has ended" in delegate(self.turn, "tested", {})["error"]

    def test_one_that_keeps_failing_is_left_alone_for_a_while(self):
        async def fail(work):
            raise ZeroDivisionError

        self.register(fail)
        for number in range(delegating.FAILURES_IN_A_ROW):
            with self.assertLogs("dialogues.jobs.undertaking", "ERROR"):
                do(make_job(name="tested", key=f"key-{number}", n=number))
        answer = delegate(self.turn, "tested", {})
        assert "does not work at the moment" in answer["error"]
        SubagentJob.objects.update(finished_at=timezone.now() - 2 * delegating.PAUSE)
        assert "job" in delegate(self.turn, "tested", {})

    def test_a_card_of_personal_data_needs_an_identified_customer(self):
        factories.make_tool(name="look_up", personal=True)
        make_plan(look_up="look_up")
        answer = delegate(self.turn, "call_merchant", {"order_id": "GW1001"})
        assert answer == {"error": "The customer is not identified."}
        self.turn.conversation.__class__.objects.update(
            identified_at=timezone.now(), customer_ref="c-1"
        )
        assert "job" in delegate(self.turn, "call_merchant", {"order_id": "GW1001"})

    def test_arguments_are_checked_for_people_too(self):
        self.register(result_of(well=True), inputs=NUMBER)
        with pytest.raises(Invalid, match="Wrong arguments"):
            make_job(name="tested", order_id="none")


class CancellingTests(SubAgentMixin, TestCase):
    def setUp(self):
        self.job = make_job()

    def test_it_ends_at_once_and_the_chat_is_told(self):
        delegating.cancel(conversation=self.job.conversation, job=str(self.job.public_id))
        self.job.refresh_from_db()
        assert self.job.state == SubagentState.CANCELLED
        assert told(self.job)[-1] == ("cancelled", "Cancelled by the customer")
        assert do(self.job).state == SubagentState.CANCELLED

    def test_the_agent_is_shown_that_it_was_and_takes_it_for_no_news(self):
        delegating.cancel(conversation=self.job.conversation, job=self.job.public_id, by="olivia")
        assert services.begin_turn(self.job.conversation_id) is None
        asked = factories.say(self.job.conversation, "Any news?")
        turn = Turn.objects.create(conversation=self.job.conversation, asked_seq=asked.seq)
        line, last = lines_for(turn)
        assert (line.name, line.arguments) == (self.job.name, self.job.arguments)
        assert line.result == {"error": "Cancelled by olivia"}
        assert (line.is_jobs, line.is_cancelled, line.is_news) == (True, True, False)
        assert last.text == "Any news?"

    def test_the_end_of_the_conversation_is_the_end_of_what_is_done_for_it(self):
        make_job(self.job.conversation, key="done", order_id="GW1002")
        do(SubagentJob.objects.get(key="done"))
        services.close(conversation=self.job.conversation)
        assert told(self.job)[-1] == ("cancelled", "The conversation ended")
        assert do(self.job).state == SubagentState.CANCELLED
        assert SubagentJob.objects.get(key="done").state == SubagentState.DONE
        assert self.job.conversation.events.last().kind == "closed"

    def test_it_asks_for_no_turn(self):
        factories.say(self.job.conversation, "Call them.")
        turn = services.begin_turn(self.job.conversation.pk)
        turn.status, turn.finished_at = "done", timezone.now()
        turn.save()
        delegating.cancel(conversation=self.job.conversation, job=self.job.public_id)
        assert services.begin_turn(self.job.conversation.pk) is None

    def test_a_stranger_finds_nothing(self):
        other = factories.make_conversation()
        for job_id in (self.job.public_id, uuid4(), "no id"):
            with pytest.raises(delegating.NoSuchJob):
                delegating.cancel(conversation=other, job=job_id)

    def test_what_has_ended_is_refused(self):
        do(self.job)
        with pytest.raises(delegating.JobOver, match="already: done"):
            delegating.cancel(conversation=self.job.conversation, job=self.job.public_id)


class ConstraintTests(TestCase):
    def refuse(self, name, **fields):
        job = make_job()
        with pytest.raises(IntegrityError, match=name), transaction.atomic():
            SubagentJob.objects.filter(pk=job.pk).update(**fields)

    def test_states_are_known(self):
        self.refuse("subagent_state_known", state="lost")

    def test_a_running_job_has_an_owner(self):
        self.refuse("subagent_owned_while_running", state="running")

    def test_a_finished_job_has_an_end(self):
        self.refuse("subagent_finished_at_when_finished", state="failed")

    def test_a_done_job_has_a_result(self):
        self.refuse("subagent_done_has_result", state="done", finished_at=timezone.now())

    def test_a_deadline_comes_later(self):
        self.refuse("subagent_deadline_after_start", deadline=timezone.now() - timedelta(1))

    def test_a_key_is_one_job(self):
        job = make_job()
        with pytest.raises(IntegrityError, match="key"), transaction.atomic():
            SubagentJob.objects.create(
                conversation=job.conversation, key=job.key, deadline=job.deadline
            )

    def test_a_finished_job_stays_as_it_ended(self):
        job = do(make_job())
        with pytest.raises(IntegrityError, match="subagent_job_finished"), transaction.atomic():
            SubagentJob.objects.filter(pk=job.pk).update(state="cancelled")

    def test_every_state_is_noted_for_good(self):
        job = do(make_job())
        assert list(job.changes.values_list("state", flat=True)) == ["queued", "running", "done"]
        with pytest.raises(Exception, match="never change"), transaction.atomic():
            job.changes.update(state="failed")


class TurnOfAJobTests(SubAgentMixin, TestCase):
    """What a job brings is answered like what a customer writes."""

    def setUp(self):
        self.register(result_of(ready="in 25 minutes"))
        self.turn = factories.make_turn(question="Is it ready?")
        self.conversation = self.turn.conversation
        self.job = make_job(self.conversation, name="tested", order="GW1001")

    def test_the_result_begins_a_turn_that_sees_it(self):
        assert services.begin_turn(self.conversation.pk) is None
        do(self.job)
        turn = services.begin_turn(self.conversation.pk)
        lines = [str(line) for line in lines_for(turn)]
        assert lines[-1] == 'tested {"order": "GW1001"} -> {"ready": "in 25 minutes"}'
        assert lines[0] == "customer: Is it ready?"

    def test_message_and_result_are_answered_in_one_turn(self):
        factories.say(self.conversation, "Hello?")
        do(self.job)
        turn = services.begin_turn(self.conversation.pk)
        assert [str(line) for line in lines_for(turn)][-2] == "customer: Hello?"
        assert services.begin_turn(self.conversation.pk) is None

    def news(self):
        """Return what the jobs brought of which the next turn tells, and let it be told."""
        turn = services.begin_turn(self.conversation.pk)
        lines = lines_for(turn)
        turn.status, turn.finished_at = "done", timezone.now()
        turn.save()
        return [line.arguments["order"] for line in lines if line.is_news]

    def test_what_jobs_brought_is_news_in_one_turn_whatever_was_said_meanwhile(self):
        do(self.job)
        do(make_job(self.conversation, name="tested", key="b", order="GW1002"))
        factories.say(self.conversation, "By the way…", role="agent", fence=0)
        factories.say(self.conversation, "Please cancel GW1009.")
        assert self.news() == ["GW1001", "GW1002"]
        factories.say(self.conversation, "Hello?")
        assert self.news() == []

    def test_what_a_person_has_seen_is_no_news(self):
        person = factories.make_user("operator")
        do(self.job)
        services.reply_as_staff(conversation=self.conversation, by=person, text="It is ready.")
        services.hand_back(conversation=self.conversation, by=person)
        factories.say(self.conversation, "Thanks. And now?")
        assert self.news() == []

    def test_no_turn_while_a_person_has_the_conversation(self):
        person = factories.make_user("operator")
        services.reply_as_staff(conversation=self.conversation, by=person, text="Hi")
        do(self.job)
        assert services.begin_turn(self.conversation.pk) is None
        assert told(self.job)[-1][0] == "done"
        assert self.conversation.__class__.objects.get().control == Control.HUMAN
        services.reply_as_staff(conversation=self.conversation, by=person, text="It is ready.")
        services.hand_back(conversation=self.conversation, by=person)
        assert services.begin_turn(self.conversation.pk) is None

    def test_what_came_while_a_person_was_silent_is_told_after_the_hand_back(self):
        person = factories.make_user("operator")
        services.reply_as_staff(conversation=self.conversation, by=person, text="Hi")
        do(self.job)
        event = services.hand_back(conversation=self.conversation, by=person)
        assert event.data == {"state": "bot", "owes": True}
        turn = services.begin_turn(self.conversation.pk)
        last = lines_for(turn)[-1]
        assert str(last) == 'tested {"order": "GW1001"} -> {"ready": "in 25 minutes"}'
        assert last.is_news
        assert services.begin_turn(self.conversation.pk) is None

    def test_a_summary_in_own_words_says_that_the_result_is_dealt_with(self):
        person = factories.make_user("operator")
        control.take_control(conversation=self.conversation, by=person)
        do(self.job)
        services.hand_back(conversation=self.conversation, by=person, summary="I told them.")
        assert services.begin_turn(self.conversation.pk) is None

    def test_the_sweeper_finds_a_result_that_nobody_told(self):
        do(self.job)
        later = self.conversation.__class__.objects.unanswered(after_seconds=-1)
        assert list(later) == [self.conversation]
