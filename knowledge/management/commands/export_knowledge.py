"""`manage.py export_knowledge FILE`: the latest text of every rule as CSV, XLSX or JSONL."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from knowledge.exporting import KINDS, export_rows, write
from knowledge.models import KnowledgeUnit


class Command(BaseCommand):
    help = "Export rules to FILE (.csv, .xlsx or .jsonl), in the form import_knowledge reads."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--scene", help="slug; default: every scene")

    def handle(self, *args: Any, **options: Any) -> None:
        kind = options["file"].suffix.lower().removeprefix(".")
        if kind not in KINDS:
            raise CommandError("FILE must end in .csv, .xlsx or .jsonl.")
        units = KnowledgeUnit.objects.all()
        if options["scene"]:
            units = units.filter(scene__slug=options["scene"])
        with options["file"].open("wb") as file:
            file.writelines(write(export_rows(units), kind))
        self.stdout.write(f"{units.count()} rules written to {options['file']}")
