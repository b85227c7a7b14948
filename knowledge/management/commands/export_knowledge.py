"""`manage.py export_knowledge FILE`: the latest text of every rule as CSV or JSONL."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from knowledge.importing import as_csv, as_jsonl, export_rows
from knowledge.models import KnowledgeUnit


class Command(BaseCommand):
    help = "Export rules to FILE (.csv or .jsonl), in the form import_knowledge reads."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--scene", help="slug; default: every scene")

    def handle(self, *args: Any, **options: Any) -> None:
        write = {".csv": as_csv, ".jsonl": as_jsonl}.get(options["file"].suffix.lower())
        if write is None:
            raise CommandError("FILE must end in .csv or .jsonl.")
        units = KnowledgeUnit.objects.with_latest().order_by("pk")
        if options["scene"]:
            units = units.filter(scene__slug=options["scene"])
        with options["file"].open("w", encoding="utf-8", newline="") as file:
            file.writelines(write(export_rows(units)))
        self.stdout.write(f"{units.count()} rules written to {options['file']}")
