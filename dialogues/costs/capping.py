"""What a conversation and a day may cost; above it, people answer.

Turns and the jobs of sub-agents count: what was done for the customer. What staff ask for (drafts,
summaries, what-ifs, replays, trials of plans) is not the conversation's and is not held back, and
neither are judge, vision and speech models, which have no price here.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db.models import Sum
from django.utils import timezone

from dialogues.models import Conversation, SubagentJob, Turn

CAPPED = "I have come as far as I can here. A colleague goes on from this point."


def money_left(conversation: Conversation) -> Decimal | None:
    """Return the dollars that the caps leave for the next turn; None: no cap is set."""
    left = []
    if settings.CONVERSATION_CAP_CENTS:
        left.append(_dollars(settings.CONVERSATION_CAP_CENTS) - _spent(conversation=conversation))
    if settings.DAY_CAP_CENTS:
        left.append(_dollars(settings.DAY_CAP_CENTS) - _spent(created_at__gte=_midnight()))
    return min(left) if left else None


def _dollars(cents: int) -> Decimal:
    return Decimal(cents) / 100


def _spent(**of: Any) -> Decimal:
    """Return what the turns and the jobs with these fields have cost."""
    zero = Decimal(0)
    rows = [model.objects.filter(**of, cost__gt=0) for model in (Turn, SubagentJob)]
    return sum((each.aggregate(sum=Sum("cost"))["sum"] or zero for each in rows), zero)


def _midnight() -> datetime:
    now = timezone.localtime()
    return now.replace(hour=0, minute=0, second=0, microsecond=0)
