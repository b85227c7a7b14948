"""Kills what a killed console leaves: a program that waits for the end of its input.

The kernel's death signal reaches the console's children but not theirs, and the pool of a
busy Celery worker would go on. Each line of input is "+PID" (a process group began) or
"-PID" (it ended); the end of input is the end of the console, however it came.
"""

import contextlib
import os
import signal
import sys


def main() -> None:
    groups: set[int] = set()
    for line in sys.stdin:
        change = groups.add if line.startswith("+") else groups.discard
        change(int(line[1:]))
    for group in groups:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
