"""Everything on one machine: checks, stores, migrations, weights, processes, addresses."""

import os
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from agents.embedded.weights import WeightsUnavailable, ensure_base_model
from wowconsole.stack import StackError, checks, postgres, valkey
from wowconsole.stack.children import Children
from wowconsole.stack.paths import note_engine, postgres_url, valkey_url
from wowconsole.stack.supervisor import Supervisor
from wowconsole.stack.terminal import Terminal

READY_SECONDS = 120.0
WATCH_SECONDS = 0.2


@dataclass(frozen=True)
class Plan:
    """What to bring up; a part that the environment names an address for is not embedded."""

    base_dir: Path
    home: Path
    host: str
    port: int
    embed_postgres: bool
    embed_valkey: bool
    embed_engine: bool
    demo: bool

    @property
    def address(self) -> str:
        """Return the root URL as a browser on this machine reaches it."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)  # noqa: S104 - read, not bound
        return f"http://{host}:{self.port}"


class Console:
    """One run of the console, from the main thread."""

    def __init__(self, plan: Plan, terminal: Terminal) -> None:
        self.plan = plan
        self.terminal = terminal
        self.supervisor = Supervisor(terminal.say)

    def check(self) -> None:
        """Refuse to start where that can't end well; hold HOME from now on."""
        checks.prepare_home(self.plan.home)
        self._lock = checks.lock_home(self.plan.home)
        checks.require_free_port(self.plan.host, self.plan.port)
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a chat is a file

    def bring_up(self) -> None:
        """Start everything and wait until it serves."""
        environment = {
            "DJANGO_SETTINGS_MODULE": "wowconsole.settings",
            "WOWCONSOLE_HOME": str(self.plan.home),
            "PUBLIC_URL": os.environ.get("PUBLIC_URL") or self.plan.address,
            "PYTHONUNBUFFERED": "1",
        }
        environment |= self._start_stores()
        children = Children(self.plan.base_dir, self.plan.home, environment)
        self._prepare_database(children)
        if self.plan.embed_engine:
            self._fetch_weights()
            engine_port = checks.free_port()
            environment["ENGINE_URL"] = f"http://127.0.0.1:{engine_port}/v1"
            self.supervisor.start(children.engine(engine_port))
            note_engine(self.plan.home, environment["ENGINE_URL"])
        self._start_processes(children)
        self._wait_until_ready()

    def keep_running(self) -> None:
        """Restart what dies, until a signal ends this."""
        while True:
            self.supervisor.watch()
            time.sleep(WATCH_SECONDS)

    def stop(self) -> None:
        self.terminal.progress("Stopping")
        self.supervisor.stop()
        self.terminal.say("Stopped.")

    def welcome(self, logins: Sequence[tuple[str, str, str]]) -> None:
        """Print where to go and how to get in. `logins` are (role, user, password)."""
        pages = {"Console": "/", "Chat page": "/chat/", "API docs": "/api/docs/"}
        for name, path in pages.items():
            self.terminal.say(f"  {name:<12}{self.plan.address}{path}")
        if logins:
            self.terminal.say("Demo logins (role, user, password):")
        for role, user, password in logins:
            self.terminal.say(f"  {role:<14}{user:<14}{password}")
        self.terminal.say("Ctrl-C stops everything.")

    def _start_stores(self) -> dict[str, str]:
        home, addresses = self.plan.home, {}
        if self.plan.embed_postgres:
            self.terminal.progress("Starting PostgreSQL")
            server = postgres.server(home)
            self.supervisor.start(server)
            postgres.wait_until_ready(server, home)
            addresses["DATABASE_URL"] = postgres_url(home)
        if self.plan.embed_valkey:
            self.terminal.progress("Starting Valkey")
            broker = valkey.server(home)
            self.supervisor.start(broker)
            valkey.wait_until_ready(broker, home)
            addresses["REDIS_URL"] = valkey_url(home)
        return addresses

    def _prepare_database(self, children: Children) -> None:
        steps = [("Migrating the database", children.manage("migrate", "--no-input"))]
        if self.plan.demo:
            steps.append(("Loading the demo business", children.manage("load_demo")))
        for label, child in steps:
            self.supervisor.run(child, tick=self._ticking(label))

    def _ticking(self, label: str) -> Callable[[], None]:
        started_at = time.monotonic()
        return lambda: self.terminal.progress(label, f"{time.monotonic() - started_at:.0f} s")

    def _fetch_weights(self) -> None:
        models = self.plan.home / "models"
        try:
            ensure_base_model(models, lambda text: self.terminal.progress("Model weights", text))
        except WeightsUnavailable as error:
            raise StackError(str(error)) from None

    def _start_processes(self, children: Children) -> None:
        node = str(self.plan.port)
        self.supervisor.start(children.web(self.plan.host, self.plan.port), vital=True)
        workers = (children.worker(node), children.jobs(node), children.gpu(node))
        for child in (*workers, children.beat()):
            self.supervisor.start(child)

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        missing = "web"
        while time.monotonic() < deadline:
            self.supervisor.watch()
            missing = missing_parts(f"{self.plan.address}/readyz")
            if not missing:
                self.terminal.say("WOWConsole is ready.")
                return
            self.terminal.progress("Waiting for", missing)
            time.sleep(WATCH_SECONDS)
        self.terminal.say(f"Not ready yet: {missing}. See the logs in {self.plan.home / 'logs'}.")


def missing_parts(url: str) -> str:
    """Ask /readyz and name what is not there yet; an empty text means ready."""
    try:
        answer = httpx.get(url, timeout=5.0)
        if answer.status_code == httpx.codes.OK:
            return ""
        parts = answer.json()
    except (httpx.HTTPError, ValueError):
        return "web"
    return ", ".join(sorted(name for name, state in parts.items() if state not in {"ok", True}))
