"""Finding the published rules that bear on what a customer says: by meaning, words, letters.

One SQL statement (knowledge/hybrid.py) answers a whole batch. Thresholds come from the newest
`RetrievalSettings`. How their defaults were measured: the 141 demo rules; their 564 other
wordings, each asked while its own hook was left out, against 100 out-of-scope questions of
CLINC150 (CC BY 3.0). E5 scores unrelated pairs about .81, so the range is narrow. A best hook
of .85 (`min_similarity`) is reached by 90 % of the wordings and by 14 % of the out-of-scope
questions (.84: 97 and 20 %), by all 29 answerable openings of the demo's dialogues and by 20 of
its 36 questions that sound like the business and have no rule (.84: 23). A wrong rule costs more
than none. On public sets (`manage.py bench quality`) .85 keeps silent on 91 of 100 questions of
CLINC150 and on 34 of 79 of DSTC10 (Apache-2.0) that no rule answers, and passes 94 % of what is
found rightly. A question that passes brings along other rules from .81 on (`min_companion`),
which 99 % of the right rules reach: to miss the right one costs more than to show a second. Words
count only as strong evidence: most of the question (`min_coverage`, and no fewer than
`min_matched_words`) stands in one hook.
"""

import logging
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import psycopg
from django.db import NotSupportedError, connection, transaction
from django.db.backends.utils import CursorDebugWrapper, CursorWrapper
from django.utils import timezone

from knowledge import hybrid
from knowledge.embedding import EmbeddingFailed
from knowledge.graphs import EXACT_UP_TO
from knowledge.indexing import embed_for, live_index
from knowledge.models import EmbeddingIndex, HookVector, RetrievalSettings, Scene
from knowledge.scaling import scale_of
from knowledge.scripts import LETTER
from knowledge.vocabulary import words_of
from wowconsole.roles import AnyUser, sees_every_scene

logger = logging.getLogger(__name__)

CANDIDATES = 100  # hooks per arm and query, before they are fused
CODE_RULES = 10  # a code that stands in more rules than that singles out none
MOST_CODES = 5  # of a question that are looked up
MOST_WORDS = 12  # of a question that are looked up in the vocabulary
AUDIENCE = ("channel", "segment", "region")

# Letters, then digits, perhaps a sign between: GW-4471, A320, covid-19; or a long number.
CODE = re.compile(
    rf"(?<!{LETTER})(?:([a-z]{{1,6}})[-_/#]?(\d{{2,12}})|(\d{{5,12}}))(?!{LETTER})", re.I
)


@dataclass(frozen=True, slots=True)
class Found:
    """A published rule and how it was found.

    `similarity` is the cosine of the best hook (0 where there is no vector), `coverage` the
    share of the question's words in one hook, `score` the fused rank (it orders results and
    means nothing else). A rank is 1 for the best or None where that arm missed the rule.
    `passes` is False only for near misses, which are returned on request.
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
    coverage: float = 0.0
    letters_rank: int | None = None


class Results(list[list[Found]]):
    """The rules found for each query; `degraded` if words alone searched: the model failed."""

    degraded = False


def current_settings() -> RetrievalSettings:
    """Return the newest version of the thresholds, or the shipped one."""
    return RetrievalSettings.objects.first() or RetrievalSettings()


def shown_of(found: Sequence[Found], settings: RetrievalSettings) -> list[Found]:
    """Return what an agent is shown of what was found: nothing that fits far worse than the best.

    A rule that shares a code or a name with the question stays, however its wording compares.
    """
    floor = max((item.similarity for item in found), default=0) - settings.far_behind
    return [item for item in found if item.similarity > floor or item.letters_rank is not None]


def search(
    queries: Sequence[str],
    *,
    scene: Scene | None,
    limit: int | None = None,
    at: datetime | None = None,
    near_misses: bool = False,
    visible_to: AnyUser | None = None,
    audience: Mapping[str, str] | None = None,
    settings: RetrievalSettings | None = None,
    index: EmbeddingIndex | None = None,
    unfiltered: bool = False,
    vectors: Sequence[Sequence[float]] | None = None,
) -> Results:
    """Return for each query the rules that apply, best first; an empty list if none does.

    Args:
        scene: only its rules; None searches every scene.
        limit: rules per query; None means as many as the settings show to an agent.
        at: rules valid at that moment; None means now.
        near_misses: also return what is too weak to be shown to the model.
        visible_to: only rules of the scenes this member of staff works in; None: no limit.
        audience: what is known of the customer's channel, segment and region.
        settings: thresholds to try; None means those in use.
        index: vectors to search; None means those in use.
        unfiltered: also rules that are not valid then or not for that customer.
        vectors: of the queries by the index's model, from a caller who has them.

    Synchronous (embedding and SQL): call it in a thread from async code.
    """
    if not queries:
        return Results()
    texts = [query.replace("\0", " ") for query in queries]
    index = index or live_index()
    results = Results([] for _ in queries)
    vectors = vectors or _vectors(index, texts)
    results.degraded = vectors is None
    parameters: dict[str, Any] = {
        **_thresholds(settings or current_settings(), limit),
        **_letters(texts),
        **{name: (audience or {}).get(name, "").lower() or None for name in AUDIENCE},
        "texts": texts,
        "vectors": [str(list(vector)) for vector in vectors] if vectors else [None] * len(texts),
        "scene": scene.pk if scene else None,
        "scenes": _scenes_of(visible_to),
        "at": at or timezone.now(),
        "near_misses": near_misses,
        "unfiltered": unfiltered,
    }
    for number, *fields in fetch(index, parameters):
        results[number - 1].append(Found(*fields))
    return results


def fetch(index: EmbeddingIndex, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Run the statement, through the index's graph where its vectors in scope are many."""
    minute = int(time.monotonic()) // 60
    by_graph = is_large(index.pk, parameters["scene"], minute)
    scale = asdict(scale_of(index))
    sql = hybrid.statement(index.pk, index.dimensions, by_graph=by_graph, **scale)
    keeps_plan = not is_large(index.pk, None, minute)
    try:
        return _rows(sql, parameters, by_graph=by_graph, keeps_plan=keeps_plan)
    except NotSupportedError:  # a migration has changed what the plan that is kept returns
        if not keeps_plan or connection.in_atomic_block:  # a rollback forgets the plan
            raise
    _drop_connection()
    return _rows(sql, parameters, by_graph=by_graph, keeps_plan=False)


def _rows(
    sql: str, parameters: Mapping[str, Any], *, by_graph: bool, keeps_plan: bool
) -> list[tuple[Any, ...]]:
    opened = _cursor_with_plans() if keeps_plan else connection.cursor()
    with transaction.atomic() if by_graph else nullcontext(), opened as cursor:
        if by_graph:
            cursor.execute(hybrid.SETTINGS_OF_GRAPH)
        cursor.execute(sql, parameters)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def _drop_connection() -> None:
    """Close the connection to the server: a pool would hand it out again with its plans."""
    connection.connection.close()
    connection.close()


def _cursor_with_plans() -> CursorWrapper:
    """Return a cursor whose statements the server plans once for each connection.

    Planning is half of a search among few rules. Among many, how many of them are in scope
    decides which plan is good, so those are planned each time.
    """
    connection.ensure_connection()
    wrapper = CursorDebugWrapper if connection.queries_logged else CursorWrapper
    return wrapper(psycopg.Cursor(connection.connection), connection)


@lru_cache(maxsize=1024)
def is_large(index: int, scene: int | None, minute: int) -> bool:
    """Say whether too many vectors are in scope to compare each, as of that minute.

    To count them costs more than a search. An answer of a minute ago may cost a search time,
    never a rule.
    """
    in_scope = HookVector.objects.filter(index=index)
    if scene is not None:
        in_scope = in_scope.filter(scene=scene)
    return in_scope[: EXACT_UP_TO + 1].count() > EXACT_UP_TO


def _vectors(index: EmbeddingIndex, texts: Sequence[str]) -> list[list[float]] | None:
    try:
        return embed_for(index, texts, is_query=True)
    except EmbeddingFailed:
        logger.warning("search by words alone", exc_info=True)
        return None


def _thresholds(settings: RetrievalSettings, limit: int | None) -> dict[str, float]:
    return {
        "limit": settings.rules_shown if limit is None else limit,
        "k": settings.rrf_k,
        "min_similarity": settings.min_similarity,
        "min_companion": settings.min_companion,
        "min_coverage": settings.min_coverage,
        "min_matched": settings.min_matched_words,
        "candidates": CANDIDATES,
        "code_rules": CODE_RULES,
    }


def _letters(texts: Sequence[str]) -> dict[str, list[Any]]:
    """Return the codes (as patterns) and long words of the texts, each with its text's number."""
    codes, words = [], []
    for number, text in enumerate(texts, start=1):
        found = dict.fromkeys(_pattern(*match.groups()) for match in CODE.finditer(text))
        codes += [(number, pattern) for pattern in list(found)[:MOST_CODES]]
        words += [(number, word) for word in words_of(text)[:MOST_WORDS]]
    return {
        "code_numbers": [number for number, _ in codes],
        "codes": [pattern for _, pattern in codes],
        "word_numbers": [number for number, _ in words],
        "words": [word for _, word in words],
    }


def _pattern(letters: str | None, digits: str | None, number: str | None) -> str:
    """Return a regular expression of Postgres for a code, however its parts are joined."""
    code = f"{letters}[-_/# ]?{digits}" if letters else number
    return f"(?<![a-z0-9]){code}(?![a-z0-9])"  # \\m and \\M take ideographs for letters


def _scenes_of(user: AnyUser | None) -> list[int] | None:
    if user is None or sees_every_scene(user):
        return None
    return list(Scene.objects.visible_to(user).order_by().values_list("pk", flat=True))
