"""Shares over many, with the interval they lie in. No Django."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

Z_95 = 1.959964  # standard normal quantile of a two-sided 95 % interval


@dataclass(frozen=True, slots=True)
class Share:
    """A mean of scores from 0 to 1 and the interval it lies in with 95 % confidence."""

    share: float
    low: float
    high: float
    count: int


def wilson(hits: float, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927), also right for few and for all."""
    if count == 0:
        return 0.0, 1.0
    share, square = hits / count, Z_95**2 / count
    middle = (share + square / 2) / (1 + square)
    half = Z_95 * math.sqrt(share * (1 - share) / count + square / (4 * count)) / (1 + square)
    return max(0.0, middle - half), min(1.0, middle + half)


def share_of(values: Sequence[float]) -> Share:
    """Return the mean of at least one score from 0 to 1."""
    # For scores between 0 and 1, as of replies or ranks, Wilson's interval of their mean is
    # too wide rather than too narrow: no such score varies more than a yes or no.
    low, high = wilson(sum(values), len(values))
    mean = sum(values) / len(values)
    return Share(round(mean, 4), round(low, 4), round(high, 4), len(values))
