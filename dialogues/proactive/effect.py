"""What speaking first changed: customers who were told beside those held out.

Each customer counts once, by the policy's first decision about them, once the hours of the
comparison are over: half a window would look like fewer contacts.
"""

from dataclasses import dataclass
from datetime import timedelta
from math import sqrt
from typing import cast

from django.db.models import (
    Count,
    DateTimeField,
    DurationField,
    Exists,
    ExpressionWrapper,
    F,
    Min,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
)
from django.db.models.functions import Coalesce
from django.utils import timezone

from dialogues.models import (
    TOLD_OR_HELD,
    Control,
    Conversation,
    Event,
    EventKind,
    Outcome,
    ProactiveDecision,
    ProactivePolicy,
    Role,
)

Z = 1.959964  # of the normal distribution for 95 %
SATISFIED = 4  # and better, of 5


@dataclass(frozen=True, slots=True)
class Share:
    """`hits` of `total`, with Wilson's 95 % interval (Wilson 1927; Newcombe 1998a, method 3)."""

    hits: int
    total: int

    @property
    def share(self) -> float:
        return self.hits / self.total if self.total else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        if not self.total:
            return (0.0, 1.0)
        n, p, z2 = self.total, self.share, Z * Z
        middle = p + z2 / (2 * n)
        half = Z * sqrt(p * (1 - p) / n + z2 / (4 * n * n))
        low, high = (middle - half) / (1 + z2 / n), (middle + half) / (1 + z2 / n)
        return (max(low, 0.0), min(high, 1.0))

    @property
    def in_words(self) -> str:
        if not self.total:
            return "nobody yet"
        low, high = self.interval
        return f"{self.hits} of {self.total}: {self.share:.0%} ({low:.0%} to {high:.0%})"


@dataclass(frozen=True, slots=True)
class Measure:
    """One comparison. `difference` is told less held out, -1 to 1."""

    name: str
    told: Share
    held: Share

    @property
    def is_known(self) -> bool:
        return bool(self.told.total and self.held.total)

    @property
    def difference(self) -> float:
        return self.told.share - self.held.share

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the difference (Newcombe 1998b, method 10)."""
        (l1, u1), (l2, u2) = self.told.interval, self.held.interval
        p1, p2 = self.told.share, self.held.share
        below = sqrt((p1 - l1) ** 2 + (u2 - p2) ** 2)
        above = sqrt((u1 - p1) ** 2 + (p2 - l2) ** 2)
        return (self.difference - below, self.difference + above)

    @property
    def in_words(self) -> str:
        """Say what is proven, no more."""
        if not self.is_known:
            return "Not enough customers in both groups yet."
        low, high = self.interval
        points = f"{100 * self.difference:+.0f} points ({100 * low:+.0f} to {100 * high:+.0f})"
        if low > 0:
            return f"{points}: more among those told."
        if high < 0:
            return f"{points}: fewer among those told."
        return f"{points}: no difference is proven."


def effect_of(policy: ProactivePolicy) -> list[Measure]:
    """Compare the two groups: who wrote, who asked for a person, who was satisfied.

    One query. Of the satisfied only those count who rated: who did not is missing.
    """
    seen = _firsts(policy).annotate(wrote=_wrote(), queued=_queued(), score=_score())
    grouped = (
        seen.order_by()
        .values("outcome")
        .annotate(
            total=Count("pk"),
            wrote_count=Count("pk", filter=Q(wrote=True)),
            queued_count=Count("pk", filter=Q(queued=True)),
            rated_count=Count("pk", filter=Q(score__isnull=False)),
            satisfied_count=Count("pk", filter=Q(score__gte=SATISFIED)),
        )
    )
    rows = {row["outcome"]: cast(dict[str, int], row) for row in grouped}
    told, held = rows.get(Outcome.SENT, {}), rows.get(Outcome.HELD_OUT, {})

    def measure(name: str, hits: str, total: str) -> Measure:
        shares = [Share(row.get(hits, 0), row.get(total, 0)) for row in (told, held)]
        return Measure(name, *shares)

    return [
        measure("Wrote to us", "wrote_count", "total"),
        measure("Asked for a person", "queued_count", "total"),
        measure("Satisfied, of those who rated", "satisfied_count", "rated_count"),
    ]


def _firsts(policy: ProactivePolicy) -> QuerySet[ProactiveDecision]:
    """Return each customer's first decision, with `until`, where its hours are over."""
    decided = policy.decisions.filter(outcome__in=TOLD_OR_HELD)
    customers = decided.order_by().values("event__site", "customer_ref")
    first = customers.annotate(first=Min("pk")).values("first")
    hours = ExpressionWrapper(F("version__contact_hours") * timedelta(hours=1), DurationField())
    until = ExpressionWrapper(F("decided_at") + hours, DateTimeField())
    return (
        ProactiveDecision.objects.filter(pk__in=first)
        .annotate(until=until)
        .filter(until__lte=timezone.now())
    )


def _same_site(path: str) -> Q:
    """Match the conversations of the event's site; one of no site may be any customer's."""
    return Q(**{path: None}) | Q(**{path: Coalesce(OuterRef("event__site"), F(path))})


def _in_window(**wanted: object) -> Q:
    return Q(
        _same_site("conversation__site"),
        conversation__customer_ref=OuterRef("customer_ref"),
        at__gt=OuterRef("decided_at"),
        at__lte=OuterRef("until"),
        **wanted,
    )


def _wrote() -> Exists:
    return Exists(Event.objects.filter(_in_window(kind=EventKind.MESSAGE, role=Role.CUSTOMER)))


def _queued() -> Exists:
    """Say whether they asked: not who was passed on because we broke a promise, or fell short."""
    asked = {"data__state": Control.QUEUED, "data__by_customer": True}
    return Exists(Event.objects.filter(_in_window(kind=EventKind.CONTROL, **asked)))


def _score() -> Subquery:
    """Return the newest conversation's rating that was given within the hours."""
    rated = Conversation.objects.filter(
        _same_site("site"),
        customer_ref=OuterRef("customer_ref"),
        rating__isnull=False,
        events__kind=EventKind.RATING,
        events__at__gt=OuterRef("decided_at"),
        events__at__lte=OuterRef("until"),
    )
    return Subquery(rated.order_by("-pk").values("rating")[:1])
