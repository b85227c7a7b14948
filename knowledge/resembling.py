"""Which rules of a scene resemble a revision, by its vector and by the letters of its condition.

Only latest revisions of rules that are not archived are looked at. Drafts and unpublished
edits have no vectors: they are found by the trigrams of their condition, in English and
Chinese alike; and so is everything while the embedder fails.
"""

import logging
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

from knowledge.embedding import EmbeddingFailed
from knowledge.indexing import embed_for, live_index
from knowledge.models import EmbeddingIndex, HookKind, HookVector, Revision

logger = logging.getLogger(__name__)

SHIPPED = "e5"  # of this embedder's cosines we know what they mean
NEAREST = 60  # hooks, of perhaps twenty rules
ALIKE = 30  # conditions


@dataclass(frozen=True, slots=True)
class Resembling:
    """The latest text of another rule; `cosine` of the two whole rules, None if unknown."""

    unit_id: int
    revision_id: int
    condition: str
    content: str
    cosine: float | None


def resembling(revision: Revision) -> list[Resembling]:
    """Return the rules of the revision's scene that may say the same as it, in no order.

    One embedding, unless the revision is live, and one statement. If the embedder fails,
    the letters alone decide.
    """
    index = live_index()
    vector = _vector(revision, index)
    parameters = {
        "unit": revision.unit_id,
        "scene": revision.unit.scene_id,
        "condition": revision.condition,
        "vector": str(vector) if vector else None,
        "nearest": NEAREST,
        "alike": ALIKE,
    }
    if not vector:
        return _rows(TEXT_ONLY, parameters, cosines=False)
    sql = BOTH.format(index=int(index.pk), dimensions=int(index.dimensions))
    return _rows(sql, parameters, cosines=index.embedder == SHIPPED)


def _vector(revision: Revision, index: EmbeddingIndex) -> list[float] | None:
    """Return the stored vector of the whole rule, or make it."""
    if revision.unit.live_id == revision.pk:
        stored = HookVector.objects.filter(
            index=index, unit=revision.unit_id, hook__kind=HookKind.CONTENT
        )
        if vector := stored.values_list("embedding", flat=True).first():
            return [float(value) for value in vector]
    whole = f"{revision.title}. {revision.condition}. {revision.content}"
    try:
        # A server elsewhere is asked as for a query: an author waits, and not for a minute.
        [made] = embed_for(index, [whole], is_query=index.embedder != SHIPPED)
    except EmbeddingFailed:
        logger.warning("conflicts are sought by text alone", exc_info=True)
        return None
    return made


def _rows(sql: str, parameters: dict[str, Any], *, cosines: bool) -> list[Resembling]:
    with transaction.atomic(), connection.cursor() as cursor:
        # The graph alone would give the nearest of all scenes, and few of this one.
        cursor.execute("SET LOCAL hnsw.iterative_scan = strict_order")
        cursor.execute(sql, parameters)
        found = [Resembling(*fields) for fields in cursor.fetchall()]
    if cosines:
        return found
    return [Resembling(r.unit_id, r.revision_id, r.condition, r.content, None) for r in found]


# OFFSET 0: trigrams are counted last, for the few that are left, not for every revision.
ALIKE_BY_LETTERS = """
alike AS (
    SELECT unit_id FROM (
        SELECT unit.id AS unit_id, revision.condition
        FROM knowledge_knowledgeunit AS unit
        JOIN knowledge_revision AS revision ON revision.id = unit.latest_id
        WHERE unit.scene_id = %(scene)s AND unit.status <> 'archived'
          AND (%(vector)s::text IS NULL OR unit.live_id IS DISTINCT FROM unit.latest_id)
        OFFSET 0
    ) AS texts
    WHERE condition %% %(condition)s
    ORDER BY similarity(condition, %(condition)s) DESC, unit_id
    LIMIT %(alike)s
)
"""
TEXT_ONLY = f"""
WITH {ALIKE_BY_LETTERS}
SELECT unit.id, revision.id, revision.condition, revision.content, NULL::float8
FROM alike
JOIN knowledge_knowledgeunit AS unit ON unit.id = alike.unit_id
JOIN knowledge_revision AS revision ON revision.id = unit.latest_id
WHERE unit.id <> %(unit)s
"""  # noqa: S608  # put together of constants
# The index's key and dimensions stand in the text: only so does its graph serve. A vector
# speaks for the latest text where that is the live one.
BOTH = f"""
WITH {ALIKE_BY_LETTERS},
near AS (
    SELECT unit_id FROM (
        SELECT unit_id FROM knowledge_hookvector
        WHERE index_id = {{index}} AND scene_id = %(scene)s
        ORDER BY embedding::vector({{dimensions}}) <=> %(vector)s::vector({{dimensions}})
        LIMIT %(nearest)s
    ) AS hooks GROUP BY unit_id
)
SELECT unit.id, revision.id, revision.condition, revision.content,
       1 - (stored.embedding::vector({{dimensions}}) <=> %(vector)s::vector({{dimensions}}))
FROM (SELECT unit_id FROM alike UNION SELECT unit_id FROM near) AS candidate
JOIN knowledge_knowledgeunit AS unit ON unit.id = candidate.unit_id
JOIN knowledge_revision AS revision ON revision.id = unit.latest_id
LEFT JOIN knowledge_hook AS hook
    ON hook.unit_id = unit.id AND hook.kind = 'content' AND unit.live_id = unit.latest_id
LEFT JOIN knowledge_hookvector AS stored
    ON stored.hook_id = hook.id AND stored.index_id = {{index}}
WHERE unit.id <> %(unit)s AND unit.status <> 'archived'
"""  # noqa: S608  # put together of constants
