"""Whether each part is there, and the counters of /metrics."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, TimeoutError
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import psycopg
import redis
from django.conf import settings
from django.db import connection
from django.db.models import Aggregate, Count, FloatField, Model, Q, Sum
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, Coalesce
from django.utils import timezone
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from dialogues.models import Conversation, Turn
from knowledge.models import KnowledgeUnit
from training.models import Run
from wowconsole import heartbeat

PART_SECONDS = 2  # a part that takes longer is as good as away
ALL_SECONDS = 2.6  # so that the probe answers within three

COUNTED = {  # figure → what it counts; Prometheus adds _total
    "engine_calls": "Calls of the engine by answered turns.",
    "unreadable_calls": "Calls of the engine that brought no readable action.",
    "unbacked_calls": "Calls of the engine that said what has no source.",
    "degraded_turns": "Turns answered by a rule as written, or by a person instead.",
    "cost_dollars": "Cost of engine and tools, US dollars.",
}

# Few threads, kept: a prober that asks too often queues here and starts nothing more.
_pool = ThreadPoolExecutor(max_workers=6, thread_name_prefix="readyz")


def readiness() -> dict[str, str]:
    """Return "ok" or a sentence on what is wrong for each part, within three seconds."""
    parts: dict[str, Callable[[], str]] = {
        "database": _database,
        "redis": _redis,
        "engine": _engine,
        "worker": lambda: _worker("celery"),
        "jobs_worker": lambda: _worker("jobs"),
        "gpu_worker": lambda: _worker("gpu"),
    }
    futures = {name: _pool.submit(check) for name, check in parts.items()}
    deadline = timezone.now() + timedelta(seconds=ALL_SECONDS)
    return {name: _outcome(future, deadline) for name, future in futures.items()}


def _outcome(future: "Future[str]", deadline: Any) -> str:
    left = (deadline - timezone.now()).total_seconds()
    try:
        return future.result(timeout=max(left, 0.01))
    except TimeoutError:
        future.cancel()
        return f"No answer within {PART_SECONDS} s."


def _database() -> str:
    """Open a connection of its own: an exhausted pool or a broken one must not hide a fault."""
    try:
        parameters: dict[str, Any] = dict(connection.get_connection_params())
        parameters["connect_timeout"] = PART_SECONDS
        with psycopg.connect(**parameters) as own:
            own.execute("SELECT 1")
    except psycopg.Error as error:
        return f"The database can't be reached ({type(error).__name__})."
    return "ok"


def _client() -> redis.Redis:
    return redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=PART_SECONDS, socket_connect_timeout=PART_SECONDS
    )


def _redis() -> str:
    try:
        with _client() as client:
            client.ping()
    except redis.RedisError as error:
        return f"Redis can't be reached ({type(error).__name__})."
    return "ok"


def _engine() -> str:
    """Ask /health beside /v1 (llama.cpp, vLLM, SGLang); a hosted API has only /v1/models."""
    key = {"Authorization": f"Bearer {settings.ENGINE_API_KEY}"}
    try:
        answer = httpx.get(
            settings.ENGINE_URL.removesuffix("/v1") + "/health", timeout=PART_SECONDS / 2
        )
        if answer.status_code in {404, 405, 401, 403}:
            answer = httpx.get(
                f"{settings.ENGINE_URL}/models", headers=key, timeout=PART_SECONDS / 2
            )
    except httpx.HTTPError as error:
        return f"The engine can't be reached ({type(error).__name__})."
    if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        return "The engine is loading its model."
    return "ok" if answer.is_success else f"The engine answers with status {answer.status_code}."


def _worker(queue: str) -> str:
    try:
        alive = heartbeat.is_alive(queue)
    except redis.RedisError:
        return "Unknown while Redis can't be reached."
    return "ok" if alive else f"No worker of queue {queue} gave a sign of life lately."


class Percentile(Aggregate):
    """PERCENTILE_CONT: the value that `share` (0 to 1) of the rows stay below."""

    function = "PERCENTILE_CONT"
    template = "%(function)s(%(share)s) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = FloatField()

    def __init__(self, expression: Any, *, share: float, **extra: Any) -> None:
        super().__init__(expression, share=share, **extra)


class DatabaseCollector(Collector):
    """Reads the figures when Prometheus asks; nothing is kept in the process."""

    def collect(self) -> Iterable[Metric]:
        yield GaugeMetricFamily(
            "wowconsole_conversations", "Conversations stored.", Conversation.objects.count()
        )
        yield self._by_status("wowconsole_turns", "Turns by status.", Turn)
        yield self._by_status("wowconsole_units", "Knowledge units by status.", KnowledgeUnit)
        yield self._by_status("wowconsole_runs", "Training runs by status.", Run)
        yield from self._turn_times()
        yield from self._faults()

    def _faults(self) -> Iterator[Metric]:
        """Count over all stored turns: restarts lose nothing, and processes need no sharing."""
        sums = Turn.objects.aggregate(
            engine_calls=Coalesce(Sum("engine_calls"), 0),
            unreadable_calls=Coalesce(Sum("unreadable_calls"), 0),
            unbacked_calls=Coalesce(Sum("unbacked_calls"), 0),
            degraded_turns=Count("pk", filter=~Q(degraded="")),
            cost_dollars=Coalesce(Sum("cost"), Decimal(0)),
        )
        for name, text in COUNTED.items():
            yield CounterMetricFamily(f"wowconsole_{name}", text, value=float(sums[name]))

    def _by_status(self, name: str, text: str, model: type[Model]) -> Metric:
        family = GaugeMetricFamily(name, text, labels=["status"])
        rows = model._default_manager.order_by().values_list("status").annotate(Count("pk"))
        for status, count in rows:
            family.add_metric([status], count)
        return family

    def _turn_times(self) -> Iterator[Metric]:
        """Take the whole answer's time in the last hour; absent where nobody asked."""
        total = Cast(KeyTextTransform("total_ms", "timings"), FloatField())
        figures = Turn.objects.filter(
            finished_at__gte=timezone.now() - timedelta(hours=1), timings__has_key="total_ms"
        ).aggregate(p50=Percentile(total, share=0.5), p95=Percentile(total, share=0.95))
        family = GaugeMetricFamily(
            "wowconsole_turn_milliseconds",
            "Time of the whole answer, last hour.",
            labels=["quantile"],
        )
        for quantile, value in (("0.5", figures["p50"]), ("0.95", figures["p95"])):
            if value is not None:
                family.add_metric([quantile], value)
        yield family


def metrics_text() -> bytes:
    """Render the figures in Prometheus' text form."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(DatabaseCollector())
    return generate_latest(registry)
