"""What must be true before anything starts, each failure said in words."""

import errno
import fcntl
import os
import shutil
import socket
from pathlib import Path
from typing import IO

from wowconsole.stack import StackError
from wowconsole.stack.paths import private_dir

FIRST_START_BYTES = 1_500_000_000  # weights, their training copy and the cluster


def prepare_home(home: Path) -> None:
    """Make HOME.

    Raises:
        StackError: it can't be written, or the disk is too full for a first start.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
        private_dir(home / "run")
        (home / "run" / "probe").write_bytes(b"x")
    except OSError as error:
        raise StackError(f"Can't write to {home} ({error}); set WOWCONSOLE_HOME.") from None
    free = shutil.disk_usage(home).free
    if not (home / "postgres").exists() and free < FIRST_START_BYTES:
        raise StackError(
            f"The disk of {home} has {free / 1e9:.1f} GB left and the first start needs "
            f"{FIRST_START_BYTES / 1e9:.1f} GB; make room or set WOWCONSOLE_HOME."
        )


def lock_home(home: Path) -> IO[str]:
    """Hold HOME for this process; the kernel lets go when it ends, however it ends.

    Raises:
        StackError: another console holds it.
    """
    lock = (home / "run" / "console.lock").open("a+", encoding="ascii")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        raise StackError(
            f"Another console (process {lock.read().strip()}) runs in {home}; "
            "stop it or set WOWCONSOLE_HOME."
        ) from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def require_free_port(host: str, port: int) -> None:
    """Refuse a port that can't be listened on.

    Raises:
        StackError: it is in use, not ours to use, or no port at all.
    """
    if not 0 < port < 65536:  # getaddrinfo would take it modulo 65536
        raise StackError(f"PORT is {port}; give a number from 1 to 65535.")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise StackError(f"Port {port} is in use; set PORT={port + 1}.") from None
        raise StackError(f"Can't listen on {host}:{port} ({error}); set HOST or PORT.") from None


def free_port() -> int:
    """Return a loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
