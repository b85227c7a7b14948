"""`manage.py console`: everything the console needs, on this machine, until Ctrl-C."""

import signal
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from wowconsole.demo.logins import demo_logins
from wowconsole.env import env_int, env_secret, env_text
from wowconsole.stack import StackError
from wowconsole.stack.console import Console, Plan
from wowconsole.stack.terminal import Terminal

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Command(BaseCommand):
    help = "Run everything on this machine: database, broker, model, web server and workers."
    requires_system_checks = []  # they need a database, which this command starts

    def handle(self, *args: Any, **options: Any) -> None:
        console = Console(plan(), Terminal(sys.stdout))
        for number in STOPPING:
            signal.signal(number, signal.default_int_handler)
        try:
            console.check()
        except StackError as error:
            raise CommandError(str(error)) from None
        try:
            console.bring_up()
            console.welcome(demo_logins() if settings.DEMO else [])
            console.keep_running()
        except KeyboardInterrupt:
            self._stop(console)
        except StackError as error:
            self._stop(console)
            raise CommandError(str(error)) from None

    def _stop(self, console: Console) -> None:
        for number in STOPPING:
            signal.signal(number, signal.SIG_IGN)  # each part has its deadline
        console.stop()


def plan() -> Plan:
    """Read what to bring up from the settings and the environment."""
    return Plan(
        base_dir=settings.BASE_DIR,
        home=settings.HOME_DIR,
        host=env_text("HOST", default="127.0.0.1"),
        port=env_int("PORT", default=8000),
        embed_postgres=env_secret("DATABASE_URL") is None,
        embed_valkey=env_secret("REDIS_URL") is None,
        embed_engine=env_secret("ENGINE_URL") is None,
        demo=settings.DEMO,
    )
