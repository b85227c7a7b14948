"""What the gpu worker does with a run: lease it, train in a process of its own, keep watch.

Nothing here imports torch. The trainer lives in its own session and dies with its worker;
whoever claims the run next goes on from the last checkpoint.
"""

import hashlib
import json
import logging
import os
import signal
import sys
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from agents.models import ModelVersion, WeightsKind
from training import jobs
from training.base_weights import COPY_NAME
from training.models import (
    LEASE_SECONDS,
    Run,
    RunEvent,
    RunEventKind,
    RunStatus,
)
from wowconsole.stack.processes import Child

logger = logging.getLogger(__name__)

MOST_ATTEMPTS = 5  # executions and restarts of one launch; then something is wrong with it
LOOK_SECONDS = 1.0
STOP_SECONDS = 30.0  # from SIGTERM, for a step and a checkpoint, to SIGKILL
TRAINER_NICENESS = 10  # whoever answers customers goes first
KILLED = {-signal.SIGKILL, -signal.SIGTERM, 128 + signal.SIGTERM}


class TrainingFailed(Exception):
    """The trainer ended without a model; the message is for people."""


class LeaseLost(Exception):
    """The run was cancelled, or another worker has it."""


@dataclass(slots=True)
class Lease:
    """This worker's hold on a run: it is renewed only as long as nobody else has touched it."""

    run: Run
    until: datetime

    def renew(self, **changes: Any) -> None:
        """Hold on for LEASE_SECONDS more, and write `changes` with it.

        Raises:
            LeaseLost: the run is no longer ours.
        """
        until = timezone.now() + timedelta(seconds=LEASE_SECONDS)
        if not self._ours().update(leased_until=until, **changes):
            raise LeaseLost
        self.until = until

    def _ours(self) -> Any:
        held = Run.objects.filter(pk=self.run.pk, status=RunStatus.RUNNING)
        return held.filter(leased_until=self.until)


def execute(run_pk: int) -> bool:
    """Train a run unless somebody else does; return whether a model came of it."""
    run = Run.objects.claim(run_pk)
    if run is None or run.leased_until is None:
        return False
    lease = Lease(run, run.leased_until)
    try:
        _train(lease)
        return True
    except LeaseLost:
        logger.info("run given up", extra={"run": str(run.public_id)})
    except (TrainingFailed, jobs.JobRefused) as error:
        run.finish(RunStatus.FAILED, error=str(error))
    except Exception as error:  # the worker's outermost frame
        logger.exception("run failed", extra={"run": str(run.public_id)})
        run.finish(RunStatus.FAILED, error=f"{type(error).__name__}: {error}")
    return False


def _train(lease: Lease) -> None:
    run, folder = lease.run, jobs.folder_of(lease.run)
    _require_attempts_left(run.attempts)
    jobs.end_leftovers(folder, STOP_SECONDS, lease.renew)
    _prepare_base(lease)
    jobs.write(run)
    _note(run, "Training begins." if run.attempts == 1 else "Training goes on.")
    metrics = Metrics(run, folder / "metrics.jsonl")
    for attempt in range(run.attempts, MOST_ATTEMPTS + 1):
        lease.renew(attempts=attempt)
        child = _trainer(run, folder)
        code = _watch(child, lease, metrics)
        if code not in KILLED:
            break
        _note(run, "The trainer was killed; it starts again from its last checkpoint.")
    if code != 0:
        raise TrainingFailed(_why(code, folder, child))
    _register(lease, folder / "adapter")


def _require_attempts_left(attempts: int) -> None:
    if attempts > MOST_ATTEMPTS:
        raise TrainingFailed(
            f"Given up after {MOST_ATTEMPTS} attempts, each of which ended with its worker: "
            "the machine may lack memory. The log has more; resume to try again."
        )


def _prepare_base(lease: Lease) -> None:
    """Make the trainable copy of the base model on first use, in a process of its own."""
    model_dir = jobs.model_dir(lease.run.base)
    if (model_dir / COPY_NAME / "config.json").is_file():
        return
    _note(lease.run, "The base model is made ready for training, once.")
    command = [sys.executable, "-m", "training.base_weights", str(model_dir)]
    child = _child(command, jobs.folder_of(lease.run))
    code = _watch(child, lease, None)
    if code != 0:
        raise TrainingFailed(f"The base model can't be made ready:\n{child.last_words()}")


def _trainer(run: Run, folder: Path) -> Child:
    """Describe the trainer; with several devices, `accelerate` starts one process for each."""
    target = f"training.{run.stage}"
    devices = jobs.device_count()
    command = [sys.executable, "-m", target, str(folder)]
    if devices > 1:
        launcher = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu"]
        command = [*launcher, f"--num_processes={devices}", "--module", target, str(folder)]
    child = _child(command, folder)
    if devices > 1:  # killed, the launcher would leave its processes behind
        child.orphan_signal = signal.SIGTERM
    return child


def _child(command: list[str], folder: Path) -> Child:
    folder.mkdir(parents=True, exist_ok=True)
    return Child(
        name="trainer",
        command=command,
        log=folder / "trainer.log",
        environment={
            "OMP_WAIT_POLICY": "PASSIVE",  # idle threads that spin would slow the engine
            "HF_HUB_OFFLINE": "1",
            "TOKENIZERS_PARALLELISM": "false",
            "PYTHONUNBUFFERED": "1",
        },
        directory=settings.BASE_DIR,
        niceness=max(0, TRAINER_NICENESS - os.nice(0)),
        stop_seconds=STOP_SECONDS,
    )


def _watch(child: Child, lease: Lease, metrics: "Metrics | None") -> int:
    """Run a child to its end, passing on what it writes; return its exit code.

    Raises:
        LeaseLost: the run is no longer ours; the child was stopped, with a checkpoint.
    """
    child.start()
    try:
        while (code := child.exit_code()) is None:
            lease.renew(**(metrics.read() if metrics else {}))
            time.sleep(LOOK_SECONDS)
        lease.renew(**(metrics.read() if metrics else {}))
    finally:
        child.stop()
        if metrics:
            metrics.read()
    return code


class Metrics:
    """Copies the trainer's lines into RunEvents, each step once."""

    def __init__(self, run: Run, path: Path) -> None:
        self.run = run
        self.path = path
        self.seen = set(run.events.filter(step__isnull=False).values_list("step", flat=True))
        self.read_state: tuple[int, int] | None = None

    def read(self) -> dict[str, int]:
        """Store what is new; return the run's fields that it changes."""
        if not self.path.exists():
            return {}
        stat = self.path.stat()
        if (stat.st_ino, stat.st_size) == self.read_state:
            return {}
        self.read_state = (stat.st_ino, stat.st_size)
        entries = [entry for line in self._lines() if (entry := _parsed(line))]
        fresh = [entry for entry in entries if entry["step"] not in self.seen]
        RunEvent.objects.bulk_create([self._event(entry) for entry in fresh], ignore_conflicts=True)
        self.seen |= {entry["step"] for entry in fresh}
        if not entries:
            return {}
        return {"step": entries[-1]["step"], "total_steps": entries[-1]["total_steps"]}

    def _lines(self) -> list[str]:
        return self.path.read_text(encoding="utf-8").split("\n")[:-1]  # the last is unfinished

    def _event(self, entry: dict[str, Any]) -> RunEvent:
        return RunEvent(run=self.run, kind=RunEventKind.METRICS, step=entry["step"], data=entry)


def _parsed(line: str) -> dict[str, Any] | None:
    try:  # NaN and Infinity are no JSON to the database
        entry = json.loads(line, parse_constant=lambda _: None)
        return entry if {"step", "total_steps"} <= entry.keys() else None
    except (ValueError, AttributeError):
        return None


def _register(lease: Lease, adapter: Path) -> None:
    """Make the model known and end the run, both or neither."""
    run = lease.run
    weights = (adapter / "adapter_model.safetensors").read_bytes()
    with transaction.atomic():
        lease.renew()
        version = ModelVersion.objects.create(
            name=run.name,
            kind=WeightsKind.ADAPTER,
            base=run.base.base or run.base,
            folder=str(adapter),
            sha256=hashlib.sha256(weights).hexdigest(),
            description=f"{run.get_stage_display()}, on {run.dataset}"[:300],
        )
        Run.objects.filter(pk=run.pk).update(version=version)
        run.finish(RunStatus.SUCCEEDED)
    _note(run, f"The model {version} is registered.")


def _why(code: int, folder: Path, child: Child) -> str:
    """Say why a trainer failed, in its own words where it left some."""
    error = folder / "error.txt"
    if error.exists() and (text := error.read_text(encoding="utf-8").strip()):
        return text
    if code in KILLED:
        return "The trainer was killed again and again: the machine may lack memory."
    return f"The trainer ended with code {code}. Its log ends with:\n{child.last_words()}"


def _note(run: Run, text: str) -> None:
    RunEvent.objects.create(run=run, kind=RunEventKind.NOTE, data={"text": text})
