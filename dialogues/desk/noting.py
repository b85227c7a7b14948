"""Noting what customers asked, with its vector, so that past turns are found by meaning."""

import logging
import time
from collections.abc import Iterable, Sequence

from django.db import transaction
from django.db.models import Q

from agents.finding import wordings
from dialogues.models import Event, EventKind, Role, Turn, TurnQuestion, TurnStatus
from knowledge.embedding import EmbeddingFailed
from knowledge.indexing import embed_for, live_index
from knowledge.models import EmbeddingIndex

logger = logging.getLogger(__name__)

BATCH = 50  # texts per call of the embedder, which customers wait for too: half a second
FINISHED = (TurnStatus.DONE, TurnStatus.FAILED)
SECONDS = 10  # of one run, shorter than the time between two


def note_questions(*, seconds: float = SECONDS) -> int:
    """Note the questions of turns that have none by the live index, newest first.

    Returns how many. Stops after `seconds`, and when the embedder fails: the next run goes
    on. Two runs at once do the same work twice and store it once.
    """
    index, until, noted = live_index(), time.monotonic() + seconds, 0
    try:
        while time.monotonic() < until and (turns := _waiting(index)):
            noted += _note(turns, index)
    except EmbeddingFailed as error:
        logger.warning("questions of past turns are noted later: %s", error)
    return noted


def _waiting(index: EmbeddingIndex) -> list[Turn]:
    missing = Q(question__isnull=True) | ~Q(question__index=index)
    finished = Turn.objects.filter(missing, status__in=FINISHED)
    return list(finished.only("pk", "conversation_id", "asked_seq").order_by("-pk")[:BATCH])


def _note(turns: Sequence[Turn], index: EmbeddingIndex) -> int:
    texts = _asked(turns)
    vectors = embed_for(index, texts, is_query=True)  # slow: before the transaction
    rows = [
        TurnQuestion(turn=turn, text=text, index=index, embedding=vector)
        for turn, text, vector in zip(turns, texts, vectors, strict=True)
    ]
    _store(rows)
    return len(rows)


@transaction.atomic
def _store(rows: Iterable[TurnQuestion]) -> None:
    """Store the questions of the turns that are still there."""
    rows = list(rows)
    there = Turn.objects.select_for_update(no_key=True).filter(pk__in=[row.turn_id for row in rows])
    kept = set(there.order_by("pk").values_list("pk", flat=True))
    TurnQuestion.objects.bulk_create(
        [row for row in rows if row.turn_id in kept],
        update_conflicts=True,
        unique_fields=["turn"],
        update_fields=["text", "index", "embedding"],
    )


def _asked(turns: Sequence[Turn]) -> list[str]:
    """Return the text that each turn's rules were searched for; "" where nothing was said."""
    said: dict[int, list[tuple[int, str]]] = {}
    messages = Event.objects.filter(
        conversation__in={turn.conversation_id for turn in turns},
        kind=EventKind.MESSAGE,
        role=Role.CUSTOMER,
    )
    for key, seq, text in messages.order_by("seq").values_list("conversation_id", "seq", "text"):
        said.setdefault(key, []).append((seq, text))
    return [_asked_in(turn, said.get(turn.conversation_id, [])) for turn in turns]


def _asked_in(turn: Turn, said: Sequence[tuple[int, str]]) -> str:
    texts = [text for seq, text in said if seq <= turn.asked_seq]
    return wordings(texts)[0] if texts else ""
