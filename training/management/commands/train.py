"""manage.py train: launch a run, as the page does, and wait for its end if asked to."""

import time
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from agents.models import ModelVersion
from training import services
from training.models import Dataset, Run, RunStatus, Stage
from wowconsole.errors import Refused

LOOK_SECONDS = 2.0


class Command(BaseCommand):
    help = "Launch a training run; a worker of queue gpu carries it out."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--stage", required=True, choices=Stage.values)
        parser.add_argument("--dataset", required=True, help="its name")
        parser.add_argument("--base", default="smollm2-135m", help="model to start from")
        parser.add_argument("--name", required=True, help="of the run and of its model")
        parser.add_argument(
            "--set", action="append", default=[], metavar="KEY=VALUE", help="of the recipe"
        )
        parser.add_argument("--by", help="user name; the first administrator if not given")
        parser.add_argument("--wait", action="store_true", help="until the run has ended")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            run = services.launch_run(
                by=someone(options["by"]),
                name=options["name"],
                stage=options["stage"],
                dataset=named(Dataset, options["dataset"]),
                base=named(ModelVersion, options["base"]),
                recipe=dict(_pair(text) for text in options["set"]),
            )
        except Refused as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"{run.name} is queued as {run.public_id}.")
        if options["wait"]:
            self._wait(run)

    def _wait(self, run: Run) -> None:
        shown = -1
        while not run.is_finished:
            time.sleep(LOOK_SECONDS)
            run.refresh_from_db()
            if run.step != shown:
                shown = run.step
                self.stdout.write(f"{run.status}: step {run.step} of {run.total_steps}")
        if run.status != RunStatus.SUCCEEDED:
            raise CommandError(run.error or f"The run was {run.status}.")
        self.stdout.write(f"{run.name} is a model now.")


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        raise CommandError(f"--set takes KEY=VALUE, not {text!r}.")
    return name, value


def named(model: Any, name: str) -> Any:
    """Return the row of that name, or end with the names there are."""
    row = model.objects.filter(name=name).first()
    if row is None:
        known = ", ".join(model.objects.values_list("name", flat=True)[:20]) or "none"
        raise CommandError(f"No {model._meta.verbose_name} is named {name!r}; there are: {known}.")
    return row


def someone(username: str | None) -> User:
    """Return who launches: the user named, or the first administrator."""
    users = User.objects.filter(is_active=True).order_by("pk")
    user = users.filter(username=username) if username else users.filter(is_superuser=True)
    if found := user.first():
        return found
    raise CommandError("Name an existing user with --by.")
