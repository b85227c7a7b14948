import asyncio
from datetime import timedelta
from unittest.mock import patch

from asgiref.sync import sync_to_async
from django.db import InterfaceError, OperationalError
from django.db.models import QuerySet
from django.test import TestCase
from django.utils import timezone

from agents.subagents import GaveUp, Outcome, Parked, Said, TryAgain
from dialogues import services, tasks
from dialogues.jobs import delegating, leasing, undertaking
from dialogues.models import Handover, SubagentJob, SubagentState
from tests import factories
from tests.dialogues.calls import (
    SubAgentMixin,
    bring_forward,
    do,
    make_job,
    result_of,
    spoken,
    told,
)


class DoingTests(SubAgentMixin, TestCase):
    def test_a_result_is_stored_and_told(self):
        self.register(result_of(secret=1, shown=2), tell=lambda result: {"shown": result["shown"]})
        job = do(make_job(name="tested"))
        assert (job.state, job.result, job.attempts) == ("done", {"secret": 1, "shown": 2}, 1)
        assert job.started_at
        assert job.finished_at
        event = job.conversation.events.last()
        assert event.data["state"] == "done"
        assert event.data["result"] == {"shown": 2}
        assert event.role == "system"

    def test_a_task_that_is_delivered_twice_works_once(self):
        runs = []

        async def run(work):
            runs.append(work.attempt)
            return Outcome({"well": True})

        self.register(run)
        job = make_job(name="tested")
        tasks.do_job(job.pk)
        tasks.do_job(job.pk)
        tasks.do_job(0)
        assert runs == [1]

    def test_two_workers_do_not_share_a_job(self):
        job = make_job()
        assert leasing.claim(job.pk)
        assert leasing.claim(job.pk) is None

    def test_a_result_outside_its_schema_is_a_failure(self):
        outputs = {"type": "object", "required": ["well"]}
        self.register(result_of(ill=True), outputs=outputs)
        with self.assertLogs("dialogues.jobs.undertaking", "ERROR"):
            job = do(make_job(name="tested"))
        assert (job.state, job.result) == ("failed", {"error": undertaking.BROKE_OFF})

    def test_a_fault_of_ours_is_logged_and_not_told(self):
        async def run(work):
            raise ZeroDivisionError("a secret")

        self.register(run)
        with self.assertLogs("dialogues.jobs.undertaking", "ERROR"):
            job = do(make_job(name="tested"))
        assert job.state == SubagentState.FAILED
        assert "secret" not in str(job.conversation.events.last().data)

    def test_progress_is_told_as_it_happens_and_once(self):
        async def run(work):
            for word in ("Dialling", "Dialling", "Talking"):
                await work.keep(memory={"at": word}, lines=[Said("note", word)], progress=word)
            return Outcome({"well": True})

        self.register(run)
        job = do(make_job(name="tested"))
        assert [detail for _, detail in told(job)] == ["Queued", "Dialling", "Talking", "Done"]
        assert [text for _, text in spoken(job)] == ["Dialling", "Dialling", "Talking"]
        assert job.memory == {"at": "Talking"}

    def test_the_engine_tokens_add_up(self):
        async def run(work):
            await work.keep(memory={}, tokens=(10, 2))
            await work.keep(memory={}, tokens=(5, 1))
            return Outcome({"well": True})

        self.register(run)
        job = do(make_job(name="tested"))
        assert (job.prompt_tokens, job.completion_tokens) == (15, 3)

    def test_two_jobs_of_one_conversation_go_side_by_side(self):
        self.register(result_of(n=1), name="first")
        self.register(result_of(n=2), name="second")
        conversation = factories.make_conversation()
        first = make_job(conversation, "first", key="a")
        second = make_job(conversation, "second", key="b")
        assert leasing.claim(first.pk)
        assert do(second).state == SubagentState.DONE
        assert conversation.jobs.unfinished().get() == first


class TryingAgainTests(SubAgentMixin, TestCase):
    def setUp(self):
        async def run(work):
            raise TryAgain("Nobody answers.")

        self.register(run, most_attempts=2)
        self.job = make_job(name="tested")

    def test_it_waits_longer_each_time_and_fails_in_the_end(self):
        before = timezone.now()
        job = do(self.job)
        assert job.state == SubagentState.QUEUED
        wait = timedelta(seconds=leasing.FIRST_RETRY_SECONDS)
        assert before + wait <= job.due_at <= timezone.now() + wait
        assert told(job)[-1] == ("queued", "Nobody answers. Trying again soon.")
        assert do(job).attempts == 1, "it is not due yet"
        bring_forward(job)
        job = do(job)
        assert (job.state, job.attempts, job.error) == ("failed", 2, "Nobody answers.")

    def test_the_sweeper_sends_what_is_due(self):
        with patch("celery.current_app.send_task") as send:
            undertaking.sweep()
            assert [call.args[1] for call in send.call_args_list] == [[self.job.pk]]
            send.reset_mock()
            do(self.job)
            undertaking.sweep()
            assert not send.called

    def test_what_is_hopeless_is_not_tried_again(self):
        async def run(work):
            raise GaveUp("There is no such number.")

        self.register(run, name="other")
        job = do(make_job(name="other", key="k"))
        assert (job.state, job.error) == ("failed", "There is no such number.")


class WaitingTests(SubAgentMixin, TestCase):
    def setUp(self):
        self.acts = None

        async def run(work):
            if work.memory.get("asked"):
                return Outcome({"well": True})
            await work.keep(memory={"asked": True})
            if self.acts:
                await sync_to_async(self.acts)()
            raise Parked(60, "Waits for the shop")

        self.register(run)
        self.job = make_job(name="tested")

    def test_it_holds_no_worker_and_goes_on_when_woken(self):
        job = do(self.job)
        assert (job.state, job.owner, job.progress) == ("waiting", None, "Waits for the shop")
        assert do(job).state == SubagentState.WAITING
        delegating.wake(job.pk)
        job = do(job)
        assert (job.state, job.attempts) == ("done", 1), "waiting is no attempt"

    def test_it_goes_on_when_its_time_has_come(self):
        job = do(self.job)
        bring_forward(job)
        assert do(job).state == SubagentState.DONE

    def test_who_acts_while_it_is_about_to_wait_is_not_missed(self):
        self.acts = lambda: delegating.wake(self.job.pk)
        job = do(self.job)
        assert job.state == SubagentState.WAITING
        assert job.due_at <= timezone.now()
        assert do(job).state == SubagentState.DONE

    def test_a_finished_job_is_not_woken(self):
        delegating.cancel(conversation=self.job.conversation, job=self.job.public_id)
        due_at = SubagentJob.objects.get().due_at
        delegating.wake(self.job.pk)
        assert SubagentJob.objects.get().due_at == due_at


class DyingTests(SubAgentMixin, TestCase):
    def test_another_worker_goes_on_from_what_was_kept(self):
        seen = []

        async def run(work):
            seen.append((work.attempt, work.memory, len(work.lines)))
            return Outcome({"well": True})

        self.register(run)
        job = leasing.claim(make_job(name="tested").pk)
        leasing.keep(job, {"at": 3}, [Said("agent", "Hello")], None, (0, 0))
        assert do(job).state == SubagentState.RUNNING, "its lease lives"
        bring_forward(job, leased_until=timezone.now() - timedelta(seconds=1))
        assert do(job).state == SubagentState.DONE
        assert seen == [(2, {"at": 3}, 1)]

    def test_the_silenced_worker_can_store_nothing_any_more(self):
        self.register(result_of(well=True))
        job = leasing.claim(make_job(name="tested").pk)
        bring_forward(job, leased_until=timezone.now() - timedelta(seconds=1))
        do(job)
        with self.assertRaises(leasing.LostJob):
            leasing.keep(job, {}, [Said("agent", "I live!")], None, (0, 0))
        undertaking._complete(job, Outcome({"well": False}))
        assert SubagentJob.objects.get().result == {"well": True}

    def test_a_job_that_kills_its_workers_is_given_up(self):
        self.register(result_of(well=True), most_attempts=2)
        job = make_job(name="tested")
        SubagentJob.objects.update(attempts=2)
        job = do(job)
        assert (job.state, job.error) == ("failed", "2 attempts came to nothing.")


class EndingEarlyTests(SubAgentMixin, TestCase):
    def setUp(self):
        self.stopped = []

        async def run(work):
            try:
                await asyncio.sleep(30)
            finally:
                self.stopped.append(True)
            return Outcome({"well": True})

        self.register(run)
        self.job = make_job(name="tested")

    def test_a_worker_notices_that_its_job_was_cancelled(self):
        claim = leasing.claim

        def claim_and_cancel(job_pk):
            job = claim(job_pk)
            delegating.cancel(conversation=job.conversation, job=job.public_id)
            return job

        with patch.object(leasing, "claim", claim_and_cancel):
            job = do(self.job)
        assert job.state == SubagentState.CANCELLED
        assert self.stopped in ([], [True])

    def test_the_deadline_ends_the_work(self):
        SubagentJob.objects.update(deadline=timezone.now() + timedelta(seconds=0.2))
        job = do(self.job)
        assert (job.state, job.result) == ("expired", {"error": leasing.NO_TIME})
        assert told(job)[-1][0] == "expired"
        assert self.stopped == [True]

    def test_the_sweeper_ends_what_nobody_works_at(self):
        bring_forward(self.job, created_at=timezone.now() - timedelta(2))
        SubagentJob.objects.update(deadline=timezone.now() - timedelta(1))
        assert do(self.job).state == SubagentState.QUEUED, "too late to begin"
        with patch("celery.current_app.send_task"):
            tasks.sweep_jobs()
            tasks.sweep_jobs()
        assert [state for state, _ in told(self.job)] == ["queued", "expired"]


class LeaseTests(SubAgentMixin, TestCase):
    def setUp(self):
        self.asked, self.faults, self.stopped = [], [], []
        renew = QuerySet.aupdate

        async def aupdate(rows, **changes):
            self.asked.append(changes)
            if self.faults:
                raise self.faults.pop()
            return await renew(rows, **changes)

        self.enterContext(patch.object(QuerySet, "aupdate", aupdate))
        self.enterContext(patch.object(undertaking, "BEAT_SECONDS", 0.01))

    def test_a_host_whose_clock_is_slow_keeps_what_it_has_claimed(self):
        job, now = make_job(), timezone.now
        with patch.object(leasing.timezone, "now", lambda: now() - timedelta(seconds=60)):
            SubagentJob.objects.update(due_at=timezone.now())
            assert leasing.claim(job.pk)
        assert leasing.claim(job.pk) is None
        assert not SubagentJob.objects.due().exists()

    def test_a_host_whose_clock_is_fast_takes_nothing_from_who_lives(self):
        job, now = make_job(), timezone.now
        assert leasing.claim(job.pk)
        with patch.object(leasing.timezone, "now", lambda: now() + timedelta(seconds=60)):
            assert leasing.claim(job.pk) is None

    def test_a_renewal_that_fails_is_tried_again(self):
        async def run(work):
            async with asyncio.timeout(10):
                while len(self.asked) < 4:
                    await asyncio.sleep(0.01)
            return Outcome({"well": True})

        self.faults = [InterfaceError("it is closed"), OperationalError("it has gone")]
        self.register(run)
        with self.assertLogs("dialogues.jobs.undertaking", "WARNING"):
            job = do(make_job(name="tested"))
        assert job.state == SubagentState.DONE

    def test_the_work_ends_where_its_lease_lapses(self):
        async def run(work):
            try:
                await asyncio.sleep(20)
            except asyncio.CancelledError:
                self.stopped.append(True)
                raise
            return Outcome({"well": True})

        self.faults = [OperationalError("it has gone")] * 10_000
        self.register(run)
        with patch.object(leasing, "LEASE_SECONDS", 0.1):
            job = do(make_job(name="tested"))
        assert self.stopped == [True]
        assert SubagentJob.objects.due().get() == job, "another worker goes on"


class ReadingTheQueueTests(TestCase):
    def test_it_counts_who_waits_for_a_person(self):
        asked = [factories.make_conversation() for _ in range(2)]
        for conversation in asked:
            services.ask_for_person(conversation=conversation)
        Handover.objects.filter(conversation=asked[0]).update(
            asked_at=timezone.now() - timedelta(minutes=9)
        )
        job = do(delegating.start(conversation=asked[0], name="read_queue", arguments={}, key="q"))
        assert job.result == {"waiting": 2, "longest_wait_minutes": 9}
