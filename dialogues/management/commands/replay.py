"""manage.py replay: what publishing a rule's latest text would change, here and now."""

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from dialogues import tasks
from dialogues.loop import replaying
from dialogues.loop.summarising import advice, summarise
from dialogues.models import Replay
from knowledge.models import KnowledgeUnit
from wowconsole.errors import Refused


class Command(BaseCommand):
    help = "Ask past questions again, without a rule's unpublished edit and with it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("unit", type=int, help="number of the rule")
        parser.add_argument("--removal", action="store_true", help="as if it were archived")
        parser.add_argument("--by", help="user name it is done for; otherwise the rule's owner")

    def handle(self, *args: Any, **options: Any) -> None:
        unit = KnowledgeUnit.objects.select_related("owner").filter(pk=options["unit"]).first()
        if unit is None:
            raise CommandError(f"There is no rule {options['unit']}.")
        by = User.objects.filter(username=options["by"] or unit.owner.username).first()
        if by is None:
            raise CommandError(f"There is no user “{options['by']}”.")
        try:
            replay = replaying.start_replay(unit=unit, by=by, is_removal=options["removal"])
        except Refused as refused:
            raise CommandError(str(refused)) from None
        tasks.replay(replay.job_id)  # a worker that was quicker does it instead
        self._print(Replay.objects.select_related("job", "revision").get(pk=replay.pk))

    def _print(self, replay: Replay) -> None:
        summary = summarise(replay)
        self.stdout.write(f"{replay}: {replay.job.get_state_display().lower()}")
        for name in ("looked_at", "affected", "entered", "left", "answered", "unanswered", "same"):
            self.stdout.write(f"{name:<12}{getattr(summary, name):>6}")
        for label, count, low, high in summary.percentages:
            share = f"  ({low} to {high} % of {summary.judged})" if summary.judged else ""
            self.stdout.write(f"{label.lower():<12}{count:>6}{share}")
        self.stdout.write(f"{'open':<12}{summary.open:>6}\n{'harmful':<12}{summary.harmful:>6}")
        self.stdout.write(advice(summary, replay))
        if replay.job.error:
            raise CommandError(replay.job.error)
