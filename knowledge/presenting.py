"""What the pages of search quality show, gathered in few queries."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from django.core.paginator import Page
from django.db.models import Count, Q, QuerySet

from knowledge.charts import Point, trend
from knowledge.measuring import LABELS
from knowledge.models import (
    UNFINISHED,
    EmbeddingIndex,
    IndexState,
    JobState,
    KnowledgeUnit,
    LabelledSet,
    RetrievalEvaluation,
)
from wowconsole.roles import AnyUser

SHOWN = ("hit_at_1", "hit_at_3", "mrr", "ndcg_at_10", "false_finds")  # in tables
DRAWN = ("hit_at_1", "false_finds")  # the two that pull against each other
TREND_LENGTH = 12  # measurements

Share = dict[str, Any]  # of knowledge/shares.py, as a plain object


@dataclass(slots=True)
class SetRow:
    """A labelled set, its newest measurement on the live index, and one under way."""

    labelled_set: LabelledSet
    latest: RetrievalEvaluation | None = None
    running: RetrievalEvaluation | None = None

    @property
    def shares(self) -> list[tuple[str, Share | None]]:
        return shares_of(self.latest)


def shares_of(evaluation: RetrievalEvaluation | None) -> list[tuple[str, Share | None]]:
    """Return the figures of a table row as (label, share); None where nothing was asked."""
    metrics = evaluation.metrics if evaluation else {}
    return [(LABELS[name], metrics.get(name)) for name in SHOWN]


def with_counts(sets: QuerySet[LabelledSet]) -> QuerySet[LabelledSet]:
    """Add `questions` and `unanswerable`, the number of those that nothing answers."""
    asked = Count("queries", distinct=True)
    answered = Count("queries", distinct=True, filter=Q(queries__relevant__isnull=False))
    return (
        sets.select_related("scene", "by")
        .annotate(questions=asked, unanswerable=asked - answered)
        .order_by("name")
    )


def set_rows(user: AnyUser) -> list[SetRow]:
    """Return the user's sets for the overview, in four queries."""
    rows = {
        row.pk: SetRow(row)
        for row in with_counts(LabelledSet.objects.visible_to(user).order_by("name"))
    }
    evaluations = _without_misses(RetrievalEvaluation.objects.filter(labelled_set__in=rows))
    live = evaluations.filter(index__state=IndexState.LIVE, job__state=JobState.DONE)
    for evaluation in live.order_by("labelled_set_id", "-pk").distinct("labelled_set_id"):
        rows[evaluation.labelled_set_id].latest = evaluation
    for evaluation in evaluations.filter(job__state__in=UNFINISHED):
        rows[evaluation.labelled_set_id].running = evaluation
    return list(rows.values())


def measured(labelled_set: LabelledSet) -> QuerySet[RetrievalEvaluation]:
    """Return the finished measurements of a set, newest first."""
    return _without_misses(labelled_set.evaluations.filter(job__state=JobState.DONE))


def chosen(
    history: Sequence[RetrievalEvaluation], public_id: str | None
) -> RetrievalEvaluation | None:
    """Return the measurement asked for, else the newest on the live index, else the newest."""
    asked = (row for row in history if str(row.public_id) == public_id)
    live = (row for row in history if row.index.state == IndexState.LIVE)
    return next(chain(asked, live, history), None)


def trend_of(labelled_set: LabelledSet) -> str:
    """Draw the last measurements; "" before there are two."""
    rows = list(reversed(measured(labelled_set)[:TREND_LENGTH]))
    if len(rows) < 2:
        return ""
    return trend(tuple(_points(rows)), _told(rows))


@dataclass(slots=True)
class Miss:
    """A question that went wrong, with the rules that the reader may see."""

    query: str
    found: list[KnowledgeUnit]
    relevant: list[KnowledgeUnit]
    place: int | None  # of the first right rule among those found
    hidden: int  # rules named here that are of scenes the reader does not work in


def misses(page: Page[dict[str, Any]], user: AnyUser) -> list[Miss]:
    """Put the rules in place of their keys, for one page of an evaluation's misses."""
    rows = list(page)
    named = {pk for row in rows for pk in (*row["found"][:3], *row["relevant"])}
    visible = KnowledgeUnit.objects.visible_to(user).filter(pk__in=named)
    units = {unit.pk: unit for unit in visible.select_related("latest", "scene")}
    return [_miss(row, units) for row in rows]


def _miss(row: dict[str, Any], units: dict[int, KnowledgeUnit]) -> Miss:
    shown, right = row["found"][:3], row["relevant"]
    place = next((n for n, pk in enumerate(row["found"], start=1) if pk in right), None)
    return Miss(
        query=row["query"],
        found=[units[pk] for pk in shown if pk in units],
        relevant=[units[pk] for pk in right if pk in units],
        place=place,
        hidden=sum(pk not in units for pk in (*shown, *right)),
    )


@dataclass(frozen=True, slots=True)
class Comparison:
    """The newest figures of one set on two indexes, side by side."""

    labelled_set: LabelledSet
    rows: list[tuple[str, Share | None, Share | None]]
    same_settings: bool
    running: bool


def compared(user: AnyUser, live: EmbeddingIndex, other: EmbeddingIndex) -> list[Comparison]:
    """Return a comparison for each set that has questions."""
    sets = with_counts(LabelledSet.objects.visible_to(user).filter(queries__isnull=False))
    kept = _without_misses(RetrievalEvaluation.objects.filter(labelled_set__in=sets))
    kept = kept.filter(index__in=[live, other])
    newest = _newest(kept.filter(job__state=JobState.DONE))
    running = set(kept.filter(job__state__in=UNFINISHED).values_list("labelled_set", flat=True))
    return [
        _comparison(row, newest.get((row.pk, live.pk)), newest.get((row.pk, other.pk)), running)
        for row in sets
    ]


def _comparison(
    labelled_set: LabelledSet,
    before: RetrievalEvaluation | None,
    after: RetrievalEvaluation | None,
    running: set[int],
) -> Comparison:
    rows = [
        (label, share, other)
        for (label, share), (_, other) in zip(shares_of(before), shares_of(after), strict=True)
    ]
    same = before is None or after is None or before.settings_id == after.settings_id
    return Comparison(labelled_set, rows, same, labelled_set.pk in running)


def _newest(
    evaluations: QuerySet[RetrievalEvaluation],
) -> dict[tuple[int, int], RetrievalEvaluation]:
    keys = ("labelled_set_id", "index_id")
    rows = evaluations.order_by(*keys, "-pk").distinct(*keys)
    return {(row.labelled_set_id, row.index_id): row for row in rows}


def _without_misses(rows: QuerySet[RetrievalEvaluation]) -> QuerySet[RetrievalEvaluation]:
    return rows.select_related("index", "settings", "job").defer("misses")


def _points(rows: Sequence[RetrievalEvaluation]) -> Iterable[Point]:
    for number, row in enumerate(rows, start=1):
        label = f"{row.at:%-d %b} · v{row.settings_id}"
        for name in DRAWN:
            if name in row.metrics:
                yield number, str(row.index), label, LABELS[name], row.metrics[name]["share"]


def _told(rows: Sequence[RetrievalEvaluation]) -> str:
    ends = (rows[0].metrics.get("hit_at_1"), rows[-1].metrics.get("hit_at_1"))
    shares = [f"{end['share']:.0%}" if end else "unknown" for end in ends]
    return f"Right rule first in {len(rows)} measurements: {shares[0]} at first, {shares[1]} now."
