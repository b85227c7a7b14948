"""What a conversation and a day may cost; above it, people answer.

Turns, the jobs of sub-agents and the wording of unasked messages count: what was done for the
customer. What staff ask for (drafts, summaries, what-ifs, replays, trials of plans) is not the
conversation's and is not held back, and neither are judge, vision and speech models, which have no
price here.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Sum
from django.utils import timezone

from dialogues.models import Conversation, ProactiveDecision, SubagentJob, Turn

RESERVING = 5_418_207  # key of the advisory lock; any number nobody else uses
CAPPED = "I have come as far as I can here. A colleague goes on from this point."


def money_left(conversation: Conversation | None, *, but: int = 0) -> Decimal | None:
    """Return the dollars that the caps leave for the next turn; None: no cap is set.

    Args:
        but: pk of a turn whose own cost is not taken off; 0: none.
    """
    left = []
    if settings.CONVERSATION_CAP_CENTS and conversation:
        spent = _spent(but, conversation=conversation) + _worded(conversation=conversation)
        left.append(_dollars(settings.CONVERSATION_CAP_CENTS) - spent)
    if settings.DAY_CAP_CENTS:
        spent = _spent(but, created_at__gte=_midnight()) + _worded(decided_at__gte=_midnight())
        left.append(_dollars(settings.DAY_CAP_CENTS) - spent)
    return min(left) if left else None


@transaction.atomic
def reserve(turn: Turn, total: Decimal) -> bool:
    """Put on a running turn what it will have cost with its next call, if the caps leave that.

    One at a time, so that turns that run side by side can't both take what is left. What the
    turn has cost indeed takes this place when it ends.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [RESERVING])
    left = money_left(turn.conversation, but=turn.pk)
    if left is not None and total > left:
        return False
    Turn.objects.held(turn).update(cost=total)
    return True


def _dollars(cents: int) -> Decimal:
    return Decimal(cents) / 100


def _spent(but: int, **of: Any) -> Decimal:
    """Return what the turns and the jobs with these fields have cost, less one turn."""
    of |= {"cost__gt": 0}
    rows = (Turn.objects.filter(**of).exclude(pk=but), SubagentJob.objects.filter(**of))
    return sum((each.aggregate(sum=Sum("cost"))["sum"] or Decimal(0) for each in rows), Decimal(0))


def _worded(**of: Any) -> Decimal:
    """Return what wording the unasked messages with these fields has cost."""
    rows = ProactiveDecision.objects.filter(**of, cost__gt=0)
    return rows.aggregate(sum=Sum("cost"))["sum"] or Decimal(0)


def _midnight() -> datetime:
    now = timezone.localtime()
    return now.replace(hour=0, minute=0, second=0, microsecond=0)
