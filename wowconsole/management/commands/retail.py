"""Serve the retail shop, a second demo business, as an MCP server."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser


class Command(BaseCommand):
    help = "Serve the retail shop of a folder with db.json as an MCP server."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--data", type=Path, required=True, help="folder with db.json")
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8042)
        parser.add_argument("--state", type=Path, help="file that keeps what was changed")

    def handle(self, *args: Any, **options: Any) -> None:
        import uvicorn

        from wowconsole.demo.retail_server import application, open_shop

        try:
            ledger = open_shop(options["data"], options["state"])
        except (OSError, ValueError, KeyError) as error:
            raise CommandError(f"No shop can be read from {options['data']}: {error}") from None
        self.stdout.write(f"http://{options['host']}:{options['port']}/mcp")
        uvicorn.run(
            application(ledger), host=options["host"], port=options["port"], log_level="warning"
        )
