"""Trying a plan of calls on somebody simulated: led once, kept as it goes, cancelled at a step."""

import pytest
from django.db import IntegrityError, transaction

from agents.subagents.callees import Temper
from dialogues import tasks
from dialogues.jobs import trying
from dialogues.models import CallPlan, CallTrial
from knowledge import jobs
from knowledge.models import Job
from tests.dialogues.calls import make_plan
from tests.dialogues.test_views_plans import LIST, PlanCase
from wowconsole.errors import Invalid


class TrialTests(PlanCase):
    def try_it(self, **changed):
        plan = CallPlan.objects.filter(name="call_merchant").first() or make_plan()
        values = {"temper": "cooperative", "seed": "1", "blank-order_id": "GW1001", **changed}
        return self.client.post(f"{plan.get_absolute_url()}try/", values)

    def test_a_call_is_led_and_scored_once(self):
        self.client.force_login(self.ana)
        answer = self.try_it()
        trial = CallTrial.objects.get()
        self.assertRedirects(answer, trial.get_absolute_url())
        self.assertContains(self.client.get(trial.get_absolute_url()), "Waiting")
        tasks.try_call(trial.job_id)
        tasks.try_call(trial.job_id)
        trial.refresh_from_db()
        assert trial.job.state == "done"
        assert [line["number"] for line in trial.lines] == list(range(1, len(trial.lines) + 1))
        assert trial.report["score"]["total"] > 80
        page = self.client.get(trial.get_absolute_url())
        self.assertContains(page, "order GW1001 is late")
        self.assertContains(page, f"Score: {trial.result['score']} of 100")
        self.assertContains(page, "Goal reached: ")

    def test_every_temper_comes_to_an_end(self):
        for temper in Temper:
            self.try_it(temper=temper.value)
            trial = CallTrial.objects.first()
            tasks.try_call(trial.job_id)
            trial.refresh_from_db()
            assert trial.temper == temper
            assert trial.job.state == "done"
            assert trial.outcome_words

    def test_another_process_goes_on_where_one_died(self):
        self.try_it()
        trial = CallTrial.objects.get()
        keep = trying.TrialWork._keep

        def die(work, memory, lines, progress):
            keep(work, memory, lines, progress)
            if len(work.lines) == 3:
                raise SystemExit

        trying.TrialWork._keep = die
        try:
            with pytest.raises(SystemExit):
                tasks.try_call(trial.job_id)
        finally:
            trying.TrialWork._keep = keep
        Job.objects.update(leased_until="2026-01-01T00:00Z")
        tasks.try_call(trial.job_id)
        trial.refresh_from_db()
        assert trial.result["outcome"] == "goal_reached"
        spoken = [line["text"] for line in trial.lines if line["speaker"] == "agent"]
        assert len(spoken) == len(set(spoken))

    def test_a_cancelled_call_stops(self):
        self.try_it()
        trial = CallTrial.objects.get()
        Job.objects.update(cancel_requested=True)
        tasks.try_call(trial.job_id)
        trial.job.refresh_from_db()
        assert trial.job.state == "cancelled"
        self.assertContains(self.client.get(trial.get_absolute_url()), "Cancelled after")

    def test_pressed_twice_it_is_tried_once(self):
        self.try_it()
        self.try_it()
        assert CallTrial.objects.count() == 1
        jobs.cancel(Job.objects.get())
        self.try_it()
        assert CallTrial.objects.count() == 2

    def test_nonsense_is_refused(self):
        for wrong in ({"temper": "sleepy"}, {"seed": "-1"}, {"blank-order_id": ""}):
            assert self.try_it(**wrong).status_code == 422
        plan = CallPlan.objects.get()
        with pytest.raises(Invalid):
            trying.try_plan(plan, by=self.admin, temper="sleepy", values={})
        with pytest.raises(IntegrityError, match="call_trial_temper_known"), transaction.atomic():
            CallTrial.objects.create(
                plan=plan, card={}, temper="x", job=jobs.start(task="x", title="x", by=self.admin)
            )
        tasks.try_call(0)

    def test_a_trial_is_of_its_plan(self):
        self.try_it()
        trial = CallTrial.objects.get()
        make_plan(name="other")
        assert self.client.get(f"{LIST}other/trials/{trial.public_id}/").status_code == 404
