"""What answers cost, and how often models failed at them: summed over stored turns and jobs.

What staff ask for (drafts, summaries, what-ifs, replays, trials of plans) is not part of it, and
neither are judge, vision and speech models, which have no price here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import (
    Count,
    Exists,
    F,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    TextField,
    Value,
)
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Coalesce, NullIf

from dialogues.models import Channel, Conversation, SubagentJob, Turn
from wowconsole.roles import AnyUser

DEAREST_SHOWN = 10
UNKNOWN = "not known"
ALL, NO_SUBAGENT = "All", "none: turns of the agent"
_SEGMENT = NullIf(
    KeyTextTransform("segment", "conversation__audience"),
    Value("", output_field=TextField()),
    output_field=TextField(),
)
# What turns are grouped by, and what jobs are: their model is that of their conversation's release.
GROUPS: dict[str, tuple[Any, Any]] = {
    "release": (F("release__name"), F("conversation__release__name")),
    "model": (F("release__version__name"), F("conversation__release__version__name")),
    "subagent": (Value(NO_SUBAGENT), F("subagent")),
    "scene": (F("conversation__scene__name"),) * 2,
    "channel": (F("conversation__channel"),) * 2,
    "segment": (_SEGMENT,) * 2,
}
_WHOLE = (Value(ALL),) * 2


@dataclass(frozen=True, slots=True)
class Spending:
    """The turns and jobs that are added up."""

    turns: QuerySet[Turn]
    jobs: QuerySet[SubagentJob]


@dataclass(frozen=True, slots=True)
class Share:
    """The turns and jobs of one group; money in dollars."""

    name: str
    conversations: int = 0
    turns: int = 0
    jobs: int = 0
    cost: Decimal = Decimal(0)
    tokens: int = 0
    engine_calls: int = 0  # of turns
    unreadable: int = 0
    unbacked: int = 0
    degraded: int = 0

    @property
    def per_conversation(self) -> Decimal:
        return self.cost / self.conversations if self.conversations else Decimal(0)

    @property
    def unreadable_percent(self) -> float | None:
        """Share of engine calls that brought no readable action; None: there were none."""
        return 100 * self.unreadable / self.engine_calls if self.engine_calls else None


def spending_since(user: AnyUser, since: datetime) -> Spending:
    """Return the answered turns and the jobs that the user may read.

    Imported turns cost nothing here.
    """
    turns = Turn.objects.visible_to(user).filter(created_at__gte=since, release__isnull=False)
    return Spending(turns, SubagentJob.objects.visible_to(user).filter(created_at__gte=since))


def whole(spending: Spending) -> Share:
    """Return all of it as one group."""
    return next(iter(_shares(spending, _WHOLE)), Share(ALL))


def by_group(spending: Spending, group: str) -> list[Share]:
    """Return the groups by one of GROUPS, the dearest first, then the largest."""
    names = dict(Channel.choices) if group == "channel" else {}
    shares = _shares(spending, GROUPS[group], names)
    return sorted(shares, key=lambda share: (-share.cost, -share.turns, share.name))


def _shares(
    spending: Spending, group: tuple[Any, Any], names: dict[str, str] | None = None
) -> list[Share]:
    """Return a share for each value of what turns and jobs are grouped by, shown by its name."""
    turns = spending.turns.order_by().annotate(part=_named(group[0]))
    jobs = spending.jobs.order_by().annotate(part=_named(group[1]))
    # A conversation of which the group has turns and jobs is counted with its turns.
    known = turns.filter(conversation=OuterRef("conversation"), part=OuterRef("part"))
    jobs = jobs.annotate(is_more=~Exists(known))
    added: dict[str, dict[str, Any]] = {}
    rows: list[Any] = [  # what is annotated has no type
        *turns.values("part").annotate(**_figures_of_turns()),
        *jobs.values("part").annotate(**_figures_of_jobs()),
    ]
    for row in rows:
        name = row.pop("part")
        sums = added.setdefault((names or {}).get(name, name), {})
        sums.update({key: sums.get(key, 0) + value for key, value in row.items()})
    return [Share(name, **sums) for name, sums in added.items()]


def _named(expression: Any) -> Coalesce:
    unknown = Value(UNKNOWN, output_field=TextField())
    return Coalesce(expression, unknown, output_field=TextField())


def _figures_of_turns() -> dict[str, Any]:
    return {
        "conversations": Count("conversation", distinct=True),
        "turns": Count("pk"),
        **_taken(),
        "engine_calls": Coalesce(Sum("engine_calls"), 0),
        "unreadable": Coalesce(Sum("unreadable_calls"), 0),
        "unbacked": Coalesce(Sum("unbacked_calls"), 0),
        "degraded": Count("pk", filter=~Q(degraded="")),
    }


def _figures_of_jobs() -> dict[str, Any]:
    more = Count("conversation", distinct=True, filter=Q(is_more=True))
    return {"conversations": more, "jobs": Count("pk"), **_taken()}


def _taken() -> dict[str, Any]:
    return {
        "cost": Coalesce(Sum("cost"), Decimal(0)),
        "tokens": Coalesce(Sum(F("prompt_tokens") + F("completion_tokens")), 0),
    }


def dearest(spending: Spending) -> Sequence[tuple[Conversation, Decimal]]:
    """Return the conversations that cost most, with what they cost."""
    turns, jobs = (rows.filter(cost__gt=0).order_by() for rows in (spending.turns, spending.jobs))
    priced = Q(pk__in=turns.values("conversation")) | Q(pk__in=jobs.values("conversation"))
    found: Any = Conversation.objects.filter(priced).annotate(cost=_sum_of(turns) + _sum_of(jobs))
    top = found.select_related("scene").order_by("-cost", "pk")[:DEAREST_SHOWN]
    return [(conversation, conversation.cost) for conversation in top]


def _sum_of(rows: QuerySet[Any]) -> Coalesce:
    """Return the sum of what rows of the conversation at hand cost."""
    own = rows.filter(conversation=OuterRef("pk")).values("conversation")
    return Coalesce(Subquery(own.annotate(sum=Sum("cost")).values("sum")), Decimal(0))
