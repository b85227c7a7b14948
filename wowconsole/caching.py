"""The cache: Redis, and this process's own memory while Redis is away.

What is kept here are counts of attempts and other things of seconds. While Redis is away each
process counts for itself, which is worth more than letting nobody in.
"""

import logging
import time
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

logger = logging.getLogger(__name__)

AWAY_SECONDS = 2.0  # after a failure, before Redis is asked again
PATIENCE_SECONDS = 1.0
IMPATIENT = {
    "socket_timeout": PATIENCE_SECONDS,
    "socket_connect_timeout": PATIENCE_SECONDS,
    "retry": Retry(NoBackoff(), 0),
}


class FailsafeCache(BaseCache):
    """Django's Redis cache, which falls back on memory rather than fail."""

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(params)
        self._redis = RedisCache(server, {**params, "OPTIONS": IMPATIENT})
        self._memory = LocMemCache("failsafe", params)
        self._away_until = 0.0  # on the monotonic clock

    def _try(self, name: str, *args: Any) -> Any:
        """Call Redis' method of this name, or memory's."""
        if time.monotonic() >= self._away_until:
            try:
                return getattr(self._redis, name)(*args)
            except (RedisError, OSError):
                self._away_until = time.monotonic() + AWAY_SECONDS
                logger.warning("Redis is not reachable; this process counts for itself")
        return getattr(self._memory, name)(*args)

    def add(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: Any = None) -> Any:
        return self._try("add", key, value, timeout, version)

    def get(self, key: Any, default: Any = None, version: Any = None) -> Any:
        return self._try("get", key, default, version)

    def set(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: Any = None) -> Any:
        return self._try("set", key, value, timeout, version)

    def touch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: Any = None) -> Any:
        return self._try("touch", key, timeout, version)

    def delete(self, key: Any, version: Any = None) -> Any:
        return self._try("delete", key, version)

    def incr(self, key: Any, delta: int = 1, version: Any = None) -> Any:
        return self._try("incr", key, delta, version)

    def clear(self) -> Any:
        return self._try("clear")
