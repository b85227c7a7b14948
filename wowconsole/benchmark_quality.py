"""The hybrid search beside vectors alone and BM25 alone, on public sets of labelled questions.

Each set becomes rules of a scene of its own, in a transaction that is rolled back.
"""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from django.contrib.auth.models import User
from django.db import connection, transaction
from numpy.typing import NDArray

from knowledge import corpora, evaluating
from knowledge.embedding import embed_queries
from knowledge.indexing import live_index
from knowledge.models import Hook, HookKind, HookVector, Scene, Words
from knowledge.searching import search
from wowconsole.errors import Invalid

STATISTICS = (
    "ANALYZE knowledge_knowledgeunit, knowledge_revision, knowledge_hook, knowledge_hookvector"
)
DEPTH = 10  # rules per question that are ranked
QUESTIONS_AT_ONCE = 50
FIGURES = ("hit_at_1", "hit_at_5", "mrr")
# Robertson & Zaragoza 2009, "The probabilistic relevance framework: BM25 and beyond": usual values.
BM25_K, BM25_B = 1.2, 0.75

Scores = NDArray[np.float64]  # (questions, rules)
Ranked = list[list[int]]  # ids of rules by question, best first


def quality(count: int, sets: str) -> dict[str, Any]:
    """Return how well each way ranks on each set below the folder `sets`, and on average."""
    folders = sorted(path for path in Path(sets).glob("*") if path.is_dir())
    results: dict[str, Any] = {folder.name: _of_set(folder, count) for folder in folders}
    measured = [result for result in results.values() if "skipped" not in result]
    if not measured:
        return {"sets": results, "skipped": f"No set of labelled questions in {sets}."}
    average = {
        way: {name: round(mean(result[way][name] for result in measured), 4) for name in FIGURES}
        for way in ("hybrid", "vectors", "bm25")
    }
    return {"sets": results, "average": average}


def _of_set(folder: Path, count: int) -> dict[str, Any]:
    try:
        corpus = corpora.read(folder)
    except Invalid as refused:
        return {"skipped": str(refused)}
    with transaction.atomic():
        scene = Scene.objects.create(slug=f"benchmark-{folder.name}"[:50], name=folder.name[:80])
        author = User.objects.create(username=f"benchmark-{folder.name}", is_superuser=True)
        units = corpora.publish(corpus, scene=scene, by=author, tell=lambda _: None)
        with connection.cursor() as cursor:  # no plan for the empty tables of before
            cursor.execute(STATISTICS)
        questions = corpora.spread(corpus.queries, count)
        relevant = [
            {units[name] for name in corpus.relevant.get(row["id"], ())} for row in questions
        ]
        figures = _compared([row["text"] for row in questions], relevant, scene)
        transaction.set_rollback(True)
    return {"rules": len(units), "questions": len(questions), **figures}


def _compared(texts: Sequence[str], relevant: Sequence[set[int]], scene: Scene) -> dict[str, Any]:
    vectors: list[list[float]] = []
    for start in range(0, len(texts), QUESTIONS_AT_ONCE):
        vectors += embed_queries(texts[start : start + QUESTIONS_AT_ONCE])
    ranked, passing = _by_hybrid(texts, vectors, scene)
    unanswerable = [not found for found, right in zip(passing, relevant, strict=True) if not right]
    return {
        "hybrid": _figures(ranked, relevant),
        "hybrid_above_threshold": _figures(passing, relevant),
        "vectors": _figures(_by_vectors(vectors, scene), relevant),
        "bm25": _figures(_by_bm25(texts, scene), relevant),
        "unanswerable": len(unanswerable),
        "silent_on_unanswerable": round(mean(unanswerable), 4) if unanswerable else None,
    }


def _figures(ranked: Ranked, relevant: Sequence[set[int]]) -> dict[str, float]:
    rows = [
        evaluating.scores(found, right)
        for found, right in zip(ranked, relevant, strict=True)
        if right
    ]
    return {name: round(mean(row[name] for row in rows), 4) for name in FIGURES}


def _by_hybrid(
    texts: Sequence[str], vectors: Sequence[Sequence[float]], scene: Scene
) -> tuple[Ranked, Ranked]:
    """Return the ranking as it is, near misses included, and what passes the thresholds."""
    ranked: Ranked = []
    passing: Ranked = []
    for start in range(0, len(texts), QUESTIONS_AT_ONCE):
        batch = slice(start, start + QUESTIONS_AT_ONCE)
        results = search(
            texts[batch], scene=scene, limit=DEPTH, near_misses=True, vectors=vectors[batch]
        )
        ranked += [[hit.unit_id for hit in found] for found in results]
        passing += [[hit.unit_id for hit in found if hit.passes] for found in results]
    return ranked, passing


def _by_vectors(vectors: Sequence[Sequence[float]], scene: Scene) -> Ranked:
    """Rank by the cosine of a rule's best hook."""
    stored = HookVector.objects.filter(index=live_index(), scene=scene).order_by("unit_id")
    owners, hooks = zip(*stored.values_list("unit_id", "embedding"), strict=True)
    cosines = np.asarray(vectors) @ np.asarray(hooks).T
    ids = sorted(set(owners))
    starts = np.searchsorted(np.asarray(owners), ids)  # hooks stand in order of their rules
    return _ranked(np.maximum.reduceat(cosines, starts, axis=1), ids)


def _by_bm25(texts: Sequence[str], scene: Scene) -> Ranked:
    """Rank whole rules, with their other wordings, by BM25 over the words that Postgres makes."""
    kinds = [HookKind.CONTENT, HookKind.QUESTION]
    hooks = Hook.objects.filter(unit__scene=scene, kind__in=kinds).order_by("unit_id", "pk")
    documents: dict[int, list[str]] = {}
    for unit, text in hooks.values_list("unit_id", "text"):
        documents.setdefault(unit, []).append(text)
    counts = _counted([" ".join(parts) for parts in documents.values()])
    return _ranked(bm25(_counted(texts), counts), list(documents))


def _counted(texts: Sequence[str]) -> list[Counter[str]]:
    """Return how often each word stands in each text."""
    sql = (
        "SELECT number, lexeme, cardinality(positions) FROM unnest(%s::text[]) WITH ORDINALITY "  # noqa: S608  # a constant
        f"AS asked (text, number), unnest({Words.sql.format(text='text')})"
    )
    counts: list[Counter[str]] = [Counter() for _ in texts]
    with connection.cursor() as cursor:
        cursor.execute(sql, [list(texts)])
        for number, lexeme, times in cursor.fetchall():
            counts[number - 1][lexeme] = times
    return counts


def bm25(questions: Sequence[Counter[str]], documents: Sequence[Counter[str]]) -> Scores:
    """Return the BM25 of each question and document (Robertson & Zaragoza 2009, eq. 3.15)."""
    lengths = np.asarray([document.total() for document in documents])
    norms = BM25_K * (1 - BM25_B + BM25_B * lengths / lengths.mean())
    spread = Counter(word for document in documents for word in document)
    scores = np.zeros((len(questions), len(documents)))
    for place, question in enumerate(questions):
        for word in question:
            times = np.asarray([document[word] for document in documents])
            rare = math.log(1 + (len(documents) - spread[word] + 0.5) / (spread[word] + 0.5))
            scores[place] += rare * times * (BM25_K + 1) / (times + norms)
    return scores


def _ranked(scores: Scores, ids: Sequence[int]) -> Ranked:
    best = np.argsort(-scores, axis=1, kind="stable")[:, :DEPTH]
    return [[ids[place] for place in row] for row in best]
