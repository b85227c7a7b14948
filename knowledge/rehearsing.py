"""The rule base as it would be: searched inside a transaction that is never committed."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction

from knowledge.embedding import EmbeddingFailed
from knowledge.indexing import EmbeddingUnavailable, TextVectors, embed_for, live_index
from knowledge.models import KnowledgeUnit, Revision, UnitStatus
from knowledge.publishing import go_live, hook_texts, hooks_of, locked_unit


def vectors_of(revision: Revision) -> TextVectors:
    """Embed the hooks of a revision for the live index. Slow: call it before `as_if_published`.

    Raises:
        EmbeddingUnavailable: the index's model failed.
    """
    index = live_index()
    texts = list(dict.fromkeys(text for _, text in hook_texts(revision)))
    try:
        vectors = embed_for(index, texts, is_query=False)
    except EmbeddingFailed as error:
        raise EmbeddingUnavailable(f"The rule can't be searched for. {error} Try again.") from error
    return TextVectors(index, dict(zip(texts, vectors, strict=True)))


@contextmanager
def as_if_published(revision: Revision, vectors: TextVectors) -> Iterator[None]:
    """Let searches of this connection find a revision in place of what is live of its unit.

    Nobody else sees it, and it is undone at the end of the block. The unit is locked until
    then, and its vectors stay in the index as dead rows until the next VACUUM: keep the
    block short and rare.
    """
    with transaction.atomic():
        go_live([(locked_unit(revision.unit_id), revision)], hooks_of([revision]), [vectors])
        yield
        transaction.set_rollback(True)


@contextmanager
def as_if_archived(unit_id: int) -> Iterator[None]:
    """Let searches of this connection miss a unit; otherwise as `as_if_published`."""
    with transaction.atomic():
        unit = KnowledgeUnit.objects.filter(pk=locked_unit(unit_id).pk)
        unit.update(live=None, status=UnitStatus.ARCHIVED)
        yield
        transaction.set_rollback(True)
