"""Vectors of hooks: which indexes are kept, their contents in the database.

Publishing writes into every index that is live, ready or being built. Only the live one must
succeed: an experiment never stops a publication. Where another embedder fails, its index
lacks hooks (`missing`), and whoever builds or switches indexes fills them in first.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, QuerySet

from knowledge import graphs
from knowledge.anticipating import embed_questions
from knowledge.embedding import EMBEDDING_DIMENSIONS, MODEL_NAME, EmbeddingFailed, embed
from knowledge.models import (
    KEPT_UP,
    EmbeddingIndex,
    Hook,
    HookVector,
    IndexState,
    KnowledgeUnit,
    Revision,
    VocabularyWord,
)
from wowconsole.errors import Refused

logger = logging.getLogger(__name__)

EMBED_BATCH = 64  # texts per call: longer batches hold the embedder's lock too long
ROWS_AT_ONCE = 500

WRITING = 3_700_517  # advisory lock: shared by who writes vectors, see `no_publication`


class EmbeddingUnavailable(Refused):
    code = "embedding_failed"
    status = 503


class IndexSwitched(Refused):
    code = "index_switched"


@dataclass(frozen=True, slots=True)
class TextVectors:
    """The vectors of some texts in one index, by text."""

    index: EmbeddingIndex
    of: Mapping[str, list[float]]


def live_index() -> EmbeddingIndex:
    """Return the index that searches use; the shipped model's is made on first use."""
    index, created = EmbeddingIndex.objects.get_or_create(
        state=IndexState.LIVE,
        defaults={"name": MODEL_NAME, "embedder": "e5", "dimensions": EMBEDDING_DIMENSIONS},
    )
    if created:
        graphs.make_graph(index)
    return index


def analyse() -> None:
    """Let the planner see what a large publication has changed, without waiting for autovacuum.

    Without it, a search in a base that has just grown can take minutes.
    """
    tables = ", ".join(
        connection.ops.quote_name(model._meta.db_table)
        for model in (KnowledgeUnit, Revision, Hook, HookVector, VocabularyWord)
    )
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {tables}")


def embed_for(index: EmbeddingIndex, texts: Sequence[str], *, is_query: bool) -> list[list[float]]:
    """Return the vectors of texts by the index's embedder, of as many dimensions as it has.

    Raises:
        EmbeddingFailed: the model gave none that fit.
    """
    make = embed_questions if is_query else partial(embed, is_query=False)
    vectors: list[list[float]] = []
    for start in range(0, len(texts), EMBED_BATCH):
        batch = texts[start : start + EMBED_BATCH]
        vectors += make(batch, embedder=index.embedder, options=index.options)
    if any(len(vector) != index.dimensions for vector in vectors):
        raise EmbeddingFailed(f"{index} has {index.dimensions} dimensions, its model gave others.")
    return vectors


def vectors_for(texts: Sequence[str]) -> list[TextVectors]:
    """Embed texts of rules for every index that is kept up. Slow: call it before any lock.

    Raises:
        EmbeddingUnavailable: the live index's model failed.
    """
    live = live_index()
    others = EmbeddingIndex.objects.filter(state__in=[*KEPT_UP, IndexState.BUILDING])
    distinct = list(dict.fromkeys(texts))  # rules of one flow share conditions
    try:
        vectors = [_text_vectors(live, distinct)]
    except EmbeddingFailed as error:
        raise EmbeddingUnavailable(
            f"Nothing was published. {error} Try again, or ask an administrator to look at it."
        ) from error
    for index in others.exclude(pk=live.pk):
        try:
            vectors.append(_text_vectors(index, distinct))
        except EmbeddingFailed:
            logger.warning("index %s misses what is published now", index, exc_info=True)
    return vectors


def _text_vectors(index: EmbeddingIndex, texts: Sequence[str]) -> TextVectors:
    vectors = embed_for(index, texts, is_query=False)
    return TextVectors(index, dict(zip(texts, vectors, strict=True)))


def no_publication() -> None:
    """Wait until no transaction writes vectors, and hold others off until this one ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [WRITING])


def write_vectors(
    hooks: Sequence[Hook], vectors: Sequence[TextVectors], scenes: Mapping[int, int]
) -> None:
    """Store the vectors of hooks that are being published, in the publishing transaction.

    Args:
        hooks: stored, each with a text of `vectors`.
        scenes: the scene's key by the unit's.

    Raises:
        IndexSwitched: `vectors` are from before a switch to an index that they leave out.
    """
    states = _states_while_writing()
    if all(states[texts.index.pk] != IndexState.LIVE for texts in vectors):
        raise IndexSwitched("The search index was switched in this moment. Publish again.")
    _store(hooks, vectors, scenes, states)


def _states_while_writing() -> dict[int, str]:
    """Return the state of each index, and keep it so until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [WRITING])
    return dict(EmbeddingIndex.objects.order_by().values_list("pk", "state"))


def _store(
    hooks: Sequence[Hook],
    vectors: Sequence[TextVectors],
    scenes: Mapping[int, int],
    states: Mapping[int, str],
) -> None:
    rows = (
        HookVector(
            index=texts.index,
            hook=hook,
            unit_id=hook.unit_id,
            scene_id=scenes[hook.unit_id],
            embedding=texts.of[hook.text],
        )
        for texts in vectors
        if states[texts.index.pk] != IndexState.RETIRED
        for hook in hooks
    )
    HookVector.objects.bulk_create(rows, batch_size=ROWS_AT_ONCE, ignore_conflicts=True)


def missing(index: EmbeddingIndex) -> QuerySet[Hook]:
    """Return the hooks that have no vector in an index, oldest first."""
    stored = HookVector.objects.filter(index=index, hook=OuterRef("pk"))
    return Hook.objects.filter(~Exists(stored)).select_related("unit").order_by("pk")


def fill(index: EmbeddingIndex, hooks: Sequence[Hook]) -> None:
    """Embed and store the vectors of stored hooks in one index.

    Hooks of rules that are being published in this moment are left out.

    Raises:
        EmbeddingFailed: its model gave none.
    """
    vectors = _text_vectors(index, list(dict.fromkeys(hook.text for hook in hooks)))
    with transaction.atomic():
        # A publication replaces a rule's hooks while it holds the rule. To wait for it while
        # it waits for us would be a deadlock.
        free = Hook.objects.select_for_update(of=("self", "unit"), no_key=True, skip_locked=True)
        pks = [hook.pk for hook in hooks]
        kept = list(free.select_related("unit").filter(pk__in=pks).order_by("pk"))
        scenes = {hook.unit_id: hook.unit.scene_id for hook in kept}
        _store(kept, [vectors], scenes, _states_while_writing())
