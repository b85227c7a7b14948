"""What the person at the terminal sees: lines that stay, and one line that is rewritten."""

import time
from typing import TextIO

PAUSE_SECONDS = 5.0  # between progress lines where nothing can be rewritten


class Terminal:
    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._live = out.isatty()
        self._label = ""
        self._told_at = 0.0

    def say(self, text: str) -> None:
        """Write a line that stays."""
        self._write(f"{self._erase()}{text}\n")

    def progress(self, label: str, detail: str = "") -> None:
        """Show what is going on: at once on a terminal, now and then in a file."""
        text = f"{label}: {detail}" if detail else f"{label} …"
        if self._live:
            self._write(f"\r\x1b[K{text[:200]}")
            return
        if label != self._label or time.monotonic() - self._told_at > PAUSE_SECONDS:
            self._label, self._told_at = label, time.monotonic()
            self._write(f"{text}\n")

    def _erase(self) -> str:
        return "\r\x1b[K" if self._live else ""

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()
