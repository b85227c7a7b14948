"""Measure the running installation; one JSON line a benchmark."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from knowledge.models import LabelledSet
from wowconsole.benchmark_calls import CALLS
from wowconsole.benchmarks import BENCHMARKS

COUNT = 50


class Command(BaseCommand):
    help = "Run a benchmark against the configured database and engine."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", choices=BENCHMARKS)
        parser.add_argument("--count", type=int, help="how many measurements; 50, or 7 calls")
        parser.add_argument(
            "--units", type=int, help="retrieval: among so many synthetic rules, e.g. 100000"
        )
        parser.add_argument("--sets", help="quality: a folder of labelled sets")
        parser.add_argument("--data", help="attacks: a folder with attacks.jsonl")
        parser.add_argument(
            "--labelled", help="turn: a labelled set, whose questions are asked instead"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["name"]
        if name == "quality" and not options["sets"]:
            raise CommandError("quality needs --sets DIR: a folder of labelled sets.")
        if name == "attacks" and not options["data"]:
            raise CommandError("attacks needs --data DIR: a folder with attacks.jsonl.")
        taken = {
            "attacks": ["data"],
            "quality": ["sets"],
            "retrieval": ["units"],
            "turn": ["labelled"],
        }.get(name, [])
        labelled = options["labelled"]
        if labelled and not LabelledSet.objects.filter(name=labelled).exists():
            raise CommandError(f"There is no labelled set “{labelled}”; see import_labelled_set.")
        count = options["count"] or (CALLS if name == "calls" else COUNT)
        figures = BENCHMARKS[name](count, **{key: options[key] for key in taken})
        self.stdout.write(json.dumps({"bench": name, **figures}))
