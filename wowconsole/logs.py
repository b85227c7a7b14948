"""Structured logs: one line an event, JSON unless a person watches, with ids of what it is about.

Code logs through the standard library; `bind(conversation=…, turn=…)` adds the ids to
every later line of the same task or request.
"""

import sys
import time
import uuid
from collections.abc import Callable
from typing import Any

import structlog
from django.http import HttpRequest, HttpResponse
from structlog.contextvars import bind_contextvars, bound_contextvars, merge_contextvars

logger = structlog.stdlib.get_logger(__name__)


def without_trace_of_refusals(logger: object, method: str, event: dict[str, Any]) -> dict[str, Any]:
    """Drop the traceback that Django adds where it refused somebody: nothing failed."""
    record = event.get("_record")
    if getattr(record, "status_code", 500) < 500:
        event.pop("exc_info", None)
    return event


SHARED: list[Any] = [
    without_trace_of_refusals,
    merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
]

structlog.configure(
    processors=[*SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
    logger_factory=structlog.stdlib.LoggerFactory(),
    wrapper_class=structlog.stdlib.BoundLogger,
    cache_logger_on_first_use=True,
)


def formatter() -> structlog.stdlib.ProcessorFormatter:
    """Build the formatter that settings.LOGGING names."""
    render: Any = structlog.processors.JSONRenderer()
    if sys.stderr.isatty():
        render = structlog.dev.ConsoleRenderer()
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=SHARED,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
    )


def bind(**ids: object) -> None:
    """Add ids to the log lines that follow in this task."""
    bind_contextvars(**{name: str(value) for name, value in ids.items()})


class RequestLogMiddleware:
    """Log each request with its status and milliseconds, and give it an id.

    The milliseconds also go out as Server-Timing, where a browser's tools show them.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        started = time.perf_counter()
        request_id = uuid.uuid4().hex[:12]
        with bound_contextvars(request=request_id):
            response = self.get_response(request)
            took_ms = round((time.perf_counter() - started) * 1000, 1)
            logger.info(
                "request",
                method=request.method,
                path=request.path,
                status=response.status_code,
                ms=took_ms,
            )
        response["X-Request-ID"] = request_id
        response["Server-Timing"] = f"app;dur={took_ms}"
        return response
