"""A circuit breaker: what has failed again and again is left alone for a while.

It opens after FAILURES within WINDOW_SECONDS. After OPEN_SECONDS one caller may try (half
open): success closes it, failure opens it anew. The state is in Redis, so that all processes
spare a dead engine; while Redis is away each process counts for itself.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from django.conf import settings
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

FAILURES = 5
WINDOW_SECONDS = 30
OPEN_SECONDS = 15
TRIAL_SECONDS = 90  # how long one caller may take over its try before another gets one
REDIS_SECONDS = 0.25  # what its state may cost a customer
WITHOUT_REDIS_SECONDS = 5.0  # before Redis is asked again after it failed


class BreakerOpen(Exception):
    """It failed too often of late, so it was not tried."""


@dataclass(slots=True)
class _Own:
    """What this process knows of one name while Redis is away; times are `time.monotonic`."""

    failures: list[float] = field(default_factory=list)
    tripped: bool = False
    next_try: float = 0.0


# A client's connections belong to the event loop that opened them.
_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, "Redis"] = WeakKeyDictionary()
_own: dict[str, _Own] = {}
_redis_back_at = 0.0


@asynccontextmanager
async def guarded(name: str, *, counts: type[Exception]) -> AsyncIterator[None]:
    """Run the block unless the breaker `name` is open; an error of type `counts` counts.

    Raises:
        BreakerOpen: it is; the block did not run.
    """
    state = await _look(name)
    if state == "open":
        raise BreakerOpen(f"It failed {FAILURES} times within {WINDOW_SECONDS} s: not tried now.")
    try:
        yield
    except counts:
        await failed(name, trial=state == "trial")
        raise
    if state == "trial":
        await succeeded(name)


async def _look(name: str) -> str:
    """Return "closed", "open", or "trial": this caller is the one that may try."""
    redis = _redis()
    if redis is None:
        return _look_here(name)
    try:
        if not await redis.exists(_tripped(name)):
            return "closed"
        if await redis.exists(_pause(name)):
            return "open"
        first = await redis.set(_trial(name), 1, nx=True, ex=TRIAL_SECONDS)
    except (RedisError, OSError) as error:
        _without_redis(error)
        return _look_here(name)
    return "trial" if first else "open"


def _look_here(name: str) -> str:
    own, now = _own.get(name), time.monotonic()
    if own is None or not own.tripped:
        return "closed"
    if now < own.next_try:
        return "open"
    own.next_try = now + TRIAL_SECONDS
    return "trial"


async def failed(name: str, *, trial: bool = False) -> None:
    """Count a failure; open the breaker where it was one too many, or a trial's."""
    _failed_here(name, trial)
    redis, now = _redis(), time.time()
    if redis is None:
        return
    key = f"breaker:{name}:failures"
    try:
        async with redis.pipeline() as pipe:
            pipe.zadd(key, {f"{now:.6f}": now})
            pipe.zremrangebyscore(key, 0, now - WINDOW_SECONDS)
            pipe.zcard(key)
            pipe.expire(key, WINDOW_SECONDS)
            _, _, count, _ = await pipe.execute()
        if trial or count >= FAILURES:
            await _open(redis, name)
    except (RedisError, OSError) as error:
        _without_redis(error)


async def _open(redis: "Redis", name: str) -> None:
    logger.warning("Breaker of %s opens for %s s", name, OPEN_SECONDS)
    async with redis.pipeline() as pipe:
        pipe.set(_tripped(name), 1, ex=3600)  # nobody calls it for an hour: forgotten
        pipe.set(_pause(name), 1, ex=OPEN_SECONDS)
        pipe.delete(_trial(name))
        await pipe.execute()


def _failed_here(name: str, trial: bool) -> None:
    own, now = _own.setdefault(name, _Own()), time.monotonic()
    own.failures = [at for at in own.failures if at > now - WINDOW_SECONDS] + [now]
    if trial or len(own.failures) >= FAILURES:
        own.tripped, own.next_try = True, now + OPEN_SECONDS


async def succeeded(name: str) -> None:
    """Close the breaker."""
    _own.pop(name, None)
    redis = _redis()
    if redis is None:
        return
    try:
        names = (_tripped(name), _pause(name), _trial(name), f"breaker:{name}:failures")
        await redis.delete(*names)
    except (RedisError, OSError) as error:
        _without_redis(error)


def _tripped(name: str) -> str:
    return f"breaker:{name}:tripped"


def _pause(name: str) -> str:
    return f"breaker:{name}:pause"


def _trial(name: str) -> str:
    return f"breaker:{name}:trial"


def _redis() -> "Redis | None":
    if time.monotonic() < _redis_back_at:
        return None
    loop = asyncio.get_running_loop()
    if loop not in _clients:
        _clients[loop] = Redis.from_url(
            settings.REDIS_URL,
            socket_timeout=REDIS_SECONDS,
            socket_connect_timeout=REDIS_SECONDS,
            retry=Retry(NoBackoff(), 0),  # a customer waits
        )
    return _clients[loop]


def _without_redis(error: Exception) -> None:
    global _redis_back_at
    logger.warning("Redis is not reachable (%s): breakers count by process", error)
    _redis_back_at = time.monotonic() + WITHOUT_REDIS_SECONDS


async def close() -> None:
    """Close this event loop's connection; for whoever ends the loop after a few calls."""
    if client := _clients.pop(asyncio.get_running_loop(), None):
        await client.aclose()
