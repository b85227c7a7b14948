"""Measuring retrieval: each question of a labelled set is asked as in service and scored.

A measurement that broke off begins anew: with the questions of a set it lasts a minute or
so, less than keeping half of it would be worth.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Prefetch

from knowledge import evaluating, indexing, jobs, searching
from knowledge.models import (
    UNFINISHED,
    EmbeddingIndex,
    IndexState,
    Job,
    KnowledgeUnit,
    LabelledQuery,
    LabelledSet,
    Lineage,
    RetrievalEvaluation,
    RetrievalSettings,
)
from wowconsole.errors import Refused

TASK = "knowledge.tasks.measure_retrieval"
QUESTIONS_AT_ONCE = 20  # one statement; about a third of a second with the shipped embedder

LABELS = {
    "hit_at_1": "Right rule first",
    "hit_at_3": "Right rule among three",
    "hit_at_5": "Right rule among five",
    "mrr": "Mean reciprocal rank",
    "ndcg_at_10": "nDCG of ten",
    "false_finds": "False finds",
}


class AlreadyMeasuring(Refused):
    code = "already_measuring"


class NothingToMeasure(Refused):
    code = "nothing_to_measure"


class ModelFailed(Refused):
    code = "embedding_failed"
    status = 503


@transaction.atomic
def start(
    *, labelled_set: LabelledSet, by: User, index: EmbeddingIndex | None = None
) -> RetrievalEvaluation:
    """Have a set asked of an index, or of the live one, with the settings now in use.

    Raises:
        AlreadyMeasuring: this set and index are being measured.
        NothingToMeasure: the set is empty, or the index holds no vectors any more.
    """
    LabelledSet.objects.select_for_update(no_key=True).get(pk=labelled_set.pk)  # one at a time
    index = index or indexing.live_index()
    count = labelled_set.queries.count()
    running = labelled_set.evaluations.filter(index=index, job__state__in=UNFINISHED)
    if running.exists():
        raise AlreadyMeasuring(f"“{labelled_set}” is being measured on {index} already.")
    if not count or index.state == IndexState.RETIRED:
        raise NothingToMeasure("The set holds no question, or the index was retired.")
    title = f"Ask the {count} questions of “{labelled_set}” of {index}"
    return RetrievalEvaluation.objects.create(
        labelled_set=labelled_set,
        index=index,
        settings=_stored_settings(),
        job=jobs.start(task=TASK, title=title, by=by, total=count),
    )


def _stored_settings() -> RetrievalSettings:
    """Return the settings in use as a row: the shipped ones become version 1."""
    settings = searching.current_settings()
    if settings._state.adding:
        settings.save()
    return settings


def start_all(
    *, sets: Iterable[LabelledSet], indexes: Sequence[EmbeddingIndex], by: User
) -> list[RetrievalEvaluation]:
    """Start a measurement of each set on each index, but for those that can't be or are."""
    started = []
    for labelled_set in sets:
        for index in indexes:
            with suppress(AlreadyMeasuring, NothingToMeasure):
                started.append(start(labelled_set=labelled_set, by=by, index=index))
    return started


def measure(job_pk: int) -> None:
    """Do the work of a measurement's job."""
    with jobs.at_work(job_pk) as job:
        if job is None:
            return
        related = ("labelled_set__scene", "index", "settings")
        evaluation = RetrievalEvaluation.objects.select_related(*related).get(job=job)
        asked = _asked(evaluation, job)
        evaluation.metrics = evaluating.summarise((found, right) for _, found, right in asked)
        evaluation.misses = [
            {"query": text, "found": found, "relevant": sorted(right)}
            for text, found, right in asked
            if evaluating.went_wrong(found, right)
        ]
        evaluation.save(update_fields=["metrics", "misses"])


def _asked(evaluation: RetrievalEvaluation, job: Job) -> list[tuple[str, list[int], set[int]]]:
    """Return each question's text, the rules found and those that answer it."""
    heirs = heirs_of_merged()
    asked: list[tuple[str, list[int], set[int]]] = []
    waiting = _queries(evaluation.labelled_set)
    while queries := waiting[len(asked) : len(asked) + QUESTIONS_AT_ONCE]:
        found = searching.search(
            [query.text for query in queries],
            scene=evaluation.labelled_set.scene,
            limit=evaluating.NDCG_DEPTH,
            settings=evaluation.settings,
            index=evaluation.index,
        )
        if found.degraded:
            raise ModelFailed("The embedding model failed, so nothing was measured. Try again.")
        for query, units in zip(queries, found, strict=True):
            right = {unit.pk for unit in query.relevant.all()}
            right |= {heir for pk in right for heir in heirs.get(pk, ())}
            asked.append((query.text, [unit.unit_id for unit in units], right))
        jobs.advance(job, done=len(asked))
    return asked


def _queries(labelled_set: LabelledSet) -> list[LabelledQuery]:
    keys = Prefetch("relevant", KnowledgeUnit.objects.order_by().only("pk"))
    return list(labelled_set.queries.prefetch_related(keys))


def heirs_of_merged() -> dict[int, set[int]]:
    """Return what each merged or split rule became in the end: its labels count for those."""
    became: dict[int, set[int]] = {}
    for source, target in Lineage.objects.values_list("source_id", "target_id"):
        became.setdefault(source, set()).add(target)
    return {source: _all_after(source, became) for source in became}


def _all_after(source: int, became: dict[int, set[int]]) -> set[int]:
    after: set[int] = set()
    waiting = [source]
    while waiting:
        new = became.get(waiting.pop(), set()) - after
        after |= new
        waiting += new
    return after


def figures(evaluation: RetrievalEvaluation) -> list[tuple[str, dict[str, Any]]]:
    """Return (label, share) of what was measured, in the order of the pages."""
    return [
        (label, evaluation.metrics[name])
        for name, label in LABELS.items()
        if name in evaluation.metrics
    ]
