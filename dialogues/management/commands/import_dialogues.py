"""Store dialogues from a JSONL or CSV file."""

import time
from argparse import ArgumentParser
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from dialogues.importing import SceneOf, Summary, import_rows
from dialogues.reading import Row, UnreadableRow, read_file
from knowledge.models import Scene

ERRORS_SHOWN = 20


class Command(BaseCommand):
    help = "Store the dialogues of a JSONL or CSV file. Those stored earlier are skipped."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--scene", help="slug, for all; else each dialogue's own")
        parser.add_argument("--format", choices=["auto", "jsonl", "csv"], default="auto")
        parser.add_argument("--by", metavar="USERNAME", help="author of the file's judgements")
        parser.add_argument("--dry-run", action="store_true", help="check the file, store nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["file"]
        if not path.is_file():
            raise CommandError(f"There is no file {path}.")
        started = time.perf_counter()
        with transaction.atomic() if options["dry_run"] else nullcontext():
            summary = import_rows(
                read_file(path, kind=options["format"]),
                scene_of=self._scene_of(options["scene"]),
                by=self._author(options["by"]),
            )
            if options["dry_run"]:
                transaction.set_rollback(True)
        self._print(summary, time.perf_counter() - started, stored=not options["dry_run"])

    def _scene_of(self, slug: str | None) -> SceneOf:
        scenes = {scene.slug: scene for scene in Scene.objects.all()}
        if slug and slug not in scenes:
            raise CommandError(f"There is no scene {slug!r}; there are {', '.join(scenes)}.")
        if slug:
            return scenes[slug]

        def own(row: Row) -> Scene | None:
            name = row.get("scene")
            if name and name not in scenes:
                raise UnreadableRow(f"there is no scene {name!r}")
            return scenes[name] if name else None

        return own

    def _author(self, username: str | None) -> User | None:
        if not username:
            return None
        try:
            return User.objects.get(username=username)
        except User.DoesNotExist:
            raise CommandError(f"There is no user {username!r}.") from None

    def _print(self, summary: Summary, seconds: float, *, stored: bool) -> None:
        self.stdout.write(
            f"{'Stored' if stored else 'Would store'} {summary.dialogues} dialogues: "
            f"{summary.events} events, {summary.turns} turns, {summary.cases} cases; "
            f"{summary.skipped} were there already; {len(summary.errors)} unreadable. "
            f"{seconds:.1f} s"
        )
        if summary.unknown_units:
            names = ", ".join(sorted(summary.unknown_units)[:ERRORS_SHOWN])
            self.stdout.write(f"Cited, but not in the knowledge base: {names}")
        for line, error in summary.errors[:ERRORS_SHOWN]:
            self.stderr.write(f"line {line}: {error}")
        if summary.errors:
            raise CommandError(f"{len(summary.errors)} lines were not imported.")
