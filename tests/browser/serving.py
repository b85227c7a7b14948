"""The whole console as processes of its own: database, demo, real weights, web server."""

import os
import subprocess
import time
from contextlib import ExitStack, contextmanager

import httpx
import psycopg
from django.conf import settings
from psycopg import sql

from agents.embedded.weights import ensure_base_model
from wowconsole.stack.checks import free_port
from wowconsole.stack.children import Children

START_SECONDS = 120
DEMO = "browser_demo"  # the demo as it is loaded; each Site has a copy
loaded = set()


class Site:
    """A running console; its web server can be taken away and brought back."""

    def __init__(self, address, web, children):
        self.address = address
        self.web = web
        self.children = children

    def start(self):
        self.web.start()
        wait_for(f"{self.address}/healthz", self.web)

    def stop(self):
        self.web.stop()

    @contextmanager
    def working(self):
        """Run a Celery worker of each queue, as the console does."""
        with ExitStack() as running:
            children = self.children
            for child in (children.worker("test"), children.jobs("test"), children.gpu("test")):
                child.start()
                running.callback(child.stop)
            yield


@contextmanager
def serve(home):
    """Run the demo on a database and weights of its own below `home`; yield the Site.

    Every process dies with this one. Raises WeightsUnavailable.
    """
    link_weights(home)
    web_port, engine_port = free_port(), free_port()
    environment = {
        "WOWCONSOLE_HOME": str(home),
        "DJANGO_SETTINGS_MODULE": "wowconsole.settings",
        "DATABASE_URL": address_of("browser"),
        "PUBLIC_URL": f"http://127.0.0.1:{web_port}",
        "ENGINE_URL": f"http://127.0.0.1:{engine_port}/v1",
    }
    load_demo(home, environment)
    make_database("browser", template=DEMO)
    children = Children(settings.BASE_DIR, home, environment)
    engine = children.engine(engine_port)
    site = Site(environment["PUBLIC_URL"], children.web("127.0.0.1", web_port), children)
    with ExitStack() as running:
        engine.start()
        running.callback(engine.stop)
        wait_for(f"http://127.0.0.1:{engine_port}/health", engine)
        running.callback(site.stop)
        site.start()
        yield site


def load_demo(home, environment):
    """Load the demo into a database that sites copy; that takes most of a start, so it is once."""
    if DEMO in loaded:
        return
    make_database(DEMO)
    children = Children(settings.BASE_DIR, home, environment | {"DATABASE_URL": address_of(DEMO)})
    for command in ("migrate", "load_demo"):
        finish(children.manage(command))
    loaded.add(DEMO)


def link_weights(home):
    """Let `home` share the checkout's weights: they are fetched once, not once a session."""
    models = settings.BASE_DIR / ".local" / "models"
    ensure_base_model(models, lambda text: None)
    (home / "models").symlink_to(models)


def address_of(name):
    return psycopg.conninfo.make_conninfo(dbname=name, **server())


def server():
    """Return where the other tests' database is."""
    parts = settings.DATABASES["default"]
    where = {key: parts[key.upper()] for key in ("host", "port", "user", "password")}
    return {key: value for key, value in where.items() if value}


def make_database(name, template="template1"):
    """Create a database beside the one of the other tests, as a copy of another."""
    create = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
    with psycopg.connect(dbname="postgres", autocommit=True, **server()) as connection:
        connection.execute(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        )
        connection.execute(create.format(sql.Identifier(name), sql.Identifier(template)))


def finish(child):
    command = subprocess.run(
        child.command,
        cwd=child.directory,
        env=os.environ | child.environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert command.returncode == 0, command.stdout + command.stderr


def wait_for(url, child):
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert child.exit_code() is None, child.last_words()
        try:
            if httpx.get(url, timeout=5).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"{url} did not answer in time:\n{child.last_words()}")
