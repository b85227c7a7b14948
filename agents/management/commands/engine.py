"""Run the embedded engine: `manage.py engine --port 8100`."""

import signal
import sys
from argparse import ArgumentParser
from types import FrameType
from typing import Any

import uvicorn
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from agents.embedded.pool import Limits, Places, Pool
from agents.embedded.server import create_app
from agents.embedded.weights import BASE_MODEL, base_model_path
from wowconsole.env import env_int

STARTER = "starter"
GRACE_SECONDS = 10  # for running requests, when the engine is asked to stop


class Command(BaseCommand):
    help = "Serves the embedded model over OpenAI's API, on this machine only by default."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, required=True)
        parser.add_argument("--host", default="127.0.0.1")

    def handle(self, *args: Any, **options: Any) -> None:  # Any: Django's signature
        limits = Limits(
            threads=env_int("ENGINE_THREADS", default=2),
            writing_threads=env_int("ENGINE_WRITING_THREADS", default=1),
        )
        pool = Pool(places(), limits)
        starter = settings.STARTER_ADAPTER_DIR
        preload = {STARTER: starter} if starter.is_dir() else {}
        # uvicorn finishes what runs, then raises the signal again: that is a clean end here.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, leave)
        uvicorn.run(
            create_app(pool, preload),
            host=options["host"],
            port=options["port"],
            lifespan="on",
            log_level="warning",
            timeout_graceful_shutdown=GRACE_SECONDS,
        )


def leave(number: int, frame: FrameType | None) -> None:
    sys.exit(0)


def places() -> Places:
    """Return where the engine reads and writes; raise CommandError if there are no weights."""
    weights = base_model_path(settings.MODELS_DIR)
    if not weights.is_file():
        raise CommandError(
            f"There are no model weights at {weights}. Run `manage.py console` once: it fetches "
            "them. Or set ENGINE_URL to another OpenAI-compatible engine."
        )
    roots = (settings.ARTIFACTS_DIR, settings.STARTER_ADAPTER_DIR.parent)
    return Places(BASE_MODEL, weights, weights.parent / "merged", roots)
