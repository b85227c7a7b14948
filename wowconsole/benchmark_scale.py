"""The search at 10,000 or 100,000 synthetic rules: speed, recall, memory, in its own database."""

import resource
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from statistics import quantiles
from typing import Any, TypeVar

import psycopg
from django.contrib.auth.models import User
from django.db import connection

from knowledge import hybrid
from knowledge.models import EmbeddingIndex, Scene
from knowledge.searching import search
from wowconsole.synthetic import HOOKS, Question, fill

TOP = 10
WARM_UP = 10  # questions asked beforehand, to fill the caches

OTHERS_LEAVE = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""

T = TypeVar("T")


def at_scale(units: int, count: int) -> dict[str, Any]:
    """Return speed, recall and memory of the search among `units` rules."""
    with own_database():
        author = User.objects.create(username="benchmark")
        started = time.perf_counter()
        index, questions = fill(units, count, author)
        filled = time.perf_counter() - started
        return {
            "units": units,
            "vectors": units * len(HOOKS),
            "count": count,
            "fill_s": round(filled, 1),
            "scopes": {
                name: measured(index, questions[name], scene) for name, scene in _scopes().items()
            },
            "index_mb": _size(f"hook_vector_graph_{index.pk}"),
            "vectors_mb": _size("knowledge_hookvector"),
            "words_index_mb": _size("hook_words"),
            "process_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }


@contextmanager
def own_database() -> Iterator[None]:
    """Make a database beside the configured one, and drop it at the end."""
    connection.close()
    if getattr(connection, "pool", None):
        connection.close_pool()  # type: ignore[attr-defined]  # of the PostgreSQL backend
    name = connection.settings_dict["NAME"]
    connection.settings_dict["TEST"]["NAME"] = f"benchmark_{name}"
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        yield
    finally:
        with connection.cursor() as cursor:  # threads and processes of the benchmark let go
            cursor.execute(OTHERS_LEAVE)
        connection.creation.destroy_test_db(name, verbosity=0)


def _scopes() -> dict[str, Scene | None]:
    scenes = {scene.slug: scene for scene in Scene.objects.all()}
    return {"everything": None, "tenth": scenes["tenth"], "hundredth": scenes["hundredth"]}


def _size(relation: str) -> float:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_total_relation_size(%s::regclass)", [relation])
        return float(round(cursor.fetchone()[0] / 2**20, 1))


def measured(
    index: EmbeddingIndex, questions: Sequence[Question], scene: Scene | None
) -> dict[str, Any]:
    """Return times of the search beside its SQL alone, and its recall, in one scope."""
    exact_sql = hybrid.statement(index.pk, index.dimensions, by_graph=False)
    for question in questions[:WARM_UP]:
        served(index, question, scene)
    through, alone, hits, wanted = [], [], 0, 0
    with psycopg.connect(cursor_factory=psycopg.ClientCursor, **_address()) as bare:
        bare.execute(hybrid.SETTINGS_OF_GRAPH.replace("LOCAL", "SESSION"))
        bare.execute("SELECT NULL::vector")  # loads the extension, as the search's connection has
        for question in questions:
            last = Last()
            with connection.execute_wrapper(last):
                took, found = timed(partial(served, index, question, scene))
            through.append(took)
            took, _ = timed(partial(_rows, bare, last.sql, last.parameters))
            alone.append(took)
            exact = {row[1] for row in _rows(bare, exact_sql, last.parameters)}
            hits, wanted = hits + len(exact & set(found)), wanted + len(exact)
    spreads = {"search": spread(through), "bare_sql": spread(alone)}
    return spreads | {
        "ratio_p50": round(spreads["search"]["p50_ms"] / spreads["bare_sql"]["p50_ms"], 3),
        "ratio_p95": round(spreads["search"]["p95_ms"] / spreads["bare_sql"]["p95_ms"], 3),
        "recall_at_10": round(hits / wanted, 4),
    }


class Last:
    """Remembers the last statement that Django executed."""

    sql: str
    parameters: Any

    def __call__(
        self, execute: Callable[..., Any], sql: str, parameters: Any, many: bool, context: Any
    ) -> Any:
        self.sql, self.parameters = sql, parameters
        return execute(sql, parameters, many, context)


def served(index: EmbeddingIndex, question: Question, scene: Scene | None) -> list[int]:
    """Return what the search finds for a customer of the web, near misses included."""
    [found] = search(
        [question.text],
        scene=scene,
        limit=TOP,
        near_misses=True,
        audience={"channel": "web"},
        index=index,
        vectors=[question.vector],
    )
    return [hit.unit_id for hit in found]


def _rows(bare: psycopg.Connection[Any], sql: str, parameters: Any) -> list[tuple[Any, ...]]:
    with bare.cursor() as cursor:
        return cursor.execute(sql, parameters).fetchall()


def _address() -> dict[str, Any]:
    settings = connection.settings_dict
    names = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST"}
    given = {key: settings[name] for key, name in {**names, "port": "PORT"}.items()}
    return {key: value for key, value in given.items() if value} | {"autocommit": True}


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """Return how many milliseconds the work took, and what it gave."""
    started = time.perf_counter()
    outcome = work()
    return (time.perf_counter() - started) * 1000, outcome


def spread(milliseconds: Sequence[float]) -> dict[str, float]:
    """Return p50 and p95 of some measurements."""
    cuts = quantiles(milliseconds, n=20, method="inclusive")
    return {"p50_ms": round(cuts[9], 1), "p95_ms": round(cuts[18], 1)}
