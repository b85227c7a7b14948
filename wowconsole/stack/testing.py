"""A throw-away PostgreSQL and Valkey for a test session: quick, and not durable."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from wowconsole.stack import postgres, valkey
from wowconsole.stack.paths import postgres_url, valkey_url


@contextmanager
def ephemeral(home: Path) -> Iterator[dict[str, str]]:
    """Run both below `home` and yield the variables that lead to them."""
    home.mkdir(parents=True, exist_ok=True)
    database = postgres.server(home, fsync="off", synchronous_commit="off", full_page_writes="off")
    broker = valkey.server(home)
    with ExitStack() as running:
        for child in (database, broker):
            child.start()
            running.callback(child.stop)
        postgres.wait_until_ready(database, home)
        valkey.wait_until_ready(broker, home)
        yield {"DATABASE_URL": postgres_url(home), "REDIS_URL": valkey_url(home)}


if __name__ == "__main__":  # python -m wowconsole.stack.testing HOME COMMAND…
    with ephemeral(Path(sys.argv[1])) as variables:
        environment = {**os.environ, **variables, "WOWCONSOLE_HOME": sys.argv[1]}
        sys.exit(subprocess.call(sys.argv[2:], env=environment))
