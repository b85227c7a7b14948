"""What a training process reads from its job folder and leaves there. No Django.

    job.json       in   {"stage", "base_dir", "adapter_dir"?, "base_name"?, "recipe": {...}}
    train.jsonl    in   one row a line; replay.jsonl likewise, optional
    metrics.jsonl  out  one line per optimiser step, flushed; no step twice, also after a resume
    checkpoints/   out  checkpoint-N, the last two
    adapter/       out  the LoRA adapter for the original base, in one step at the very end
    outcome.json   out  what was done, written after the adapter
    error.txt      out  one line, only after a failure

Exit codes: 0 done; 143 stopped by SIGTERM, with a checkpoint if a step was finished; 2 the
job or its rows are refused; 1 anything else. A later start on the same folder goes on from
the newest complete checkpoint.
"""

import hashlib
import json
import os
import shutil
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from training.progress import STOPPED, Stopping, progress_callback
from training.rows import JobRefused, Row

REFUSED = 2
PARTS_OF_CHECKPOINT = ("adapter_model.safetensors", "optimizer.pt", "scheduler.pt")
LIBRARIES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets")


@dataclass(frozen=True, slots=True)
class Job:
    """One training job, as its folder describes it."""

    folder: Path
    base_dir: Path
    base_name: str  # written into the adapter, instead of a path of this machine
    adapter_dir: Path | None
    recipe: dict[str, Any]

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def metrics(self) -> Path:
        return self.folder / "metrics.jsonl"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a finished training leaves behind, besides the adapter."""

    steps: int  # optimiser steps
    metrics: dict[str, float]  # of the last step, by TRL's names
    seconds: float  # of training, all processes that worked on it
    tokens: int  # seen, prompts and repetitions included
    rows: int  # of train.jsonl and replay.jsonl
    train_sha256: str
    replay_sha256: str  # "" without replayed rows
    recipe: dict[str, Any]  # defaults included
    versions: dict[str, str]


def read_job(folder: Path, stage: str) -> Job:
    """Raises JobRefused when job.json is missing, of another stage, or names no base model."""
    try:
        said = json.loads((folder / "job.json").read_text())
        base_dir = Path(said["base_dir"])
        adapter_dir = Path(said["adapter_dir"]) if said.get("adapter_dir") else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise JobRefused(f"job.json can't be used: {error!r}.") from error
    if said.get("stage") != stage:
        raise JobRefused(f"job.json is for stage {said.get('stage')!r}, not {stage!r}.")
    if not (base_dir / "config.json").is_file():
        raise JobRefused(f"There is no base model in {base_dir}.")
    if adapter_dir and not (adapter_dir / "adapter_config.json").is_file():
        raise JobRefused(f"There is no adapter in {adapter_dir}.")
    name = said.get("base_name") or base_dir.name
    return Job(folder, base_dir, name, adapter_dir, said.get("recipe") or {})


def newest_complete(checkpoints: Path) -> Path | None:
    """Return the newest checkpoint that was written to its end; delete newer, broken ones.

    The Trainer writes trainer_state.json last, so a checkpoint is whole when that file is.
    """
    found = sorted(checkpoints.glob("checkpoint-*"), key=lambda path: int(path.name[11:]))
    for path in reversed(found):
        if _is_complete(path):
            return path
        shutil.rmtree(path)
    return None


def _is_complete(checkpoint: Path) -> bool:
    try:
        state = json.loads((checkpoint / "trainer_state.json").read_text())
    except (OSError, ValueError):
        return False
    there = all((checkpoint / name).is_file() for name in PARTS_OF_CHECKPOINT)
    return there and state["global_step"] == int(checkpoint.name[11:])


def keep_until(metrics: Path, step: int) -> Row:
    """Drop what was logged after `step`, and half-written lines; return the last line kept."""
    kept: list[str] = []
    last: Row = {}
    for line in metrics.read_text().splitlines() if metrics.exists() else []:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if entry["step"] <= step:
            kept.append(line + "\n")
            last = entry
    write_in_one_step(metrics, "".join(kept))
    return last


def write_in_one_step(path: Path, text: str) -> None:
    scratch = path.with_name(f".{path.name}.part")
    scratch.write_text(text)
    os.replace(scratch, path)


def prepare(job: Job) -> tuple[Path | None, Row]:
    """Return the checkpoint to go on from and the metrics' last line before it.

    Raises:
        JobRefused: the checkpoints come from other rows or another job.json.
    """
    job.checkpoints.mkdir(exist_ok=True)
    begun = job.checkpoints / "begun.json"
    files = {
        name: sha256(job.folder / name) for name in ("job.json", "train.jsonl", "replay.jsonl")
    }
    checkpoint = newest_complete(job.checkpoints)
    if checkpoint and json.loads(begun.read_text()) != files:
        raise JobRefused("The job or its rows changed after training began; use a new folder.")
    write_in_one_step(begun, json.dumps(files))
    step = int(checkpoint.name[11:]) if checkpoint else 0
    return checkpoint, keep_until(job.metrics, step)


def sha256(path: Path) -> str:
    """Return the hex digest of a file, "" when there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""


def train(trainer: Any, job: Job, stopping: Stopping) -> None:
    """Run the Trainer from the start, or from the job's newest checkpoint.

    Raises:
        SystemExit: STOPPED, when SIGTERM came; a checkpoint of the last step is there.
    """
    checkpoint, last = prepare(job)
    trainer.add_callback(progress_callback(job.metrics, last, stopping))
    stopping.training = True
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    stopping.training = False
    if stopping.asked:
        raise SystemExit(STOPPED)


def save_adapter(trainer: Any, job: Job, dtype: str) -> None:
    """Write the trained LoRA to adapter/: weights as `dtype` and their configuration only."""
    import torch
    from safetensors.torch import load_file, save_file

    scratch, adapter = job.folder / ".adapter.part", job.folder / "adapter"
    shutil.rmtree(scratch, ignore_errors=True)
    model = trainer.accelerator.unwrap_model(trainer.model)
    model.peft_config["default"].base_model_name_or_path = job.base_name
    model.save_pretrained(scratch, selected_adapters=["default"], save_embedding_layers=False)
    (scratch / "README.md").unlink(missing_ok=True)  # PEFT's empty model card
    weights = scratch / "adapter_model.safetensors"
    tensors = {name: t.to(getattr(torch, dtype)) for name, t in load_file(weights).items()}
    save_file(tensors, weights, metadata={"format": "pt"})
    weights.chmod(0o644)  # safetensors writes 0600; the engine may run under another account
    shutil.rmtree(adapter, ignore_errors=True)
    os.replace(scratch, adapter)


def finish(trainer: Any, job: Job, recipe: Any, rows: int) -> None:
    """Save the adapter, then outcome.json, whose presence says that all is done."""
    if not trainer.is_world_process_zero():
        return
    save_adapter(trainer, job, recipe.save_dtype)
    step = trainer.state.global_step
    last = keep_until(job.metrics, step)
    outcome = Outcome(
        steps=step,
        metrics={name: value for name, value in last.items() if isinstance(value, int | float)},
        seconds=last["seconds"],
        tokens=last["num_tokens"],
        rows=rows,
        train_sha256=sha256(job.folder / "train.jsonl"),
        replay_sha256=sha256(job.folder / "replay.jsonl"),
        recipe=asdict(recipe),
        versions={name: version(name) for name in LIBRARIES},
    )
    write_in_one_step(job.folder / "outcome.json", json.dumps(asdict(outcome), indent=1))


def run(folder: Path, stage: str, train_job: Callable[[Job, Stopping], None]) -> int:
    """Train the job in `folder`; return the exit code. A failure's reason goes to error.txt."""
    stopping = Stopping()
    (folder / "error.txt").unlink(missing_ok=True)
    try:
        train_job(read_job(folder, stage), stopping)
    except JobRefused as refused:
        write_in_one_step(folder / "error.txt", f"{refused}\n")
        return REFUSED
    except Exception as error:  # noqa: BLE001  # the outermost frame: whatever it was, it is told
        traceback.print_exc()
        write_in_one_step(
            folder / "error.txt", f"{type(error).__name__}: {' '.join(str(error).split())}\n"
        )
        return 1
    return 0
