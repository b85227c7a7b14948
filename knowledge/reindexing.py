"""Changing the embedding model while customers are answered.

A second index is filled beside the live one. Publishing writes into both, so what the work
finds missing only shrinks. An index is ready once no hook lacks a vector in it, which is
looked at while no publication can be under way (`indexing.no_publication`); a switch looks
again. The graph is made first, over no rows: rows enter it as they come, each within
milliseconds, so that a broken-off build goes on where it was. (Built at the end it would be
one statement of minutes that can't say how far it is.)
"""

import logging
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Count, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from knowledge import graphs, indexing, jobs, scaling
from knowledge.embedding import EmbeddingFailed, embed
from knowledge.models import EmbeddingIndex, Hook, HookVector, IndexState, Job
from wowconsole.errors import Invalid, Refused

logger = logging.getLogger(__name__)

BUILD_TASK = "knowledge.tasks.build_index"
FREE_TASK = "knowledge.tasks.free_index"
HOOKS_AT_ONCE = 32  # embedded in about half a second by the shipped model
VECTORS_DELETED_AT_ONCE = 5000
MAX_DIMENSIONS = 2000  # pgvector's HNSW takes no more
SCALING = "Its similarities are compared with those of the index in use"
PROBE = "Where is my order?"


class IndexNotReady(Refused):
    code = "index_not_ready"


class IndexInUse(Refused):
    code = "index_in_use"


class IndexBusy(Refused):
    code = "index_busy"


def dimensions_of(embedder: str, options: dict[str, Any]) -> int:
    """Return how long an embedder's vectors are, by asking it once; 3 seconds at most.

    Raises:
        Invalid: it can't be reached, gives no vectors, or too long ones.
    """
    try:
        vector = embed([PROBE], is_query=True, embedder=embedder, options=options)[0]
    except EmbeddingFailed as error:
        raise Invalid(f"The model gave no vector. {error}") from error
    if len(vector) > MAX_DIMENSIONS:
        raise Invalid(f"At most {MAX_DIMENSIONS} dimensions; this model has {len(vector)}.")
    return len(vector)


def create_index(*, name: str, embedder: str, options: dict[str, Any], by: User) -> EmbeddingIndex:
    """Begin a second index; a job fills it.

    Raises:
        Invalid: see `dimensions_of`.
        ValidationError: the name is empty, too long or taken.
    """
    dimensions = dimensions_of(embedder, options)
    index = EmbeddingIndex(
        name=name.strip(), embedder=embedder, options=options, dimensions=dimensions, by=by
    )
    index.full_clean(exclude={"job", "by", "live_since"})
    with transaction.atomic():
        index.save()
        return fill_index(index=index, by=by)


@transaction.atomic
def fill_index(*, index: EmbeddingIndex, by: User) -> EmbeddingIndex:
    """Have a job embed what the index lacks: at first everything, later what failed.

    Raises:
        IndexBusy: a job is at it.
        IndexNotReady: the index was retired.
    """
    index = _locked(index.pk)
    if index.state == IndexState.RETIRED:
        raise IndexNotReady(f"{index} was retired. Start another one.")
    _refuse_if_busy(index)
    index.job = jobs.start(task=BUILD_TASK, title=f"Fill the index {index}", by=by)
    index.save(update_fields=["job"])
    return index


def build(job_pk: int) -> None:
    """Do the work of an index's job: its graph, then a vector for each hook that lacks one."""
    with jobs.at_work(job_pk) as job:
        if job is None:
            return
        jobs.advance(job, done=job.done)  # a cancelled job may be of an index retired since
        index = EmbeddingIndex.objects.get(job=job)
        graphs.make_graph(index)
        while indexing.missing(index).exists():
            _fill(index, job)
        _measure_scale(index, job)
        while not _made_ready(index):  # something was published meanwhile
            _fill(index, job)


@transaction.atomic
def switch(*, index: EmbeddingIndex, by: User) -> EmbeddingIndex:
    """Let searches use this index from now on; the one used until now is kept up.

    Raises:
        IndexNotReady: it is not, or hooks lack a vector in it.
    """
    indexing.no_publication()  # also one switch at a time
    index = _locked(index.pk)
    if index.state == IndexState.LIVE:
        return index
    if index.state != IndexState.READY:
        raise IndexNotReady(f"{index} is {index.get_state_display().lower()}.")
    if lacking := indexing.missing(index).count():
        raise IndexNotReady(f"{index} lacks {lacking} wordings. Fill it first, then switch.")
    EmbeddingIndex.objects.filter(state=IndexState.LIVE).update(state=IndexState.READY)
    index.state, index.live_since = IndexState.LIVE, timezone.now()
    index.save(update_fields=["state", "live_since"])
    logger.info("%s switched searches to index %s", by, index)
    return index


@transaction.atomic
def retire(*, index: EmbeddingIndex, by: User) -> EmbeddingIndex:
    """Give up an index: publishing leaves it out at once, a job frees its vectors and graph.

    Raises:
        IndexInUse: searches use it.
    """
    indexing.no_publication()
    index = _locked(index.pk)
    if index.state == IndexState.LIVE:
        raise IndexInUse(f"Searches use {index}. Switch to another index first.")
    if index.state == IndexState.RETIRED:
        return index
    if index.job:
        jobs.cancel(index.job)
    title = f"Free the space of {index}"
    index.state, index.job = IndexState.RETIRED, jobs.start(task=FREE_TASK, title=title, by=by)
    index.save(update_fields=["state", "job"])
    return index


def free(job_pk: int) -> None:
    """Do the work of a retired index's job."""
    with jobs.at_work(job_pk) as job:
        if job is None:
            return
        index = EmbeddingIndex.objects.get(job=job, state=IndexState.RETIRED)
        graphs.drop_graphs(index)  # first: rows leave a table faster than a graph
        vectors = HookVector.objects.filter(index=index)
        total = job.done + vectors.count()
        while rows := list(vectors.values_list("pk", flat=True)[:VECTORS_DELETED_AT_ONCE]):
            HookVector.objects.filter(pk__in=rows).delete()
            jobs.advance(job, done=job.done + len(rows), total=total)


def with_lacking() -> QuerySet[EmbeddingIndex]:
    """Return the indexes, each with `lacking`: how many wordings have no vector in it."""
    hooks = Hook.objects.order_by().values(whole=Value(1)).annotate(n=Count("pk")).values("n")
    stored = Count("vectors")  # a vector goes with its hook, so the difference is what lacks
    return EmbeddingIndex.objects.select_related("job", "by").annotate(
        lacking=Coalesce(Subquery(hooks), 0) - stored
    )


def _locked(pk: int) -> EmbeddingIndex:
    # Not against those who only refer to the row: writers of vectors don't wait for it.
    return EmbeddingIndex.objects.select_for_update(no_key=True).get(pk=pk)


def _refuse_if_busy(index: EmbeddingIndex) -> None:
    if index.job and not index.job.is_finished:
        raise IndexBusy(f"{index} is being filled already.")


def _fill(index: EmbeddingIndex, job: Job) -> None:
    """Go once over what the index lacks; hooks being published in the moment are left out."""
    lacking = list(indexing.missing(index).values_list("pk", flat=True))
    stored = HookVector.objects.filter(index=index).count()
    total = stored + len(lacking)
    jobs.advance(job, done=stored, total=total)
    for start in range(0, len(lacking), HOOKS_AT_ONCE):
        pks = lacking[start : start + HOOKS_AT_ONCE]
        _embed_hooks(index, pks)
        done = stored + start + len(pks)
        jobs.advance(job, done=done, note=f"{done} of {total} wordings embedded")


def _embed_hooks(index: EmbeddingIndex, pks: list[int]) -> None:
    try:
        indexing.fill(index, list(Hook.objects.filter(pk__in=pks)))
    except EmbeddingFailed as error:
        raise indexing.EmbeddingUnavailable(
            f"{error} What is embedded stays: see to the model, then go on."
        ) from error


def _measure_scale(index: EmbeddingIndex, job: Job) -> None:
    if index.state != IndexState.BUILDING:  # thresholds in use must not move
        return
    live = indexing.live_index()
    try:
        scale = scaling.measure(index, live, lambda: jobs.advance(job, done=job.done, note=SCALING))
    except EmbeddingFailed as error:
        raise indexing.EmbeddingUnavailable(f"{error} See to the model, then go on.") from error
    except scaling.NoSpread as error:
        raise IndexNotReady(str(error)) from error
    if scale:
        index.options = {**index.options, "scale": scale}
        index.save(update_fields=["options"])


@transaction.atomic
def _made_ready(index: EmbeddingIndex) -> bool:
    """Say whether nothing is missing, and if so let people switch to the index."""
    indexing.no_publication()
    if indexing.missing(index).exists():
        return False
    building = EmbeddingIndex.objects.filter(pk=index.pk, state=IndexState.BUILDING)
    building.update(state=IndexState.READY)
    return True
