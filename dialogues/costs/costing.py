"""What answers cost, and how often models failed at them: summed over stored turns."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Count, F, Q, QuerySet, Sum, TextField, Value
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Coalesce, NullIf

from dialogues.models import Channel, Conversation, Turn
from wowconsole.roles import AnyUser

DEAREST_SHOWN = 10
UNKNOWN = "not known"
GROUPS: dict[str, Any] = {
    "release": F("release__name"),
    "model": F("release__version__name"),
    "scene": F("conversation__scene__name"),
    "channel": F("conversation__channel"),
    "segment": NullIf(
        KeyTextTransform("segment", "conversation__audience"),
        Value("", output_field=TextField()),
        output_field=TextField(),
    ),
}


@dataclass(frozen=True, slots=True)
class Share:
    """The turns of one group; money in dollars."""

    name: str
    conversations: int
    turns: int
    cost: Decimal
    tokens: int
    engine_calls: int
    unreadable: int
    unbacked: int
    degraded: int

    @property
    def per_conversation(self) -> Decimal:
        return self.cost / self.conversations if self.conversations else Decimal(0)

    @property
    def unreadable_percent(self) -> float | None:
        """Share of engine calls that brought no readable action; None: there were none."""
        return 100 * self.unreadable / self.engine_calls if self.engine_calls else None


def turns_since(user: AnyUser, since: datetime) -> QuerySet[Turn]:
    """Return the answered turns that the user may read; imported ones cost nothing here."""
    return Turn.objects.visible_to(user).filter(created_at__gte=since, release__isnull=False)


def whole(turns: QuerySet[Turn]) -> Share:
    """Return all of it as one group."""
    return Share(name="All", **turns.order_by().aggregate(**_figures()))


def by_group(turns: QuerySet[Turn], group: str) -> list[Share]:
    """Return the groups of `turns` by one of GROUPS, the dearest first, then the largest."""
    named = turns.order_by().annotate(name=_named(group))
    rows: Any = named.values("name").annotate(**_figures())  # what is annotated has no type
    channels = dict(Channel.choices)
    shares = [Share(**(row | {"name": _shown(group, row["name"], channels)})) for row in rows]
    return sorted(shares, key=lambda share: (-share.cost, -share.turns, share.name))


def _named(group: str) -> Coalesce:
    unknown = Value(UNKNOWN, output_field=TextField())
    return Coalesce(GROUPS[group], unknown, output_field=TextField())


def _shown(group: str, name: str, channels: dict[str, str]) -> str:
    return channels.get(name, name) if group == "channel" else name


def _figures() -> dict[str, Any]:
    return {
        "conversations": Count("conversation", distinct=True),
        "turns": Count("pk"),
        "cost": Coalesce(Sum("cost"), Decimal(0)),
        "tokens": Coalesce(Sum(F("prompt_tokens") + F("completion_tokens")), 0),
        "engine_calls": Coalesce(Sum("engine_calls"), 0),
        "unreadable": Coalesce(Sum("unreadable_calls"), 0),
        "unbacked": Coalesce(Sum("unbacked_calls"), 0),
        "degraded": Count("pk", filter=~Q(degraded="")),
    }


def dearest(turns: QuerySet[Turn]) -> Sequence[tuple[Conversation, Decimal]]:
    """Return the conversations that cost most, with what they cost."""
    sums = turns.filter(cost__gt=0).order_by().values_list("conversation").annotate(sum=Sum("cost"))
    top = list(sums.order_by("-sum", "conversation")[:DEAREST_SHOWN])
    found = Conversation.objects.select_related("scene").in_bulk([pk for pk, _ in top])
    return [(found[pk], cost) for pk, cost in top]
