"""The local stack, with real servers in temporary folders."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import psycopg
import pytest
import redis

from wowconsole.stack import StackError, checks, paths, postgres, privileges, valkey
from wowconsole.stack.console import missing_parts
from wowconsole.stack.processes import Child
from wowconsole.stack.supervisor import Supervisor
from wowconsole.stack.terminal import Terminal

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]


@contextlib.contextmanager
def running_postgres(home):
    server = postgres.server(home, fsync="off", shared_buffers="16MB")
    server.start()
    try:
        postgres.wait_until_ready(server, home)
        yield server
    finally:
        server.stop()


def query(home, statement):
    with psycopg.connect(paths.postgres_url(home), autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else None


def wait_for(condition, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


class TestPostgres:
    def test_a_killed_server_recovers_with_its_rows(self, tmp_path):
        with running_postgres(tmp_path) as server:
            query(tmp_path, "CREATE EXTENSION vector; CREATE TABLE kept AS SELECT 42 AS answer")
            server.process.kill()
            server.process.wait()
        with running_postgres(tmp_path):
            assert query(tmp_path, "SELECT answer FROM kept") == [(42,)]

    def test_a_lock_that_names_a_strangers_process_is_no_obstacle(self, tmp_path):
        with running_postgres(tmp_path):
            lock = (tmp_path / "postgres" / "postmaster.pid").read_text()
        stale = "\n".join([str(os.getppid()), *lock.split("\n")[1:]])
        (tmp_path / "postgres" / "postmaster.pid").write_text(stale)
        with running_postgres(tmp_path):
            assert query(tmp_path, "SELECT 1") == [(1,)]

    def test_an_initdb_killed_half_way_is_done_again(self, tmp_path):
        (tmp_path / "postgres.new" / "base").mkdir(parents=True)
        (tmp_path / "postgres.new" / "PG_VERSION").write_text("18")
        with running_postgres(tmp_path):
            assert query(tmp_path, "SHOW server_encoding") == [("UTF8",)]
        assert not (tmp_path / "postgres.new").exists()

    def test_a_long_home_gets_a_short_socket(self, tmp_path):
        home = tmp_path / ("long " * 25)
        home.mkdir()
        with running_postgres(home):
            assert query(home, "SELECT 1") == [(1,)]
        paths.socket_dir(home).rmdir()

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
    def test_without_namespaces_root_runs_it_as_nobody(self, tmp_path):
        for folder in (tmp_path, *tmp_path.parents[:2]):
            folder.chmod(0o755)
        privileges.unprivileged.cache_clear()
        with mock.patch.object(privileges, "enter_namespace", side_effect=PermissionError):
            with running_postgres(tmp_path):
                query(tmp_path, "CREATE TABLE kept AS SELECT 42 AS answer")
            assert (tmp_path / "postgres").stat().st_uid == paths.NOBODY
        privileges.unprivileged.cache_clear()
        with running_postgres(tmp_path):  # and back: files follow whoever runs it
            assert query(tmp_path, "SELECT answer FROM kept") == [(42,)]

    def test_a_server_that_cannot_start_says_why(self, tmp_path):
        server = postgres.server(tmp_path, shared_buffers="nonsense")
        server.start()
        with pytest.raises(StackError, match="shared_buffers"):
            postgres.wait_until_ready(server, tmp_path)


class TestValkey:
    def test_answers_on_its_socket_until_stopped(self, tmp_path):
        server = valkey.server(tmp_path)
        server.start()
        valkey.wait_until_ready(server, tmp_path)
        with redis.Redis.from_url(paths.valkey_url(tmp_path)) as client:
            assert client.set("key", "value")
        server.stop()
        assert server.exit_code() == 0


class TestChecks:
    def test_a_busy_port_is_named(self):
        with socket.socket() as busy:
            busy.bind(("127.0.0.1", 0))
            busy.listen()
            port = busy.getsockname()[1]
            with pytest.raises(StackError, match=f"Port {port} is in use; set PORT="):
                checks.require_free_port("127.0.0.1", port)

    def test_a_number_that_is_no_port_is_named(self):
        for port in (0, 70_000):
            with pytest.raises(StackError, match=f"PORT is {port}; give a number"):
                checks.require_free_port("127.0.0.1", port)

    def test_a_second_console_is_refused_and_told_of_the_first(self, tmp_path):
        checks.prepare_home(tmp_path)
        with (
            checks.lock_home(tmp_path),
            pytest.raises(StackError, match=f"Another console \\(process {os.getpid()}\\)"),
        ):
            checks.lock_home(tmp_path)
        checks.lock_home(tmp_path).close()

    def test_a_full_disk_is_refused_on_the_first_start_only(self, tmp_path):
        with mock.patch("shutil.disk_usage", return_value=mock.Mock(free=200_000_000)):
            with pytest.raises(StackError, match=r"0\.2 GB left"):
                checks.prepare_home(tmp_path)
            (tmp_path / "postgres").mkdir()
            checks.prepare_home(tmp_path)

    def test_a_home_that_is_a_file_is_refused(self, tmp_path):
        (tmp_path / "home").write_text("")
        with pytest.raises(StackError, match="set WOWCONSOLE_HOME"):
            checks.prepare_home(tmp_path / "home")

    def test_the_secret_is_made_once_and_is_private(self, tmp_path):
        first = paths.secret_key(tmp_path / "home")
        assert len(first) >= 50
        assert paths.secret_key(tmp_path / "home") == first
        assert (tmp_path / "home" / "secret_key").stat().st_mode & 0o077 == 0

    def test_commands_find_the_engine_of_the_console_beside_them(self, tmp_path):
        assert paths.engine_url(tmp_path) == "http://127.0.0.1:8100/v1"
        paths.note_engine(tmp_path, "http://127.0.0.1:41234/v1")
        assert paths.engine_url(tmp_path) == "http://127.0.0.1:41234/v1"


class TestChildren:
    def child(self, tmp_path, command, **options):
        return Child(name="sample", command=command, log=tmp_path / "sample.log", **options)

    def test_one_that_ignores_the_request_is_killed_in_time(self, tmp_path):
        deaf = ["sh", "-c", "trap '' TERM; echo deaf; while true; do sleep 1; done"]
        child = self.child(tmp_path, deaf, stop_seconds=0.2)
        child.start()
        wait_for(lambda: "deaf" in child.last_words())
        child.stop()
        assert child.exit_code() == -signal.SIGKILL

    def test_children_and_their_pools_die_with_a_killed_console(self, tmp_path):
        log = tmp_path / "sample.log"
        console = subprocess.Popen([sys.executable, "-c", CONSOLE, str(log)])
        wait_for(lambda: log.exists() and log.read_text().endswith("\n"))
        leader, member = map(int, log.read_text().split())
        assert running(leader)
        assert running(member)
        console.kill()
        console.wait()
        wait_for(lambda: not running(leader) and not running(member))

    def test_one_that_dies_is_restarted_and_the_terminal_told(self, tmp_path):
        said = []
        supervisor = Supervisor(said.append)
        child = self.child(tmp_path, SLEEPER)
        supervisor.start(child)
        first = child.process
        first.kill()
        wait_for(lambda: watched(supervisor) and child.process is not first)
        assert said == [f"sample ended (signal 9); again in 1 s. Log: {child.log}"]
        supervisor.stop()
        assert child.exit_code() == -signal.SIGTERM

    def test_a_vital_one_that_never_gets_going_ends_the_console(self, tmp_path):
        supervisor = Supervisor(lambda text: None)
        supervisor.start(self.child(tmp_path, ["sh", "-c", "echo broken; exit 3"]), vital=True)
        with (
            mock.patch("wowconsole.stack.supervisor.LONGEST_PAUSE_SECONDS", 0.01),
            pytest.raises(StackError, match=r"(?s)sample does not stay up.*broken"),
        ):
            wait_for(lambda: not watched(supervisor))

    def test_stores_stop_after_those_who_use_them(self, tmp_path):
        order = []
        supervisor = Supervisor(lambda text: None)
        for name, is_store in (("store", True), ("user", False)):
            child = self.child(tmp_path, SLEEPER, is_store=is_store)
            child.ask_to_stop = lambda name=name, ask=child.ask_to_stop: (order.append(name), ask())
            supervisor.start(child)
        supervisor.stop()
        assert order == ["user", "store"]


class TestTerminal:
    def test_a_file_gets_few_progress_lines(self, tmp_path):
        with (tmp_path / "out").open("w") as out:
            terminal = Terminal(out)
            for percent in range(100):
                terminal.progress("Weights", f"{percent} %")
            terminal.say("Done.")
        assert (tmp_path / "out").read_text() == "Weights: 0 %\nDone.\n"

    def test_waiting_names_the_web_server_while_nothing_answers(self):
        assert missing_parts(f"http://127.0.0.1:{checks.free_port()}/readyz") == "web"


CONSOLE = """
import sys, time
from pathlib import Path
from wowconsole.stack.processes import Child
from wowconsole.stack.supervisor import Supervisor
pool = ["sh", "-c", "sleep 60 & echo $$ $!; wait"]
Supervisor(print).start(Child(name="sample", command=pool, log=Path(sys.argv[1])))
time.sleep(60)
"""


def running(pid):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    return False


def watched(supervisor):
    supervisor.watch()
    return True
