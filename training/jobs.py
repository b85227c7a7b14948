"""The job folder of a run: what its trainer reads, and which processes still use it."""

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from django.conf import settings

from agents.models import ModelVersion, WeightsKind
from training.base_weights import COPY_NAME
from training.models import Dataset, DatasetForm, Example, Run, Split, Stage

LOG_BYTES_SHOWN = 6_000
NVIDIA_DEVICES = Path("/proc/driver/nvidia/gpus")
TRAINERS = ("training.sft", "training.dpo", "training.base_weights")


class JobRefused(Exception):
    """The run must not be trained as it is; the message is for people."""


def folder_of(run: Run) -> Path:
    return Path(settings.ARTIFACTS_DIR) / "runs" / str(run.public_id)


def model_dir(version: ModelVersion) -> Path:
    """Return the folder of the base model that a version stands on."""
    base = version.base or version
    return Path(base.folder) if base.folder else Path(settings.MODELS_DIR) / base.name


def write(run: Run) -> Path:
    """Write the job folder, once: a resumed training must find the same job and rows.

    Raises:
        JobRefused: a held-out conversation or rule is among the rows. The database does
            not let that happen; this looks again before the weights are changed.
    """
    folder = folder_of(run)
    train = run.dataset.examples.filter(split=Split.TRAIN).order_by("position")
    replay = _replay(run, train.count())
    for examples in (train, replay):
        _require_not_held_out(examples)
    if (folder / "job.json").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    _write_rows(folder / "train.jsonl", train)
    if replay:
        _write_rows(folder / "replay.jsonl", replay)
    _write(folder / "job.json", json.dumps(_job(run), indent=1))  # last: now it is whole
    return folder


def _job(run: Run) -> dict[str, Any]:
    base = run.base.base or run.base
    job = {
        "stage": run.stage,
        "base_dir": str(model_dir(run.base) / COPY_NAME),
        "base_name": base.name,
        "recipe": run.recipe,
    }
    if run.base.kind == WeightsKind.ADAPTER:
        job["adapter_dir"] = run.base.folder
    return job


def _replay(run: Run, count: int) -> list[Example]:
    """Return SFT rows that preference training repeats, lest it unlearn what was right.

    As many as there are pairs, evenly from the newest message set's training rows.
    """
    sets = Dataset.objects.filter(form=DatasetForm.MESSAGES, created_at__lte=run.created_at)
    newest = sets.order_by("-pk").first()
    if run.stage != Stage.DPO or newest is None:
        return []
    rows = newest.examples.filter(split=Split.TRAIN).order_by("position")
    return list(rows)[:: max(1, rows.count() // count)][:count]


def _require_not_held_out(examples: Iterable[Example]) -> None:
    origins = {example.origin for example in examples}
    held = Example.objects.filter(split=Split.HELD_OUT, origin__in=origins).first()
    if held is not None:
        raise JobRefused(f"{held.origin} is held out in “{held.dataset}”; it can't be learnt.")


def _write_rows(path: Path, examples: Iterable[Example]) -> None:
    _write(path, "".join(json.dumps(example.data) + "\n" for example in examples))


def _write(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.part")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


def log_tail(run: Run) -> str:
    """Return the end of the trainer's log, "" where there is none on this machine."""
    path = folder_of(run) / "trainer.log"
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - LOG_BYTES_SHOWN))
            return log.read().decode("utf-8", errors="replace")
    except OSError:
        return ""


def device_count() -> int:
    """Return how many NVIDIA devices a trainer may use; 0 means the processor."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([part for part in visible.split(",") if part.strip()])
    return len(list(NVIDIA_DEVICES.iterdir())) if NVIDIA_DEVICES.is_dir() else 0


def end_leftovers(folder: Path, patience_seconds: float, tick: Callable[[], None]) -> None:
    """Wait for trainers that still work in a folder, then kill them.

    A worker that was killed takes its trainer along, but one that lost its lease gives it
    time for a checkpoint, and a launcher's processes may outlive it.
    """
    deadline = time.monotonic() + patience_seconds
    while pids := _trainers_in(folder):
        if time.monotonic() > deadline:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        tick()
        time.sleep(0.2)


def _trainers_in(folder: Path) -> list[int]:
    return [
        int(process.name)
        for process in Path("/proc").glob("[0-9]*")
        if _works_in(process / "cmdline", str(folder))
    ]


def _works_in(cmdline: Path, folder: str) -> bool:
    try:
        words = cmdline.read_bytes().decode(errors="replace").split("\0")
    except OSError:  # it has just ended
        return False
    return folder in words and any(name in words for name in TRAINERS)
