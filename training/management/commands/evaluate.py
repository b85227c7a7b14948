"""manage.py evaluate: ask a model the held-out examples of a data set, here and now."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from agents.engines import EngineUnavailable
from agents.models import ModelVersion
from training import evaluating
from training.management.commands.train import named
from training.models import Dataset


class Command(BaseCommand):
    help = "Ask a model the held-out examples of a data set and print how it did."

    def create_parser(self, *args: Any, **kwargs: Any) -> CommandParser:
        # Django has a --version of its own on every command.
        return super().create_parser(*args, conflict_handler="resolve", **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--version", required=True, dest="model", help="name of the model")
        parser.add_argument("--dataset", required=True, help="its name")
        parser.add_argument("--limit", type=int, default=evaluating.MOST_EXAMPLES)

    def handle(self, *args: Any, **options: Any) -> None:
        version = named(ModelVersion, options["model"])
        dataset = named(Dataset, options["dataset"])
        if not evaluating.held_out(dataset).exists():
            raise CommandError(f"“{dataset}” holds nothing out to be measured on.")
        try:
            evaluation = evaluating.evaluate(
                version, dataset, limit=options["limit"], tell=self.stdout.write
            )
        except EngineUnavailable as error:
            raise CommandError(f"The engine does not answer: {error}") from None
        for name, share in evaluation.metrics.items():
            low, high = share["low"], share["high"]
            text = f"{name:<20}{share['share']:.3f}  ({low:.3f} to {high:.3f}, n={share['count']})"
            self.stdout.write(text)
