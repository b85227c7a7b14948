"""Finding the published rules that bear on what a customer says, by meaning and by words.

One SQL statement answers a whole batch. Vectors are compared exactly: the `+ 0` in the
ordering keeps the planner off the HNSW index, because at the size of a rule base
(10,000 hooks: 7 ms) exact comparison is quicker than a graph walk whose filters apply only
afterwards, and it misses nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.utils import timezone

from knowledge.embedding import embed_queries
from knowledge.indexing import live_index
from knowledge.models import Scene
from wowconsole.roles import AnyUser, sees_every_scene

CANDIDATES = 100  # hooks per arm and query, before they are joined
RRF_K = 60  # Cormack et al. 2009, "Reciprocal rank fusion": 60 is the paper's constant

# How the floor was measured: the 141 demo rules; their 564 other wordings, each asked while
# its own hook was left out, against 100 out-of-scope questions of CLINC150 (CC BY 3.0).
# E5 scores unrelated pairs about .81, so the range is narrow. A best hook of .84 is reached
# by 97 % of the wordings and by 20 % of the out-of-scope questions (.83: 99 and 37 %;
# .85: 90 and 14 %). A question that passes brings along other rules from .81 on, which 99 %
# of the right rules reach: to miss the right rule costs more than to show a second one.
MIN_SIMILARITY = 0.84
MIN_COMPANION = 0.81
# Words count only as strong evidence: most of the question stands in one hook. Counting
# every shared word ("order", "my") lost 8 points of top-3 recall in the same measurement.
MIN_COVERAGE = 0.6
MIN_MATCHED_WORDS = 3


@dataclass(frozen=True, slots=True)
class Found:
    """A published rule and how it was found.

    `similarity` is the cosine of the best hook, `score` the fused rank (it orders results
    and means nothing else), a rank is 1 for the best or None where that arm missed the
    rule. `passes` is False only for near misses, which are returned on request.
    """

    unit_id: int
    revision_id: int
    scene: str
    external_id: str | None
    title: str
    condition: str
    content: str
    score: float
    similarity: float
    vector_rank: int | None
    text_rank: int | None
    matched: str
    passes: bool = True


def search(
    queries: Sequence[str],
    *,
    scene: Scene | None,
    limit: int = 3,
    at: datetime | None = None,
    near_misses: bool = False,
    visible_to: AnyUser | None = None,
) -> list[list[Found]]:
    """Return for each query the rules that apply, best first; an empty list if none does.

    Args:
        scene: only its rules; None searches every scene.
        at: rules valid at that moment; None means now.
        near_misses: also return what is too weak to be shown to the model.
        visible_to: only rules of the scenes this member of staff works in; None: no limit.

    Synchronous (embedding and SQL): call it in a thread from async code.
    """
    if not queries:
        return []
    texts = [query.replace("\0", " ") for query in queries]
    parameters = {
        "texts": texts,
        "vectors": [str(vector) for vector in embed_queries(texts)],
        "scene": scene.pk if scene else None,
        "scenes": _scenes_of(visible_to),
        "at": at or timezone.now(),
        "near_misses": near_misses,
        "limit": limit,
        "index": live_index().pk,
        "candidates": CANDIDATES,
        "k": RRF_K,
        "min_similarity": MIN_SIMILARITY,
        "min_companion": MIN_COMPANION,
        "min_coverage": MIN_COVERAGE,
        "min_matched": MIN_MATCHED_WORDS,
    }
    results: list[list[Found]] = [[] for _ in queries]
    with connection.cursor() as cursor:
        cursor.execute(HYBRID, parameters)
        for number, *fields in cursor.fetchall():
            results[number - 1].append(Found(*fields))
    return results


def _scenes_of(user: AnyUser | None) -> list[int] | None:
    if user is None or sees_every_scene(user):
        return None
    return list(Scene.objects.visible_to(user).order_by().values_list("pk", flat=True))


# `asked` turns a question into "any of its words" (plainto_tsquery quotes and stems them,
# so no operator of the customer's survives). Both arms see allowed rules only. By meaning
# a rule ranks by its best hook and its whole text together: short wordings alone resemble
# each other in style (right rule among the first three: 68 % so, 51 % by the best hook alone).
HYBRID = """
WITH asked AS (
    SELECT number, vector, tsvector_to_array(to_tsvector('english', text)) AS lexemes,
           regexp_replace(plainto_tsquery('english', text)::text, ' (&|<->) ', ' | ', 'g')::tsquery
               AS any_word
    FROM unnest(%(texts)s::text[], %(vectors)s::text[]::vector[])
        WITH ORDINALITY AS question (text, vector, number)
),
allowed AS (
    SELECT unit.id, unit.external_id, unit.scene_id, unit.live_id,
           revision.title, revision.condition, revision.content, revision.priority
    FROM knowledge_knowledgeunit AS unit
    JOIN knowledge_revision AS revision ON revision.id = unit.live_id
    WHERE unit.status = 'published'
      AND (%(scene)s::bigint IS NULL OR unit.scene_id = %(scene)s::bigint)
      AND (%(scenes)s::bigint[] IS NULL OR unit.scene_id = ANY(%(scenes)s::bigint[]))
      AND (revision.valid_from IS NULL OR revision.valid_from <= %(at)s)
      AND (revision.valid_until IS NULL OR revision.valid_until > %(at)s)
),
nearest AS (
    SELECT DISTINCT ON (asked.number, hit.unit_id) asked.number, asked.vector, hit.*
    FROM asked CROSS JOIN LATERAL (
        SELECT stored.unit_id, stored.hook_id,
               1 - (stored.embedding <=> asked.vector) AS similarity
        FROM knowledge_hookvector AS stored
        WHERE stored.index_id = %(index)s AND stored.unit_id IN (SELECT id FROM allowed)
        ORDER BY (stored.embedding <=> asked.vector) + 0
        LIMIT %(candidates)s
    ) AS hit
    ORDER BY asked.number, hit.unit_id, hit.similarity DESC
),
by_meaning AS (
    SELECT number, nearest.unit_id, best.text, similarity,
           rank() OVER (
               PARTITION BY number
               ORDER BY similarity + 1 - (stored.embedding <=> nearest.vector) DESC
           ) AS place
    FROM nearest
    JOIN knowledge_hook AS best ON best.id = nearest.hook_id
    JOIN knowledge_hook AS whole ON whole.unit_id = nearest.unit_id AND whole.kind = 'content'
    JOIN knowledge_hookvector AS stored
        ON stored.hook_id = whole.id AND stored.index_id = %(index)s
),
words AS (
    SELECT DISTINCT ON (asked.number, hit.unit_id) asked.number, hit.*,
           cardinality(ARRAY(SELECT unnest(hit.lexemes) INTERSECT SELECT unnest(asked.lexemes)))
               AS matched_words,
           cardinality(asked.lexemes) AS asked_words
    FROM asked CROSS JOIN LATERAL (
        SELECT hook.unit_id, hook.text, tsvector_to_array(hook.words) AS lexemes,
               1 - (stored.embedding <=> asked.vector) AS similarity,
               ts_rank_cd(hook.words, asked.any_word, 1) AS weight
        FROM knowledge_hook AS hook
        JOIN knowledge_hookvector AS stored
            ON stored.hook_id = hook.id AND stored.index_id = %(index)s
        WHERE hook.words @@ asked.any_word AND hook.unit_id IN (SELECT id FROM allowed)
        ORDER BY weight DESC, similarity DESC
        LIMIT %(candidates)s
    ) AS hit
    ORDER BY asked.number, hit.unit_id, hit.weight DESC, hit.similarity DESC
),
by_words AS (
    SELECT *, rank() OVER (PARTITION BY number ORDER BY weight DESC) AS place FROM words
    WHERE matched_words >= %(min_matched)s AND matched_words >= %(min_coverage)s * asked_words
),
fused AS (
    SELECT number, unit_id,
           coalesce(1.0 / (%(k)s + by_meaning.place), 0)
               + coalesce(1.0 / (%(k)s + by_words.place), 0) AS score,
           coalesce(by_meaning.similarity, by_words.similarity) AS similarity,
           by_meaning.place AS vector_rank, by_words.place AS text_rank,
           coalesce(by_meaning.text, by_words.text) AS matched,
           by_words.place IS NOT NULL
               OR max(by_meaning.similarity) OVER (PARTITION BY number) >= %(min_similarity)s
                  AND by_meaning.similarity >= %(min_companion)s AS passes
    FROM by_meaning FULL JOIN by_words USING (number, unit_id)
),
ordered AS (
    SELECT fused.*, allowed.live_id, allowed.scene_id, allowed.external_id, allowed.title,
           allowed.condition, allowed.content,
           row_number() OVER (
               PARTITION BY number ORDER BY score DESC, priority DESC, similarity DESC, unit_id
           ) AS place
    FROM fused JOIN allowed ON allowed.id = fused.unit_id
    WHERE passes OR %(near_misses)s
)
SELECT number, unit_id, live_id, scene.slug, external_id, title, condition, content,
       score::float8, similarity, vector_rank, text_rank, matched, passes
FROM ordered JOIN knowledge_scene AS scene ON scene.id = scene_id
WHERE place <= %(limit)s
ORDER BY number, place
"""
