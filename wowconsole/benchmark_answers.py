"""Whether answers rest on the right rules: R_kn of turns whose rule is known.

R_kn is the share of the turns with an applicable rule that cite such a rule and no other, and whose
figures and promises have their sources (a turn that has not is answered otherwise, and keeps
the error). The questions (demo/asked.jsonl) were written without a look at the search, for each
all rules that answer it, and no model was trained on them.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from typing import Any

from asgiref.sync import sync_to_async

from dialogues import services
from dialogues.models import Conversation, Turn, TurnStatus
from knowledge.models import LabelledSet, Scene
from wowconsole.benchmark_clients import PATIENCE_SECONDS, Customer
from wowconsole.benchmark_scale import spread
from wowconsole.demo.content import read

LOOK_SECONDS = 0.05
SEED = 17

Question = tuple[str, frozenset[str]]  # and the external ids of the rules that answer it


def demo_questions(count: int) -> list[Question]:
    """Return customers' first messages, the same ones at each call; a third has no rule."""
    rows = read("asked.jsonl")
    drawn = random.Random(SEED).sample(rows, min(count, len(rows)))  # noqa: S311 (not a secret)
    return [(row["text"], frozenset(row["rules"])) for row in drawn]


def labelled_questions(name: str, count: int) -> tuple[Scene | None, list[Question]]:
    """Return where a labelled set is asked, and some of its questions, as `demo_questions`."""
    asked = LabelledSet.objects.select_related("scene").get(name=name)
    rows = [
        (query.text, frozenset(unit.external_id or "" for unit in query.relevant.all()))
        for query in asked.queries.prefetch_related("relevant")
    ]
    return asked.scene, random.Random(SEED).sample(rows, min(count, len(rows)))  # noqa: S311


def references(turns: Sequence[tuple[Turn, frozenset[str]]]) -> dict[str, Any]:
    """Return R_kn of turns, each with the external ids of the rules that answer it."""
    cited = [(set(_cited(turn)), wanted, turn.error) for turn, wanted in turns]
    known = [(ids, wanted, error) for ids, wanted, error in cited if wanted]
    beside = [ids for ids, wanted, _ in cited if not wanted]
    quotes = sum(len(ids) for ids, _, _ in known)
    right = sum(len(ids & wanted) for ids, wanted, _ in known)
    return {
        "turns": len(known),
        "r_kn": share([bool(ids) and ids <= wanted and not error for ids, wanted, error in known]),
        "recall": share([bool(ids & wanted) for ids, wanted, _ in known]),
        "precision": round(right / quotes, 3) if quotes else None,
        "turns_without_rule": len(beside),
        "cited_where_none_applies": sum(map(bool, beside)),
    }


def _cited(turn: Turn) -> list[str]:
    cited = turn.units.filter(cited=True).values_list("unit__external_id", flat=True)
    return [external_id or "" for external_id in cited]


def share(truths: Sequence[bool]) -> float | None:
    return round(sum(truths) / len(truths), 3) if truths else None


async def asked_over_sockets(root: str, questions: Sequence[Question]) -> dict[str, Any]:
    """Ask each question in a chat of its own; return R_kn and what customers waited for.

    Args:
        root: of the web process, e.g. "ws://127.0.0.1:8000".
    """
    turns = [(await _ask(root, text), wanted) for text, wanted in questions]
    whole = [turn.timings["total_ms"] for turn, _ in turns]
    searches = [turn.timings["search_ms"] for turn, _ in turns if "search_ms" in turn.timings]
    scores = await sync_to_async(references)(turns)
    return scores | {"whole": spread(whole), "search": spread(searches)}


async def _ask(root: str, text: str) -> Turn:
    chat, token = await sync_to_async(services.start_conversation)(scene=None, customer="Benchmark")
    customer = Customer(f"{root}/ws/chat/{chat.public_id}/?token={token}", chat.pk)
    await customer.open()
    await customer.say(text)
    try:
        return await _answered(chat)
    finally:
        customer.drop()


async def _answered(chat: Conversation) -> Turn:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        done = Turn.objects.filter(conversation=chat).exclude(status=TurnStatus.RUNNING)
        if turn := await done.afirst():
            return turn
        await asyncio.sleep(LOOK_SECONDS)
    raise TimeoutError("A question was not answered. Does the engine run (ENGINE_URL)?")
