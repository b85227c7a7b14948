"""How well a search ranks, against labels: pure functions of unit ids. No Django.

Sources: MRR by Voorhees 1999, "The TREC-8 Question Answering Track Report"; nDCG by
Järvelin & Kekäläinen 2002, "Cumulated gain-based evaluation of IR techniques", with gains
of 0 and 1 and the usual discount of log2(rank + 1). A hit at k is one relevant rule among
the first k, since an agent needs one.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from knowledge.shares import share_of

HIT_DEPTHS = (1, 3, 5)
NDCG_DEPTH = 10  # ranks that count; whoever ranks should return as many
RANKED = ("hit_at_1", "hit_at_3", "hit_at_5", "mrr", "ndcg_at_10")

Ranking = tuple[Sequence[int], set[int]]  # unit ids found, best first, and those relevant


def scores(ranked: Sequence[int], relevant: set[int]) -> dict[str, float]:
    """Return hit_at_1, hit_at_3, hit_at_5, mrr and ndcg_at_10 of one question, each 0 to 1.

    Args:
        ranked: ids found, best first, each once.
        relevant: ids that answer the question, at least one.
    """
    first = next((rank for rank, pk in enumerate(ranked, start=1) if pk in relevant), None)
    hits = {f"hit_at_{k}": float(first is not None and first <= k) for k in HIT_DEPTHS}
    return hits | {"mrr": 1 / first if first else 0.0, "ndcg_at_10": _ndcg(ranked, relevant)}


def summarise(rankings: Iterable[Ranking]) -> dict[str, dict[str, Any]]:
    """Return {"share", "low", "high", "count"} by name: means with 95 % Wilson intervals.

    The names of `scores` are over the answerable questions; `false_finds` is the share of
    the others (nothing relevant) for which something was found. A name nobody asked for is
    absent.
    """
    rankings = list(rankings)
    rows = [scores(ranked, relevant) for ranked, relevant in rankings if relevant]
    columns = {name: [row[name] for row in rows] for name in RANKED}
    columns["false_finds"] = [float(bool(ranked)) for ranked, relevant in rankings if not relevant]
    return {name: asdict(share_of(values)) for name, values in columns.items() if values}


def went_wrong(ranked: Sequence[int], relevant: set[int]) -> bool:
    """Say whether the agent would be misled: no right rule at the top, or any rule for none."""
    if not relevant:
        return bool(ranked)
    return not ranked or ranked[0] not in relevant


def _ndcg(ranked: Sequence[int], relevant: set[int]) -> float:
    gained = sum(_gain(rank) for rank, pk in enumerate(ranked[:NDCG_DEPTH], 1) if pk in relevant)
    ideal = sum(_gain(rank) for rank in range(1, min(len(relevant), NDCG_DEPTH) + 1))
    return gained / ideal if ideal else 0.0


def _gain(rank: int) -> float:
    return 1 / math.log2(rank + 1)
