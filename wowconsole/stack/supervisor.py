"""Keeps the children running: restarts what dies, stops all of them in reverse order."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from wowconsole.stack import StackError, keeper
from wowconsole.stack.processes import Child

LONGEST_PAUSE_SECONDS = 30.0
EARLY_SECONDS = 5.0  # a child that dies within these did not get going
EARLY_DEATHS = 5  # of a vital child, in a row: it never will
STEADY_SECONDS = 60.0  # a child that lasted this long starts with a clean slate


@dataclass
class Watched:
    child: Child
    vital: bool
    started_at: float
    early_deaths: int = 0
    restarts: int = 0
    restart_at: float | None = None

    def note_death(self, now: float) -> float:
        """Count it and return the pause before the next start: 1, 2, 4 … 30 seconds."""
        lifetime = now - self.started_at
        self.early_deaths = self.early_deaths + 1 if lifetime < EARLY_SECONDS else 0
        self.restarts = 0 if lifetime > STEADY_SECONDS else self.restarts + 1
        pause = min(2.0 ** max(self.restarts - 1, 0), LONGEST_PAUSE_SECONDS)
        self.restart_at = now + pause
        return pause


class Supervisor:
    """All children of one console. Use it from the main thread only (see `Child`)."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._watched: list[Watched] = []
        self._keeper = subprocess.Popen(
            [sys.executable, "-I", keeper.__file__],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def start(self, child: Child, *, vital: bool = False) -> None:
        """Start a child and keep it running; a vital one that never gets going ends the console."""
        self._watched.append(Watched(child, vital, time.monotonic()))
        child.start()
        self._tell_keeper("+", child)

    def run(self, child: Child, tick: Callable[[], None]) -> None:
        """Run a child to its end, calling `tick` while waiting.

        Raises:
            StackError: it failed.
        """
        try:
            child.start()
            while child.exit_code() is None:
                tick()
                time.sleep(0.1)
        finally:
            child.stop()
        if child.exit_code() != 0:
            raise StackError(f"{child.name} failed; {child.log} says:\n{child.last_words()}")

    def watch(self) -> None:
        """Look once after every child.

        Raises:
            StackError: a vital child died early too often.
        """
        now = time.monotonic()
        for watched in self._watched:
            if watched.restart_at is None:
                self._look(watched, now)
            elif now >= watched.restart_at:
                self._restart(watched, now)

    def stop(self) -> None:
        """Stop everything: first who serves and works, all at once, then what they stand on."""
        children = [watched.child for watched in reversed(self._watched)]
        stores = [child for child in children if child.is_store]
        others = [child for child in children if not child.is_store]
        asked_at = time.monotonic()
        for child in others:
            child.ask_to_stop()
        for child in others:
            child.finish(asked_at + child.stop_seconds - time.monotonic())
        for child in stores:
            child.stop()
        for child in others:
            self._tell_keeper("-", child)
        self._keeper.communicate()

    def _tell_keeper(self, change: str, child: Child) -> None:
        if child.process is None or child.is_store or self._keeper.stdin is None:
            return  # a store gets its own signal, to close its files
        with contextlib.suppress(BrokenPipeError):
            self._keeper.stdin.write(f"{change}{child.process.pid}\n".encode())
            self._keeper.stdin.flush()

    def _look(self, watched: Watched, now: float) -> None:
        child = watched.child
        code = child.exit_code()
        if code is None:
            return
        child.sweep()
        self._tell_keeper("-", child)
        pause = watched.note_death(now)
        if watched.vital and watched.early_deaths >= EARLY_DEATHS:
            raise StackError(
                f"{child.name} does not stay up; {child.log} says:\n{child.last_words()}"
            )
        reason = f"code {code}" if code >= 0 else f"signal {-code}"
        self._say(f"{child.name} ended ({reason}); again in {pause:.0f} s. Log: {child.log}")

    def _restart(self, watched: Watched, now: float) -> None:
        watched.restart_at, watched.started_at = None, now
        try:
            watched.child.start()
            self._tell_keeper("+", watched.child)
        except (OSError, StackError, subprocess.SubprocessError) as error:
            pause = watched.note_death(now)
            self._say(f"{watched.child.name} did not start ({error}); again in {pause:.0f} s.")
