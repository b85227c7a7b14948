"""Long work: claimed once, told of, cancelled, taken over from the dead."""

from datetime import timedelta
from unittest import mock

from django.test import TestCase
from django.utils import timezone

from knowledge import jobs
from knowledge.models import Job, JobState
from tests.factories import make_user
from wowconsole.errors import Refused


class JobTests(TestCase):
    def setUp(self):
        self.by = make_user("operator")
        self.sent = self.enterContext(mock.patch.object(jobs, "send"))
        with self.captureOnCommitCallbacks(execute=True):
            self.job = jobs.start(task="knowledge.tasks.nothing", title="Count", by=self.by)

    def fresh(self):
        return Job.objects.get(pk=self.job.pk)

    def test_a_job_is_sent_once_it_is_stored(self):
        assert self.sent.call_args_list == [mock.call(self.job)]

    def test_a_finished_block_finishes_the_job(self):
        with jobs.at_work(self.job.pk) as job:
            jobs.advance(job, done=1, total=2, note="half")
        job = self.fresh()
        assert (job.state, job.done, job.note) == (JobState.DONE, 2, "half")
        assert job.finished_at

    def test_a_second_delivery_finds_nothing_to_do(self):
        with jobs.at_work(self.job.pk), jobs.at_work(self.job.pk) as second:
            assert second is None

    def test_a_job_that_is_gone(self):
        with jobs.at_work(-1) as job:
            assert job is None

    def test_a_dead_process_is_succeeded_and_cannot_come_back(self):
        with jobs.at_work(self.job.pk) as first:
            past = timezone.now() - timedelta(seconds=1)
            Job.objects.filter(pk=first.pk).update(leased_until=past, done=3)
            assert list(Job.objects.silent()) == [first]
            with jobs.at_work(self.job.pk) as second:
                assert second.done == 3
                with self.assertRaises(jobs.LostLease):
                    jobs.advance(first, done=4)
        assert self.fresh().done == 0  # total was never told: done with nothing left
        assert self.fresh().state == JobState.DONE

    def test_cancelled_before_anybody_began(self):
        jobs.cancel(self.job)
        with jobs.at_work(self.job.pk) as job:
            assert job is None
        assert self.fresh().state == JobState.CANCELLED

    def test_cancelled_at_the_next_step(self):
        with jobs.at_work(self.job.pk) as job:
            jobs.cancel(job)
            jobs.advance(job, done=1, total=9)
            self.fail("advance should have stopped the work")
        assert (self.fresh().state, self.fresh().done) == (JobState.CANCELLED, 1)

    def test_a_refusal_is_told_and_a_fault_is_not(self):
        with jobs.at_work(self.job.pk):
            raise Refused("The file is empty.")
        assert (self.fresh().state, self.fresh().error) == (JobState.FAILED, "The file is empty.")
        other = jobs.start(task="knowledge.tasks.nothing", title="Count", by=self.by)
        with self.assertLogs("knowledge.jobs", "ERROR"), jobs.at_work(other.pk):
            raise ZeroDivisionError("secret")
        assert "secret" not in Job.objects.get(pk=other.pk).error

    def test_what_nobody_took_up_is_sent_again(self):
        self.sent.reset_mock()
        Job.objects.update(created_at=timezone.now() - timedelta(minutes=1))
        jobs.resend_silent()
        assert self.sent.call_count == 1


class JobPageTests(TestCase):
    def setUp(self):
        self.by, self.stranger = make_user("operator"), make_user("operator")
        self.job = Job.objects.create(task="t", title="Count", by=self.by, total=4, done=1)
        self.url = f"/knowledge/jobs/{self.job.public_id}/"

    def test_who_started_it_sees_how_far_it_is(self):
        self.client.force_login(self.by)
        response = self.client.get(self.url)
        self.assertContains(response, "1 of 4")
        assert "HX-Refresh" not in response

    def test_strangers_find_nothing(self):
        self.client.force_login(self.stranger)
        assert self.client.get(self.url).status_code == 404
        assert self.client.post(f"{self.url}cancel/").status_code == 404

    def test_cancel(self):
        self.client.force_login(self.by)
        assert self.client.post(f"{self.url}cancel/").status_code == 302
        assert Job.objects.get().state == JobState.CANCELLED
        assert self.client.get(self.url)["HX-Refresh"] == "true"

    def test_after_cancelling_one_comes_back_but_to_no_other_site(self):
        self.client.force_login(self.by)
        for referer, place in (
            ("http://testserver/knowledge/imports/", "http://testserver/knowledge/imports/"),
            ("https://elsewhere.example/", "/knowledge/"),
            ("", "/knowledge/"),
        ):
            response = self.client.post(f"{self.url}cancel/", headers={"referer": referer})
            assert response["Location"] == place

    def test_only_the_page_of_who_started_it_asks_again(self):
        for user, asks in ((self.by, True), (make_user("admin"), False)):
            self.client.force_login(user)
            assert (b"hx-get" in self.client.get(self.url).content) == asks
