"""Similarities of any embedding model, said in those of the shipped one.

Models spread cosines differently: unrelated texts score .8 by one and .1 by another. The
thresholds of `RetrievalSettings`, and what pages show, are in the shipped model's cosines;
an index of another model carries the straight line that leads from those to its own. The line
goes through two points measured on the rules themselves: wordings against the rest of their
own rule (the nearest text), and against all other rules (the mean). This is our own method.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from django.db import connection

from knowledge.indexing import embed_for
from knowledge.models import EmbeddingIndex, Hook, HookKind

SAMPLES = 100
FEWEST_SAMPLES = 5  # with fewer wordings a line would be a guess
AT_ONCE = 10  # samples compared with every wording by one statement
LEAST_SPREAD = 0.01  # cosine between related and unrelated texts

NEIGHBOURS = """
SELECT max(1 - (stored.embedding <=> asked.vector)) FILTER (WHERE stored.unit_id = asked.unit),
       avg(1 - (stored.embedding <=> asked.vector)) FILTER (WHERE stored.unit_id <> asked.unit)
FROM unnest(%(hooks)s::bigint[], %(units)s::bigint[], %(vectors)s::text[]::vector[])
    AS asked (hook, unit, vector)
JOIN knowledge_hookvector AS stored
    ON stored.index_id = %(index)s AND stored.hook_id <> asked.hook
GROUP BY asked.hook
"""


class NoSpread(Exception):
    """The model finds related texts no more alike than unrelated ones."""


@dataclass(frozen=True, slots=True)
class Scale:
    """A model's cosine is `slope` times the shipped model's, plus `offset`."""

    slope: float = 1.0
    offset: float = 0.0

    def shipped(self, cosine: float) -> float:
        """Return the shipped model's cosine that stands for one of this model."""
        return (cosine - self.offset) / self.slope

    def own(self, cosine: float) -> float:
        """Return this model's cosine that stands for one of the shipped model."""
        return self.slope * cosine + self.offset


def scale_of(index: EmbeddingIndex) -> Scale:
    """Return the scale an index carries; the shipped model's where it carries none."""
    return Scale(**index.options.get("scale", {}))


def measure(
    index: EmbeddingIndex, reference: EmbeddingIndex, keep_lease: Callable[[], object]
) -> dict[str, Any]:
    """Return what an index is to carry as its scale, {} where there are too few wordings.

    Args:
        reference: a whole index whose scale is known.
        keep_lease: called between pieces of work of about a second.

    Raises:
        NoSpread: the model can't be used.
        EmbeddingFailed: one of the models gave no vectors.
    """
    hooks = _sample()
    known, new = (_points(one, hooks, keep_lease) for one in (reference, index))
    if known is None or new is None:
        return {}
    scale = scale_of(reference)
    related, unrelated = (scale.shipped(cosine) for cosine in known)
    if min(new[0] - new[1], related - unrelated) < LEAST_SPREAD:
        raise NoSpread(
            f"Related texts have a cosine of {new[0]:.3f}, unrelated ones {new[1]:.3f}: this model "
            "does not tell them apart."
        )
    slope = (new[0] - new[1]) / (related - unrelated)
    return asdict(Scale(slope=slope, offset=new[1] - slope * unrelated))


def _sample() -> list[Hook]:
    """Return customers' wordings, spread over the base; titles where there are too few."""
    for kind in (HookKind.QUESTION, HookKind.TITLE):
        pks = list(Hook.objects.filter(kind=kind).order_by("pk").values_list("pk", flat=True))
        if len(pks) >= FEWEST_SAMPLES:
            some = pks[:: max(1, len(pks) // SAMPLES)][:SAMPLES]
            return list(Hook.objects.filter(pk__in=some).order_by("pk"))
    return []


def _points(
    index: EmbeddingIndex, hooks: Sequence[Hook], keep_lease: Callable[[], object]
) -> tuple[float, float] | None:
    """Return the median cosines of related and of unrelated texts."""
    rows: list[tuple[float, float]] = []
    for start in range(0, len(hooks), AT_ONCE):
        rows += _neighbours(index, hooks[start : start + AT_ONCE])
        keep_lease()
    if len(rows) < FEWEST_SAMPLES:
        return None
    return median(related for related, _ in rows), median(other for _, other in rows)


def _neighbours(index: EmbeddingIndex, hooks: Sequence[Hook]) -> list[tuple[float, float]]:
    vectors = embed_for(index, [hook.text for hook in hooks], is_query=True)
    parameters: dict[str, Any] = {
        "hooks": [hook.pk for hook in hooks],
        "units": [hook.unit_id for hook in hooks],
        "vectors": [str(vector) for vector in vectors],
        "index": index.pk,
    }
    with connection.cursor() as cursor:
        cursor.execute(NEIGHBOURS, parameters)
        return [(near, far) for near, far in cursor.fetchall() if None not in (near, far)]
