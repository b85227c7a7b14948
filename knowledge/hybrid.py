"""The one SQL statement of the search: three arms, their filters, and how they are fused.

Arms: by meaning (vectors), by words (full text; Chinese by pairs of characters), by letters
(trigrams: codes such as GW-4471, and names that are misspelt).

By meaning there are two ways, chosen by how many vectors are in scope. A few are compared
exactly: the `+ 0` keeps the planner off the graph, whose filters apply only after the walk.
Many are walked through the index's HNSW graph, which goes on until enough rows have passed
the filters (SETTINGS_OF_GRAPH).
"""

from knowledge.models import Words

SETTINGS_OF_GRAPH = """
SET LOCAL hnsw.iterative_scan = relaxed_order;
SET LOCAL hnsw.ef_search = 200;
SET LOCAL plan_cache_mode = force_custom_plan;
SET LOCAL jit = off
"""

# What an agent may use, and for this customer. A limit that nothing is known of excludes.
_ALLOWED = """
EXISTS (
    SELECT FROM knowledge_knowledgeunit AS unit
    JOIN knowledge_revision AS revision ON revision.id = unit.live_id
    WHERE unit.id = {table}.unit_id
      AND (%(scene)s::bigint IS NULL OR unit.scene_id = %(scene)s::bigint)
      AND (%(scenes)s::bigint[] IS NULL OR unit.scene_id = ANY(%(scenes)s::bigint[]))
      AND (%(unfiltered)s OR (
          (revision.valid_from IS NULL OR revision.valid_from <= %(at)s)
          AND (revision.valid_until IS NULL OR revision.valid_until > %(at)s)
          AND (revision.channels = '{{}}' OR %(channel)s = ANY(revision.channels))
          AND (revision.segments = '{{}}' OR %(segment)s = ANY(revision.segments))
          AND (revision.regions = '{{}}' OR %(region)s = ANY(revision.regions))
      ))
)
"""

# {of_index} is a literal number in them: the graph is a partial index.
_OF_INDEX = """
stored.index_id = {index} AND asked.vector IS NOT NULL
  AND (%(scene)s::bigint IS NULL OR stored.scene_id = %(scene)s::bigint)
"""
_BY_GRAPH = """
SELECT stored.hook_id, stored.unit_id
FROM knowledge_hookvector AS stored
WHERE {of_index} AND {allowed}
ORDER BY (stored.embedding::vector({dimensions})) <=> asked.vector
LIMIT %(candidates)s
"""
# Sorted first (OFFSET 0 keeps the two apart): whether a rule applies is looked up only for the
# nearest, until enough do.
_EXACTLY = """
SELECT stored.hook_id, stored.unit_id
FROM (
    SELECT hook_id, unit_id, (stored.embedding <=> asked.vector) + 0 AS distance
    FROM knowledge_hookvector AS stored
    WHERE {of_index}
    ORDER BY distance
    OFFSET 0
) AS stored
WHERE (SELECT {allowed})
ORDER BY distance
LIMIT %(candidates)s
"""
# The cosine as the shipped model would give it (knowledge/scaling.py).
_SIMILARITY = "((1 - (stored.embedding <=> asked.vector)) - ({offset!r})) / {slope!r}"

# `asked.rare`: a hook with `needed` of a question's n words holds at least one of its
# n - needed + 1 rarest, and at least two of its n - needed + 2 rarest (`asked.pairs`), so only
# those are looked up. How common a word is, is what ANALYZE last saw; a word that is not listed
# there is rare.
# The meaning of a rule is its best hook and its whole text together (short wordings resemble
# each other in style), and a little the words that it shares with the question.
_HYBRID = """
WITH common AS MATERIALIZED (
    SELECT seen.lexeme, seen.share
    FROM pg_stats, unnest(most_common_elems::text::text[], most_common_elem_freqs)
        AS seen (lexeme, share)
    WHERE schemaname = current_schema() AND tablename = 'knowledge_hook' AND attname = 'words'
      AND seen.lexeme IS NOT NULL
),
question AS (
    SELECT number, vector, tsvector_to_array({words}) AS lexemes
    FROM unnest(%(texts)s::text[], %(vectors)s::text[]::vector[])
        WITH ORDINALITY AS question (text, vector, number)
),
counted AS (
    SELECT *, cardinality(lexemes) AS asked_words,
           greatest(%(min_matched)s, ceil(%(min_coverage)s * cardinality(lexemes)))::int AS needed
    FROM question
),
sorted AS MATERIALIZED (
    SELECT *, ARRAY(
        SELECT '''' || replace(replace(lexeme, '\\', '\\\\'), '''', '''''') || ''''
        FROM unnest(lexemes) AS lexeme LEFT JOIN common USING (lexeme)
        ORDER BY coalesce(share, 0), lexeme
    ) AS rarest
    FROM counted
),
asked AS MATERIALIZED (
    SELECT number, vector, lexemes, asked_words, needed,
           nullif(array_to_string(rarest[:asked_words - needed + 1], ' | '), '')::tsquery AS rare,
           (
               SELECT string_agg(format(
                   '%%s & (%%s)',
                   rarest[place],
                   array_to_string(rarest[place + 1 : asked_words - needed + 2], ' | ')
               ), ' | ')::tsquery
               FROM generate_series(1, asked_words - needed + 1) AS place
               WHERE needed > 1
           ) AS pairs
    FROM sorted
),
by_vector AS (
    SELECT asked.number, hit.*
    FROM asked CROSS JOIN LATERAL (
        {nearest}
    ) AS hit
),
by_words AS (
    SELECT asked.number, hit.hook_id, hit.unit_id
    FROM asked CROSS JOIN LATERAL (
        SELECT hook.id AS hook_id, hook.unit_id
        FROM knowledge_hook AS hook
        WHERE hook.words @@ coalesce(asked.pairs, asked.rare)
          AND length(hook.words) - length(ts_delete(hook.words, asked.lexemes)) >= asked.needed
          AND {hook_allowed}
        ORDER BY ts_rank_cd(hook.words, asked.rare, 1) DESC
        LIMIT %(candidates)s
    ) AS hit
),
by_code AS (
    SELECT number, hook_id, unit_id, count(*) OVER (PARTITION BY number, pattern) AS rules
    FROM (
        SELECT DISTINCT ON (number, pattern, unit_id) number, pattern, unit_id, hook.id AS hook_id
        FROM unnest(%(code_numbers)s::bigint[], %(codes)s::text[]) AS code (number, pattern)
        JOIN knowledge_hook AS hook ON hook.text ~* code.pattern AND {hook_allowed}
    ) AS hit
),
unknown AS MATERIALIZED (
    SELECT number, word
    FROM unnest(%(word_numbers)s::bigint[], %(words)s::text[]) AS asked (number, word),
         LATERAL (SELECT (tsvector_to_array(to_tsvector('english', word)))[1] AS stem) AS stemmed
    WHERE stem IS NOT NULL
      AND NOT EXISTS (SELECT FROM knowledge_vocabularyword AS known WHERE known.stem = stemmed.stem)
),
meant AS MATERIALIZED (
    SELECT DISTINCT number, stem
    FROM unknown CROSS JOIN LATERAL (
        SELECT stem, similarity(known.word, unknown.word) AS likeness
        FROM knowledge_vocabularyword AS known
        WHERE known.word %% unknown.word
        ORDER BY likeness DESC, known.word
        LIMIT 3
    ) AS near
    WHERE likeness >= {likeness} AND NOT EXISTS (
        SELECT FROM common, pg_class AS hooks
        WHERE lexeme = stem AND hooks.oid = 'knowledge_hook'::regclass
          AND share * hooks.reltuples > {typo_hooks}
    )
),
by_typo AS (
    SELECT meant.number, hit.*
    FROM meant CROSS JOIN LATERAL (
        SELECT hook.id AS hook_id, hook.unit_id
        FROM knowledge_hook AS hook
        WHERE hook.kind <> 'content'
          AND hook.words @@ ('''' || meant.stem || '''')::tsquery AND {hook_allowed}
        LIMIT %(candidates)s
    ) AS hit
),
hits AS (
    SELECT number, hook_id, unit_id, bool_or(arm = 'vector') AS by_vector,
           bool_or(arm = 'code') AS by_code, bool_or(arm = 'typo') AS by_typo
    FROM (
        SELECT number, hook_id, unit_id, 'vector' AS arm FROM by_vector
        UNION ALL SELECT number, hook_id, unit_id, 'words' FROM by_words
        UNION ALL SELECT number, hook_id, unit_id, 'code' FROM by_code
            WHERE rules <= %(code_rules)s
        UNION ALL SELECT number, hook_id, unit_id, 'typo' FROM by_typo
    ) AS hit
    GROUP BY number, hook_id, unit_id
),
graded AS (
    SELECT hits.*, hook.text, asked.asked_words, asked.needed,
           {similarity} AS similarity,
           ts_rank_cd(hook.words, asked.rare, 1) AS weight,
           length(hook.words) - length(ts_delete(hook.words, asked.lexemes)) AS matched_words
    FROM hits
    JOIN asked USING (number)
    JOIN knowledge_hook AS hook ON hook.id = hits.hook_id
    LEFT JOIN knowledge_hookvector AS stored
        ON stored.hook_id = hits.hook_id AND stored.index_id = {index}
),
by_unit AS (
    SELECT number, unit_id, max(similarity) AS similarity,
           (array_agg(text ORDER BY similarity DESC NULLS LAST, weight DESC))[1] AS matched,
           max(matched_words::float8 / greatest(asked_words, 1)) AS coverage,
           max(weight) FILTER (WHERE matched_words >= needed) AS weight,
           bool_or(by_vector) AS by_vector, bool_or(by_code) AS by_code,
           bool_or(by_typo) AS by_typo
    FROM graded GROUP BY number, unit_id
),
placed AS (
    SELECT by_unit.*,
           rank() OVER (PARTITION BY number ORDER BY
               coalesce(similarity + {similarity}, similarity, -1)
               + {coverage_weight} * coverage DESC) AS meaning_place,
           rank() OVER (PARTITION BY number, weight IS NULL ORDER BY weight DESC) AS words_place,
           rank() OVER (PARTITION BY number ORDER BY
               by_code DESC, by_typo DESC, similarity DESC NULLS LAST) AS letters_place
    FROM by_unit
    JOIN asked USING (number)
    LEFT JOIN knowledge_hook AS whole ON whole.unit_id = by_unit.unit_id AND whole.kind = 'content'
    LEFT JOIN knowledge_hookvector AS stored
        ON stored.hook_id = whole.id AND stored.index_id = {index}
),
fused AS (
    SELECT *,
           1.0 / (%(k)s + meaning_place)
               + CASE WHEN weight IS NULL THEN 0 ELSE {words_weight} / (%(k)s + words_place) END
               + CASE WHEN by_code THEN 1.0 WHEN by_typo THEN {words_weight} ELSE 0 END
                   / (%(k)s + letters_place)
               AS score,
           weight IS NOT NULL OR by_code
               OR coalesce(similarity, 0) >= %(min_companion)s AND (
                   by_typo OR max(similarity) OVER (PARTITION BY number) >= %(min_similarity)s
               ) AS passes
    FROM placed
),
ordered AS (
    SELECT fused.*, unit.live_id, unit.external_id, unit.scene_id, revision.title,
           revision.condition, revision.content,
           row_number() OVER (
               PARTITION BY fused.number
               ORDER BY passes DESC, score DESC, revision.priority DESC, similarity DESC, unit.id
           ) AS place
    FROM fused
    JOIN knowledge_knowledgeunit AS unit ON unit.id = fused.unit_id
    JOIN knowledge_revision AS revision ON revision.id = unit.live_id
    WHERE passes OR %(near_misses)s
)
SELECT number, unit_id, live_id, scene.slug, external_id, title, condition, content,
       score::float8, least(coalesce(similarity, 0), 1), CASE WHEN by_vector THEN meaning_place END,
       CASE WHEN weight IS NOT NULL THEN words_place END, matched, passes, coverage,
       CASE WHEN by_code OR by_typo THEN letters_place END
FROM ordered JOIN knowledge_scene AS scene ON scene.id = scene_id
WHERE place <= %(limit)s
ORDER BY number, place
"""

# How much the share of the question's words in one hook adds to the sum of two cosines, and
# how much the words arm counts against the meaning arm's 1. Chosen on 1,464 answerable
# questions of six public sets (ABCD, banking77, CLINC150, DSTC10, COVID FAQ): MRR .629 by the
# best hook alone, .642 with the whole text, .649 with .05 of coverage; full text as an equal
# partner (weight 1) made it .640, with .1 it cost .002; .02 moves a rule by about a rank.
# A word that resembles a misspelt one weighs as little; a code that is the same weighs 1.
COVERAGE_WEIGHT = 0.05
LIKENESS = 0.45  # of trigrams (Jaccard) by which a word that stands nowhere is taken for a typo
WORDS_WEIGHT = 0.02
TYPO_HOOKS = 1000  # a word that stands in more of them singles out none


def statement(
    index: int, dimensions: int, *, by_graph: bool, slope: float = 1.0, offset: float = 0.0
) -> str:
    """Return the SQL for one index; its parameters are those of `searching.search`.

    Args:
        slope, offset: of the index's scale.
    """
    nearest = (_BY_GRAPH if by_graph else _EXACTLY).format(
        of_index=_OF_INDEX.format(index=int(index)),
        dimensions=int(dimensions),
        allowed=_ALLOWED.format(table="stored"),
    )
    return _HYBRID.format(
        words=Words.sql.format(text="text"),
        nearest=nearest,
        index=int(index),
        similarity=_SIMILARITY.format(slope=float(slope), offset=float(offset)),
        likeness=LIKENESS,
        typo_hooks=TYPO_HOOKS,
        hook_allowed=_ALLOWED.format(table="hook"),
        coverage_weight=COVERAGE_WEIGHT,
        words_weight=WORDS_WEIGHT,
    )
