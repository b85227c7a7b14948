"""What the worker does with a run. Its trainer is a small program of the same manners."""

import json
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

import pytest
from django.db import connection, connections
from django.test import TestCase, TransactionTestCase
from django.utils import timezone

from agents.models import ModelVersion
from tests.factories import make_adapter
from tests.training import tiny
from tests.training.rows import make_dataset, make_run
from training import evaluating, jobs, running, services, tasks
from training.models import DatasetForm, Evaluation, Run, RunStatus, Split
from wowconsole.stack.processes import Child

# Counts its steps in a checkpoint, as the real trainers do: metrics, outcome, exit codes.
TRAINER = """
import json, os, signal, sys, time
from pathlib import Path
folder, steps, pause = Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
checkpoint = folder / "checkpoint"
def stop(*_):
    (folder / "stopped").touch()
    sys.exit(143)
signal.signal(signal.SIGTERM, stop)
(folder / "starts").open("a").write("x")
begin = int(checkpoint.read_text()) if checkpoint.exists() else 0
for step in range(begin + 1, steps + 1):
    time.sleep(pause)
    line = {"step": step, "total_steps": steps, "loss": 1 / step, "seconds": pause * step}
    with (folder / "metrics.jsonl").open("a") as metrics:
        metrics.write(json.dumps(line) + chr(10))
    checkpoint.write_text(str(step))
(folder / "adapter").mkdir()
(folder / "adapter" / "adapter_model.safetensors").write_bytes(b"weights")
"""
FAILING = """
import sys
from pathlib import Path
Path(sys.argv[2], "error.txt").write_text("train.jsonl row 1: too long.")
sys.exit(2)
"""


def program(script, steps=3, pause=0.0):
    """A stand-in for `running._trainer`: another program, the same watch."""

    def child(run, folder):
        words = ["training.sft", str(folder), str(steps), str(pause)]
        return running._child([sys.executable, "-c", script, *words], folder)

    return child


class RunningParts:
    """A queued run whose base model needs no making ready, in folders of its own."""

    def setUp(self):
        home = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.enterContext(self.settings(ARTIFACTS_DIR=home, MODELS_DIR=home / "models"))
        self.enterContext(patch.object(running, "LOOK_SECONDS", 0.02))
        self.run_row = make_run()
        copy = jobs.model_dir(self.run_row.base) / "hf"
        copy.mkdir(parents=True)
        (copy / "config.json").write_text("{}")
        self.folder = jobs.folder_of(self.run_row)

    def train_with(self, script, **options):
        self.enterContext(patch.object(running, "_trainer", program(script, **options)))

    def reread(self):
        self.run_row.refresh_from_db()
        return self.run_row


class ExecuteTests(RunningParts, TestCase):
    def test_a_model_comes_of_it(self):
        self.train_with(TRAINER)
        assert running.execute(self.run_row.pk)
        run = self.reread()
        assert (run.status, run.step, run.total_steps) == (RunStatus.SUCCEEDED, 3, 3)
        assert run.version.name == run.name
        assert run.version.base == run.base
        assert Path(run.version.folder) == self.folder / "adapter"
        assert len(run.version.sha256) == 64
        assert list(run.events.filter(kind="metrics").values_list("step", flat=True)) == [1, 2, 3]

    def test_the_job_is_what_trainers_read(self):
        self.train_with(TRAINER)
        running.execute(self.run_row.pk)
        job = json.loads((self.folder / "job.json").read_text())
        assert job["stage"] == "sft"
        assert job["base_dir"].endswith(f"{self.run_row.base.name}/hf")
        rows = (self.folder / "train.jsonl").read_text().splitlines()
        assert [set(json.loads(row)) for row in rows] == [{"prompt", "completion"}] * 2

    def test_a_second_delivery_does_nothing(self):
        self.train_with(TRAINER)
        assert running.execute(self.run_row.pk)
        assert not running.execute(self.run_row.pk)
        assert not running.execute(0)
        assert ModelVersion.objects.filter(name=self.run_row.name).count() == 1

    def test_a_failure_is_told_in_the_trainers_words(self):
        self.train_with(FAILING)
        assert not running.execute(self.run_row.pk)
        assert self.reread().status == RunStatus.FAILED
        assert self.run_row.error == "train.jsonl row 1: too long."

    def test_a_crash_is_told_by_the_end_of_the_log(self):
        self.train_with("raise SystemError('no such device')")
        running.execute(self.run_row.pk)
        assert "no such device" in self.reread().error

    def test_after_five_attempts_it_is_given_up(self):
        Run.objects.update(attempts=running.MOST_ATTEMPTS)
        self.train_with(TRAINER)
        running.execute(self.run_row.pk)
        assert "Given up after 5 attempts" in self.reread().error

    def test_a_killed_trainer_goes_on_from_its_checkpoint(self):
        suicide = "    if step == 2 and begin == 0: os.kill(os.getpid(), 9)"
        saved = "checkpoint.write_text(str(step))"
        script = TRAINER.replace(saved, f"{saved}\n{suicide}")
        self.train_with(script)
        assert running.execute(self.run_row.pk)
        assert (self.folder / "starts").read_text() == "xx"
        assert self.reread().attempts == 2

    def test_a_cancelled_run_is_stopped_with_a_checkpoint(self):
        self.train_with(TRAINER, steps=1000, pause=0.05)
        read = running.Metrics.read

        def cancel_after_a_step(metrics):
            changes = read(metrics)
            if changes.get("step", 0) >= 2:
                services.cancel_run(run=Run.objects.get(pk=self.run_row.pk))
                metrics.read = dict
            return changes

        with patch.object(running.Metrics, "read", cancel_after_a_step):
            assert not running.execute(self.run_row.pk)
        assert self.reread().status == RunStatus.CANCELLED
        assert (self.folder / "stopped").exists()
        assert jobs._trainers_in(self.folder) == []

    def test_held_out_rows_are_refused_at_the_worker_too(self):
        held = self.run_row.dataset.examples.filter(split=Split.HELD_OUT)
        with pytest.raises(jobs.JobRefused, match="is held out"):
            jobs._require_not_held_out(held)

    def test_an_adapter_is_gone_on_with_and_other_answers_are_replayed(self):
        make_dataset(train=8)
        pairs = make_dataset(form=DatasetForm.PREFERENCE)
        base = make_adapter(base=self.run_row.base, folder="/adapters/first")
        run = make_run(stage="dpo", dataset=pairs, base=base)
        folder = jobs.write(run)
        job = json.loads((folder / "job.json").read_text())
        assert job["adapter_dir"] == "/adapters/first"
        assert job["base_name"] == self.run_row.base.name
        assert len((folder / "replay.jsonl").read_text().splitlines()) == 2

    def test_a_resumed_run_finds_the_same_job(self):
        jobs.write(self.run_row)
        before = (self.folder / "job.json").stat().st_mtime_ns
        jobs.write(self.run_row)
        assert (self.folder / "job.json").stat().st_mtime_ns == before


@pytest.mark.slow
class RealTrainerTests(RunningParts, TestCase):
    def test_the_real_trainer_makes_an_adapter_of_the_tiny_model(self):
        copy = jobs.model_dir(self.run_row.base) / "hf"
        shutil.rmtree(copy)
        copy.symlink_to(tiny.folder())
        Run.objects.update(recipe={"epochs": 3, "batch_size": 1, "save_steps": 2})
        assert running.execute(self.run_row.pk), self.reread().error
        run = self.reread()
        assert (run.status, run.step) == (RunStatus.SUCCEEDED, run.total_steps)
        losses = [event.data["loss"] for event in run.events.filter(kind="metrics")]
        assert len(losses) == 6
        assert losses[-1] < losses[0]
        adapter = Path(run.version.folder)
        assert {"adapter_config.json", "adapter_model.safetensors"} <= set(os.listdir(adapter))


class KilledWorkerTests(RunningParts, TransactionTestCase):
    def test_a_killed_worker_takes_its_trainer_along_and_another_goes_on(self):
        self.train_with(TRAINER, steps=20, pause=0.05)
        connections.close_all()
        worker = multiprocessing.get_context("fork").Process(
            target=_execute_and_exit, args=(self.run_row.pk,)
        )
        worker.start()
        _wait_for(lambda: self.reread().step >= 3)
        os.kill(worker.pid, signal.SIGKILL)
        worker.join()
        _wait_for(lambda: jobs._trainers_in(self.folder) == [])
        assert not running.execute(self.run_row.pk)  # the lease still stands
        Run.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
        reached = self.reread().step
        assert running.execute(self.run_row.pk)
        assert self.reread().status == RunStatus.SUCCEEDED
        assert self.run_row.attempts == 2
        steps = list(self.run_row.events.filter(kind="metrics").values_list("step", flat=True))
        assert sorted(steps) == list(range(1, 21))
        assert reached < 20


def _execute_and_exit(run_pk):
    try:
        running.execute(run_pk)
    finally:
        connection.close()
        os._exit(0)


def _wait_for(happened, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class MetricsTests(RunningParts, TestCase):
    def test_unfinished_and_unreadable_lines_wait_or_are_skipped(self):
        path = self.folder
        path.mkdir(parents=True)
        metrics = running.Metrics(self.run_row, path / "metrics.jsonl")
        assert metrics.read() == {}
        line = '{"step": 1, "total_steps": 4, "loss": 2, "grad_norm": NaN}\n'
        metrics.path.write_text(line + "nonsense\n" + '{"step": 2')
        assert metrics.read() == {"step": 1, "total_steps": 4}
        assert self.run_row.events.get().data["grad_norm"] is None

    def test_a_step_is_kept_once(self):
        self.folder.mkdir(parents=True)
        path = self.folder / "metrics.jsonl"
        path.write_text('{"step": 1, "total_steps": 4, "loss": 2}\n')
        for _ in range(2):
            running.Metrics(self.run_row, path).read()
        assert self.run_row.events.count() == 1


class LeftoverTests(RunningParts, TestCase):
    def test_a_trainer_left_behind_is_ended(self):
        self.folder.mkdir(parents=True)
        script = "import time; time.sleep(60)"
        words = ["training.sft", str(self.folder)]
        child = Child("left", [sys.executable, "-c", script, *words], self.folder / "log")
        child.start()
        _wait_for(lambda: jobs._trainers_in(self.folder) == [child.process.pid])
        jobs.end_leftovers(self.folder, 0.0, lambda: child.exit_code())
        assert child.exit_code() == -signal.SIGKILL


class TaskTests(RunningParts, TestCase):
    def test_success_is_followed_by_an_evaluation(self):
        self.train_with(TRAINER)
        with patch.object(tasks.evaluate_run, "delay") as delay:
            tasks.execute_run(self.run_row.pk)
            tasks.execute_run(self.run_row.pk)
            tasks.execute_run(0)
        delay.assert_called_once_with(self.run_row.pk)

    def test_silent_and_forgotten_runs_are_asked_for_again(self):
        past = timezone.now() - timedelta(minutes=5)
        forgotten = make_run(created_at=past)
        silent = make_run(status=RunStatus.RUNNING, leased_until=past)
        make_run(status=RunStatus.RUNNING, leased_until=timezone.now() + timedelta(minutes=1))
        with patch.object(tasks.execute_run, "delay") as delay:
            tasks.requeue_silent_runs()
            tasks.requeue_silent_runs()
        assert sorted(call.args[0] for call in delay.call_args_list) == [forgotten.pk, silent.pk]

    def test_both_models_of_a_run_are_measured_once(self):
        self.train_with(TRAINER)
        running.execute(self.run_row.pk)
        expected = self.run_row.dataset.examples.get(split=Split.HELD_OUT).data["completion"]
        answers = {self.run_row.base.name: "no JSON", self.run_row.name: expected[0]["content"]}

        def complete(version, messages, schema):
            return answers[version.name]

        with patch.object(evaluating.engines, "complete_text", complete):
            for _ in range(2):
                tasks.evaluate_run(self.run_row.pk)
        shares = {
            evaluation.version.name: evaluation.metrics["action"]["share"]
            for evaluation in Evaluation.objects.all()
        }
        assert shares == {self.run_row.base.name: 0.0, self.run_row.name: 1.0}
        assert Evaluation.objects.count() == 2

    def test_preference_models_are_measured_on_other_answers_too(self):
        pairs = make_dataset(form=DatasetForm.PREFERENCE)
        chosen = pairs.examples.get(split=Split.HELD_OUT).data["chosen"][0]["content"]
        with patch.object(evaluating.engines, "complete_text", lambda *_: chosen):
            evaluation = evaluating.evaluate(self.run_row.base, pairs, limit=5)
        assert evaluation.metrics["repaired"]["share"] == 1
        assert evaluation.metrics["kept_action"]["count"] == 1

    def test_an_engine_that_is_away_is_noted(self):
        self.train_with(TRAINER)
        running.execute(self.run_row.pk)
        away = evaluating.engines.EngineUnavailable("away")
        with patch.object(evaluating.engines, "complete_text", side_effect=away):
            tasks.evaluate_run(self.run_row.pk)
        assert self.run_row.events.filter(data__gave_up=True).count() == 2
