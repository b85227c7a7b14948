"""Train the adapter that the project ships, from its own demo content."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from agents.embedded.weights import ensure_base_model
from training.base_weights import ensure_hf_copy
from wowconsole.demo.starter import rows

BASE = "smollm2-135m"


class Command(BaseCommand):
    help = "Train agents/adapters/starter anew: half an hour on two cores. Resumes when cut off."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--epochs", type=int, default=2)
        parser.add_argument("--threads", type=int, default=2)

    def handle(self, *args: Any, **options: Any) -> None:
        job = write_job(epochs=options["epochs"], threads=options["threads"])
        self.stdout.write(f"Training in {job}; metrics.jsonl grows as it goes.")
        trained = subprocess.run([sys.executable, "-m", "training.sft", str(job)], check=False)
        if trained.returncode:
            raise CommandError(f"Training ended with {trained.returncode}; see {job}/error.txt.")
        shutil.copytree(job / "adapter", settings.STARTER_ADAPTER_DIR, dirs_exist_ok=True)
        self.stdout.write(f"Wrote {settings.STARTER_ADAPTER_DIR}.")


def write_job(*, epochs: int, threads: int) -> Path:
    """Write what training.sft reads, and return the folder."""
    job: Path = settings.ARTIFACTS_DIR / "starter"
    job.mkdir(parents=True, exist_ok=True)
    ensure_base_model(settings.MODELS_DIR, print)
    train, held_out = rows()
    for name, part in (("train", train), ("heldout", held_out)):
        lines = [json.dumps(row) + "\n" for row in part]
        (job / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    description = {
        "stage": "sft",
        "base_dir": str(ensure_hf_copy(settings.MODELS_DIR / BASE)),
        "base_name": BASE,
        "recipe": {"epochs": epochs, "threads": threads},
    }
    (job / "job.json").write_text(json.dumps(description), encoding="utf-8")
    return job
