"""`manage.py import_knowledge FILE`: rules from a CSV, XLSX or JSONL file."""

from argparse import ArgumentParser
from collections import Counter
from pathlib import Path
from time import perf_counter
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError

from knowledge.importing import Import, make_scene
from knowledge.models import Scene
from knowledge.reading import read_rows
from wowconsole.errors import Refused

SHOWN_ERRORS = 20


class Command(BaseCommand):
    help = "Import rules. Columns: external_id scene title condition content questions …"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--scene", help="slug for every row, made if new; else the rows' own")
        parser.add_argument("--publish", action="store_true", help="let agents use them at once")
        parser.add_argument("--dry-run", action="store_true", help="report only")
        parser.add_argument("--by", help="username of the author; default: the first superuser")
        parser.add_argument("--approved-by", help="username that publishes; default: the author")

    def handle(self, *args: Any, **options: Any) -> None:
        author = self._user(options["by"])
        approver = self._user(options["approved_by"]) if options["approved_by"] else author
        job = Import(
            author=author,
            scenes={scene.slug: scene for scene in Scene.objects.all()},
            scene=self._scene(options["scene"], dry_run=options["dry_run"]),
            make_scene=make_scene,
            publisher=approver if options["publish"] else None,
        )
        started = perf_counter()
        try:
            with options["file"].open("rb") as file:
                rows = read_rows(file, options["file"].name)
                report = job.run(rows, dry_run=options["dry_run"])
        except (OSError, Refused) as error:
            raise CommandError(str(error)) from None
        for line in [line for line in report if line.error][:SHOWN_ERRORS]:
            self.stderr.write(f"line {line.line}: {line.action}: {line.error}")
        counts = Counter(line.action for line in report)
        summary = ", ".join(f"{count} {action}" for action, count in sorted(counts.items()))
        note = " (dry run: nothing was saved)" if options["dry_run"] else ""
        seconds = perf_counter() - started
        self.stdout.write(f"{len(report)} rows in {seconds:.1f} s: {summary}{note}")

    def _user(self, username: str | None) -> User:
        users = User.objects.filter(is_active=True)
        wanted = users.filter(username=username) if username else users.filter(is_superuser=True)
        user = wanted.order_by("pk").first()
        if user is None:
            raise CommandError("There is no such user. Name one with --by USERNAME.")
        return user

    def _scene(self, slug: str | None, *, dry_run: bool) -> Scene | None:
        if not slug:
            return None
        scene = Scene.objects.filter(slug=slug).first()
        if scene is None and dry_run:
            raise CommandError(f"There is no scene “{slug}” yet; a dry run makes none.")
        return scene or make_scene(slug)
