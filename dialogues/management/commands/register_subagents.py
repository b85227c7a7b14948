"""Put sub-agents and plans of calls into the tool catalogue; a second run changes nothing."""

from typing import Any

from django.core.management.base import BaseCommand

from dialogues.jobs.registering import register_tools


class Command(BaseCommand):
    help = "Make or update the tools that lead to sub-agents."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"{register_tools()} tools changed.")
