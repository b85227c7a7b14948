"""Measure the running installation; one JSON line a benchmark."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from wowconsole.benchmarks import BENCHMARKS


class Command(BaseCommand):
    help = "Run a benchmark against the configured database and engine."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", choices=BENCHMARKS)
        parser.add_argument("--count", type=int, default=50, help="how many measurements")

    def handle(self, *args: Any, **options: Any) -> None:
        figures = BENCHMARKS[options["name"]](options["count"])
        self.stdout.write(json.dumps({"bench": options["name"], **figures}))
