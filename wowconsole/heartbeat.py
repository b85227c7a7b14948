"""A sign of life of each Celery worker, in the cache: /readyz reads it and waits for nobody."""

from typing import Any

from celery import bootsteps
from django.core.cache import cache

BEAT_SECONDS = 5.0
LIFETIME_SECONDS = 20  # three missed beats and some: the worker is gone or stuck


def is_alive(queue: str) -> bool:
    """Say whether a worker of `queue` gave a sign of life lately."""
    return cache.get(_key(queue)) is not None


def beat(queue: str) -> None:
    cache.set(_key(queue), 1, LIFETIME_SECONDS)


def _key(queue: str) -> str:
    return f"heartbeat:{queue}"


class Heartbeat(bootsteps.StartStopStep):
    """Beats from the worker's own event loop, for each queue it serves.

    It runs in the worker's parent process: a long training run in the child does not
    silence it, a stuck loop does.
    """

    requires = ("celery.worker.components:Timer",)

    def __init__(self, worker: Any, **options: Any) -> None:
        self._timer_entry: Any = None

    def start(self, worker: Any) -> None:
        self._beat_all(worker)
        self._timer_entry = worker.timer.call_repeatedly(
            BEAT_SECONDS, self._beat_all, (worker,), priority=10
        )

    def stop(self, worker: Any) -> None:
        if self._timer_entry is not None:
            self._timer_entry.cancel()
            self._timer_entry = None

    def _beat_all(self, worker: Any) -> None:
        for queue in worker.app.amqp.queues.consume_from:
            beat(queue)
