"""What a training process takes of the machine, tells while it runs, and hears. No Django."""

import ctypes
import json
import math
import os
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from training.rows import Row

STOPPED = 143  # 128 + SIGTERM, as a shell would report it


def use_cores(threads: int) -> None:
    """Bind torch, not yet imported, to `threads` cores, and keep its memory from call to call.

    By default glibc gives every large tensor back to the system, which then clears the same
    pages again for the next one: a third of a step's time on small virtual machines.
    """
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # waiting threads leave the core alone
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # nothing is looked up: all files are here
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):  # musl has none
            libc.mallopt(-1, -1)  # M_TRIM_THRESHOLD: never trim
            libc.mallopt(-4, 0)  # M_MMAP_MAX: no block by mmap
    import torch

    torch.set_num_threads(threads)


def multiplies_bf16() -> bool:
    """Whether this machine multiplies bfloat16 natively; elsewhere it is slower than float32."""
    import torch

    return torch.cuda.is_available() or bool(torch.cpu._is_avx512_bf16_supported())


class Stopping:
    """SIGTERM, heard: at once while nothing is trained, after the current step otherwise."""

    def __init__(self) -> None:
        self.asked = False
        self.training = False
        signal.signal(signal.SIGTERM, self._hear)

    def _hear(self, *_: object) -> None:
        self.asked = True
        if not self.training:
            raise SystemExit(STOPPED)


def progress_callback(metrics: Path, last: Row, stopping: Stopping) -> Any:
    """Return the Trainer's callback that writes `metrics` and hears `stopping`.

    `last` is the line to go on from: the Trainer's own counters of seconds and tokens begin
    anew after a resume, those written here do not.
    """
    from transformers import TrainerCallback

    started = time.monotonic()

    class Progress(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if not state.is_world_process_zero or "loss" not in (logs or {}):
                return
            if not math.isfinite(logs["loss"]):
                raise FloatingPointError(f"The loss is {logs['loss']} at step {state.global_step}.")
            entry = {
                "step": state.global_step,
                "total_steps": state.max_steps,
                "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
                **{name: value for name, value in logs.items() if name != "epoch"},
                "seconds": round(last.get("seconds", 0) + time.monotonic() - started, 3),
                "num_tokens": int(last.get("num_tokens", 0) + logs["num_tokens"]),
            }
            with metrics.open("a") as stream:
                stream.write(json.dumps(entry) + "\n")

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if anybody_asked(stopping):
                control.should_save = control.should_training_stop = True

    return Progress()


def anybody_asked(stopping: Stopping) -> bool:
    """Whether any process of this training was told to stop, so that all stop at one step."""
    import torch
    from torch import distributed

    if not (distributed.is_available() and distributed.is_initialized()):
        return stopping.asked
    device = "cuda" if torch.cuda.is_available() else "cpu"
    asked = torch.tensor(int(stopping.asked), device=device)
    distributed.all_reduce(asked, op=distributed.ReduceOp.MAX)
    stopping.asked = bool(asked.item())
    return stopping.asked


def new_adapter(recipe: Any) -> Any:
    """Return the shape of a fresh LoRA adapter (PEFT's LoraConfig) on every linear layer."""
    from peft import LoraConfig

    return LoraConfig(
        task_type="CAUSAL_LM",
        r=recipe.lora_rank,
        lora_alpha=recipe.lora_alpha,
        lora_dropout=recipe.lora_dropout,
        target_modules="all-linear",
    )
