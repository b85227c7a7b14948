"""What answers cost, and how often models failed at them: summed over stored turns and jobs.

The wording of unasked messages adds to cost and tokens, and is neither.

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

from dialogues.models import Channel, Conversation, ProactiveDecision, SubagentJob, Turn
from wowconsole.roles import AnyUser

DEAREST_SHOWN = 10
UNKNOWN = "not known"
ALL, NO_SUBAGENT = "All", "none: turns of the agent"
_SEGMENT = NullIf(
    KeyTextTransform("segment", "conversation__audience"),
    Value("", output_field=TextField()),
    output_field=TextField(),
)
_RELEASE, _MODEL = F("conversation__release__name"), F("conversation__release__version__name")
_OWN_RELEASE = Coalesce(F("release__name"), _RELEASE)
_OWN_MODEL = Coalesce(F("release__version__name"), _MODEL)
# What turns are grouped by, what jobs are, and what unasked messages are: the model is that of the
# release, of jobs without one and of messages that of their conversation's.
GROUPS: dict[str, tuple[Any, Any, Any]] = {
    "release": (F("release__name"), _OWN_RELEASE, _RELEASE),
    "model": (F("release__version__name"), _OWN_MODEL, _MODEL),
    "subagent": (Value(NO_SUBAGENT), F("subagent"), Value(NO_SUBAGENT)),
    "scene": (F("conversation__scene__name"),) * 3,
    "channel": (F("conversation__channel"),) * 3,
    "segment": (_SEGMENT,) * 3,
}
_WHOLE = (Value(ALL),) * 3


@dataclass(frozen=True, slots=True)
class Spending:
    """The turns, jobs and unasked messages that are added up."""

    turns: QuerySet[Turn]
    jobs: QuerySet[SubagentJob]
    messages: QuerySet[ProactiveDecision]


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
    """Return the answered turns, the jobs and the costly messages that the user may read.

    Imported turns cost nothing here.
    """
    turns = Turn.objects.visible_to(user).filter(created_at__gte=since, release__isnull=False)
    jobs = SubagentJob.objects.visible_to(user).filter(created_at__gte=since)
    worded = Q(decided_at__gte=since, prompt_tokens__gt=0)
    messages = ProactiveDecision.objects.visible_to(user).filter(worded)
    return Spending(turns, jobs, messages)


def whole(spending: Spending) -> Share:
    """Return all of it as one group."""
    return next(iter(_shares(spending, _WHOLE)), Share(ALL))


def by_group(spending: Spending, group: str) -> list[Share]:
    """Return the groups by one of GROUPS, the dearest first, then the largest."""
    names = dict(Channel.choices) if group == "channel" else {}
    shares = _shares(spending, GROUPS[group], names)
    return sorted(shares, key=lambda share: (-share.cost, -share.turns, share.name))


def _shares(
    spending: Spending, group: tuple[Any, Any, Any], names: dict[str, str] | None = None
) -> list[Share]:
    """Return a share for each value of what the rows are grouped by, shown by its name."""
    turns = spending.turns.order_by().annotate(part=_named(group[0]))
    jobs = spending.jobs.order_by().annotate(part=_named(group[1]))
    messages = spending.messages.order_by().annotate(part=_named(group[2]))
    # A conversation of which the group has turns and jobs is counted with its turns.
    known = turns.filter(conversation=OuterRef("conversation"), part=OuterRef("part"))
    jobs = jobs.annotate(is_more=~Exists(known))
    added: dict[str, dict[str, Any]] = {}
    rows: list[Any] = [  # what is annotated has no type
        *turns.values("part").annotate(**_figures_of_turns()),
        *jobs.values("part").annotate(**_figures_of_jobs()),
        *messages.values("part").annotate(**_taken()),
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
    parts: list[QuerySet[Any]] = [spending.turns, spending.jobs, spending.messages]
    rows = [part.filter(cost__gt=0).order_by() for part in parts]
    priced = Q(*(Q(pk__in=each.values("conversation")) for each in rows), _connector=Q.OR)
    turns, jobs, messages = map(_sum_of, rows)
    found: Any = Conversation.objects.filter(priced).annotate(cost=turns + jobs + messages)
    top = found.select_related("scene").order_by("-cost", "pk")[:DEAREST_SHOWN]
    return [(conversation, conversation.cost) for conversation in top]


def _sum_of(rows: QuerySet[Any]) -> Coalesce:
    """Return the sum of what rows of the conversation at hand cost."""
    own = rows.filter(conversation=OuterRef("pk")).values("conversation")
    return Coalesce(Subquery(own.annotate(sum=Sum("cost")).values("sum")), Decimal(0))
