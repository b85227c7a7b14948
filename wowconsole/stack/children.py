"""The console's own processes: what each is called with."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wowconsole.stack.processes import Child

WEB_OPTIONS = [
    *("--ws", "websockets-sansio", "--ws-per-message-deflate", "false"),
    *("--ws-max-size", "1048576"),  # bytes held of one frame; chat frames are far smaller
    *("--loop", "uvloop", "--lifespan", "off", "--backlog", "4096"),
    *("--timeout-graceful-shutdown", "3"),  # an open chat would keep the server for ever
]


@dataclass(frozen=True)
class Children:
    """Describes children that share a checkout, a HOME and the variables of their environment."""

    base_dir: Path
    home: Path
    environment: Mapping[str, str]

    def web(self, host: str, port: int) -> Child:
        where = ["wowconsole.asgi:application", "--host", host, "--port", str(port)]
        return self._python("web", "-m", "uvicorn", *where, *WEB_OPTIONS)

    def engine(self, port: int) -> Child:
        return self.manage("engine", "--port", str(port))

    def worker(self, node: str) -> Child:
        options = ["-Q", "celery", "-c", "2", "-n", f"worker-{node}@%h"]
        return self._celery("worker", "worker", *options)

    def jobs(self, node: str) -> Child:
        """Sub-agents' jobs: they wait for people and engines most of the time, so threads do."""
        options = ["-Q", "jobs", "-P", "threads", "-c", "8", "-n", f"jobs-{node}@%h"]
        return self._celery("jobs", "worker", *options)

    def gpu(self, node: str) -> Child:
        """One training job at a time, giving way to whoever answers customers."""
        options = ["-Q", "gpu", "-c", "1", "--max-tasks-per-child", "1", "-n", f"gpu-{node}@%h"]
        child = self._celery("gpu", "worker", *options)
        child.niceness = 10
        child.environment = {**child.environment, "OMP_WAIT_POLICY": "PASSIVE"}
        return child

    def beat(self) -> Child:
        schedule = str(self.home / "run" / "celerybeat-schedule")
        return self._celery("beat", "beat", "--schedule", schedule)

    def manage(self, command: str, *arguments: str) -> Child:
        return self._python(command, str(self.base_dir / "manage.py"), command, *arguments)

    def _celery(self, name: str, *arguments: str) -> Child:
        return self._python(name, "-m", "celery", "-A", "wowconsole", *arguments)

    def _python(self, name: str, *arguments: str) -> Child:
        return Child(
            name=name,
            command=[sys.executable, *arguments],
            log=self.home / "logs" / f"{name}.log",
            environment=self.environment,
            directory=self.base_dir,
        )
