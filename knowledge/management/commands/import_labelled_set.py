"""`manage.py import_labelled_set DIR --scene SLUG`: a public retrieval set to measure on."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from knowledge import corpora
from knowledge.models import LabelledSet, Scene
from wowconsole.errors import Refused


class Command(BaseCommand):
    help = "Import a folder of corpus.jsonl, queries.jsonl and qrels.tsv as rules and labels."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path)
        parser.add_argument("--scene", required=True, help="slug; made if new")
        parser.add_argument("--name", help="of the set; default: the folder's")
        parser.add_argument("--limit", type=int, help="questions; default: all")
        parser.add_argument("--by", help="username of the author; default: the first superuser")

    def handle(self, *args: Any, **options: Any) -> None:
        folder: Path = options["folder"]
        name = options["name"] or folder.resolve().name
        if LabelledSet.objects.filter(name=name).exists():
            raise CommandError(f"There is a set “{name}” already. Choose another --name.")
        by = self._user(options["by"])
        try:
            corpus = corpora.read(folder)
            slug = options["scene"]
            scene, _ = Scene.objects.get_or_create(slug=slug, defaults={"name": slug})
            units = corpora.publish(corpus, scene=scene, by=by, tell=self.stdout.write)
            labelled_set = corpora.label(
                corpus, units, name=name, scene=scene, by=by, limit=options["limit"]
            )
        except (Refused, ValidationError) as error:
            raise CommandError(str(error)) from None
        count = labelled_set.queries.count()
        self.stdout.write(f"{len(units)} rules in {scene.slug}, {count} questions in “{name}”.")

    def _user(self, username: str | None) -> User:
        users = User.objects.filter(is_active=True)
        wanted = users.filter(username=username) if username else users.filter(is_superuser=True)
        user = wanted.order_by("pk").first()
        if user is None:
            raise CommandError("There is no such user. Name one with --by USERNAME.")
        return user
