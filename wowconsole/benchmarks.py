"""What `manage.py bench` measures: the code that serves, on the data that is there.

Each figure stands beside a reference taken in the same run, since machines are noisy.
What a benchmark adds to the database it takes away again, or archives.
"""

import asyncio
import operator
import time
from collections.abc import Callable, Sequence
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.db import connection

from agents import engines
from agents.models import ModelVersion
from dialogues import answering, services
from dialogues.models import Turn
from knowledge import services as knowledge
from knowledge.embedding import embed_queries
from knowledge.models import KnowledgeUnit, Scene
from knowledge.searching import search
from training.measuring import score_answer, summarise
from wowconsole.benchmark_answers import (
    Question,
    demo_questions,
    labelled_questions,
    references,
    share,
)
from wowconsole.benchmark_attacks import attacks
from wowconsole.benchmark_calls import calls
from wowconsole.benchmark_quality import quality
from wowconsole.benchmark_scale import at_scale, spread
from wowconsole.benchmark_sockets import sockets
from wowconsole.benchmark_subagent import subagent
from wowconsole.demo.starter import Row, rows

WARM_UP = 3  # questions that are asked once more, beforehand
Figures = dict[str, Any]


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def retrieval(count: int, units: int | None = None) -> Figures:
    """Hybrid search as served: on the rules that are there, or among synthetic ones."""
    return at_scale(units, count) if units else _retrieval(count)


def _retrieval(count: int) -> Figures:
    """Search beside embedding alone and a bare round trip."""
    asked = demo_questions(count)
    questions = [question for question, _ in asked]
    search(questions[:1], scene=None)  # loads the model, opens the connection
    hybrid = [_timed(lambda q=q: search([q], scene=None)) for q in questions]  # type: ignore[misc]
    embedding = _embedding_alone(questions)
    found = {
        question: [item.external_id for item in search([question], scene=None)[0]]
        for question in questions
    }
    answers = [(wanted, found[question]) for question, wanted in asked if wanted]
    nothing = [not found[question] for question, wanted in asked if not wanted]
    return {
        "count": len(questions),
        "units": KnowledgeUnit.objects.filter(live__isnull=False).count(),
        "hybrid": spread(hybrid),
        "embedding_alone": spread(embedding),
        "database_round_trip": spread([_timed(_round_trip) for _ in questions]),
        "answerable": len(answers),
        "hit_at_1": share([bool(wanted & set(ids[:1])) for wanted, ids in answers]),
        "hit_at_3": share([bool(wanted & set(ids[:3])) for wanted, ids in answers]),
        "silent_on_unanswerable": share(nothing),
    }


def _embedding_alone(texts: Sequence[str]) -> list[float]:
    """Return the milliseconds that the shipped model takes for each text, nothing around it."""
    return [_timed(lambda t=text: embed_queries([t])) for text in texts]  # type: ignore[misc]


def _round_trip() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        cursor.fetchone()


def publish(count: int) -> Figures:
    """From the publishing call to the first search that returns the new text."""
    author = User.objects.order_by("pk")[0]
    scene = Scene.objects.order_by("pk")[0]
    published = [_publish_and_find(author, scene, number) for number in range(count)]
    return {
        "count": count,
        "publish_call": spread([call for call, _ in published]),
        "publish_to_found": spread([whole for _, whole in published]),
        "found_at_first_search": True,  # _publish_and_find raises otherwise
    }


def _publish_and_find(author: User, scene: Scene, number: int) -> tuple[float, float]:
    title = f"Benchmark rule {number}: sending a kite by night post"
    unit = knowledge.draft_unit(
        author=author,
        scene=scene,
        title=title,
        condition=f"When a customer asks about night post for kites, case {number}",
        content=f"Kites go by night post number {number}.",
    )
    started = time.perf_counter()
    knowledge.publish_unit(unit=unit, by=author)
    called = (time.perf_counter() - started) * 1000
    try:
        found = search([title], scene=scene, limit=5)[0]
        whole = (time.perf_counter() - started) * 1000
        if unit.pk not in {item.unit_id for item in found}:
            raise RuntimeError(f"Rule {unit.pk} was published but not found.")
    finally:
        knowledge.archive_unit(unit=unit, by=author)
    return called, whole


def turn(count: int, labelled: str | None = None) -> Figures:
    """Whole answers through the live release, beside the engine alone on the same prompts.

    The console's own time is all but engine and tools. To embed the question is part of it, and
    the greater one: `embedding_alone` is the shipped model on the same questions, nothing else,
    and `beyond_embedding` what a turn's own time is longer than that of its question.

    The first questions are asked twice and count the second time: a process that has just
    started reads its models and its code, as a server did long ago.

    Args:
        labelled: the name of a set whose questions are asked instead of the demo's.
    """
    scene, questions = (
        labelled_questions(labelled, count) if labelled else (None, demo_questions(count))
    )
    return asyncio.run(_turn(scene, questions))


async def _turn(scene: Scene | None, questions: Sequence[Question]) -> Figures:
    for text, _ in questions[:WARM_UP]:
        await _answer(text, scene)
    asked = [(await _answer(text, scene), wanted) for text, wanted in questions]
    turns = [answered for answered, _ in asked]
    embedding = _embedding_alone([text for text, _ in questions])
    alone = [await _engine_alone(answered) for answered in turns]
    own = [
        answered.timings["total_ms"] - answered.timings["engine_ms"] - answered.timings["tools_ms"]
        for answered in turns
    ]
    total = spread([answered.timings["total_ms"] for answered in turns])
    engine_alone = spread(alone)
    return {
        "count": len(turns),
        "total": total,
        "first_text": spread([t.timings.get("first_text_ms", 0) for t in turns]),
        "search": spread([answered.timings["search_ms"] for answered in turns]),
        "console_own": spread(own),
        "embedding_alone": spread(embedding),
        "beyond_embedding": spread(list(map(operator.sub, own, embedding))),
        "engine_alone": engine_alone,
        "total_to_engine_alone": round(total["p50_ms"] / engine_alone["p50_ms"], 3),
        "valid": share([not answered.error for answered in turns]),
        "degraded": share([bool(answered.degraded) for answered in turns]),
        "references": await sync_to_async(references)(asked),
    }


async def _answer(question: str, scene: Scene | None) -> Turn:
    start = sync_to_async(services.start_conversation)
    conversation, _ = await start(scene=scene, customer="Benchmark")
    await sync_to_async(services.say)(conversation=conversation, text=question, client_id="1")
    await answering.answer_conversation(conversation.pk)
    await sync_to_async(services.close)(conversation=conversation)
    return await Turn.objects.select_related("release__version").aget(conversation=conversation)


async def _engine_alone(answered: Turn) -> float:
    """Ask the engine the prompts of a turn again, without anything around it."""
    assert answered.release is not None  # noqa: S101 (narrows the type)
    started = time.perf_counter()
    for step in answered.steps:
        async for _ in engines.stream(answered.release.version, step["messages"], None):
            pass
    return (time.perf_counter() - started) * 1000


def starter(count: int) -> Figures:
    """Base model and shipped adapter on demo rows that neither was trained on.

    No grammar holds the answers in shape, so the shares are the models' own.
    """
    _, held_out = rows()
    asked = held_out[:count]
    return {"count": len(asked), "before": _scores("smollm2-135m", asked)} | {
        "after": _scores("starter", asked)
    }


def _scores(version_name: str, asked: Sequence[Row]) -> dict[str, Any]:
    version = ModelVersion.objects.get(name=version_name)
    scores = []
    for row in asked:
        answer = engines.complete_text(version, row["prompt"], None)
        scores.append(score_answer(answer, expected=row["completion"][0]["content"]))
    return summarise(scores)


BENCHMARKS: dict[str, Callable[..., Figures]] = {
    "attacks": attacks,
    "quality": quality,
    "retrieval": retrieval,
    "publish": publish,
    "turn": turn,
    "starter": starter,
    "subagent": subagent,
    "calls": calls,
    "sockets": sockets,
}
