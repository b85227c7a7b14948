"""A child process that dies with its parent, writes a log of its own and stops in time."""

import contextlib
import ctypes
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from wowconsole.stack.privileges import LIBC, enter_as_is

PR_SET_PDEATHSIG = 1
LARGEST_LOG = 10_000_000  # bytes; a longer log is put aside as NAME.log.1 at the next start


@dataclass
class Child:
    """One program: how it is started, and how it is asked to stop.

    A store is what the others stand on: it stops after them.
    `prepare` runs in the parent before each start, `enter` in the child before exec.
    `orphan_signal` is what the kernel sends when the parent dies, however it dies: start
    children from the main thread only, since the kernel takes the thread for the parent.
    """

    name: str
    command: list[str]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: Path | None = None
    is_store: bool = False
    niceness: int = 0
    stop_signal: signal.Signals = signal.SIGTERM
    orphan_signal: signal.Signals = signal.SIGKILL  # after SIGTERM a busy worker would stay
    stop_seconds: float = 10.0
    prepare: Callable[[], None] = enter_as_is
    enter: Callable[[], None] = enter_as_is
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the program as the leader of a session of its own: Ctrl-C is ours to pass on."""
        self.prepare()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > LARGEST_LOG:
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.directory,
                env=os.environ | self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=self._before_exec(os.getpid()),
            )

    def exit_code(self) -> int | None:
        """Return None while it runs, or has never been started."""
        return self.process.poll() if self.process else None

    def ask_to_stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(self.stop_signal)

    def finish(self, seconds: float) -> None:
        """Wait that long for the end, then kill what is left of its process group."""
        if self.process is None:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(max(seconds, 0))
        self.sweep()
        self.process.wait()

    def sweep(self) -> None:
        """Kill the whole group: the pool of a worker that was killed outlives its leader."""
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def stop(self) -> None:
        self.ask_to_stop()
        self.finish(self.stop_seconds)

    def last_words(self, lines: int = 12) -> str:
        """Return the end of the log."""
        if not self.log.exists():
            return ""
        text = self.log.read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def _before_exec(self, parent: int) -> Callable[[], None]:
        def before_exec() -> None:
            self.enter()  # first: a change of user clears the death signal
            os.nice(self.niceness)
            LIBC.prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(self.orphan_signal))
            if os.getppid() != parent:  # it died before prctl: nobody will tell us
                os._exit(1)

        return before_exec
