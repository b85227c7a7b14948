"""Threads for the synchronous code of sockets and long polls.

Channels runs all of it in one thread of the process, one call after the other: ten thousand
windows would wait for each other's statements. Here each connection has one of a few
long-lived threads, and in it its order. (Django gives each page a thread of its own.)
"""

from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from typing import Any

from asgiref.sync import ThreadSensitiveContext


class Threads:
    """Some threads that the connections of ASGI applications share."""

    def __init__(self, count: int) -> None:
        names = (f"chat-{number}" for number in range(count))
        self.threads = cycle([ThreadPoolExecutor(1, thread_name_prefix=name) for name in names])

    def serving(self, app: Any) -> Any:
        """Return the application whose synchronous code runs in these threads."""

        async def serve(scope: dict[str, Any], receive: Any, send: Any) -> None:
            # Never left: an answer that is being written when its window closes goes on in it.
            # The server runs each connection, and each request, in a task of its own, and with
            # the last task it is gone.
            context: Any = ThreadSensitiveContext(executor=next(self.threads))
            await context.__aenter__()
            await app(scope, receive, send)

        return serve
