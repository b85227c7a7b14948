"""What a conversation and a day may cost; above it, people answer."""

from datetime import datetime
from decimal import Decimal

from django.conf import settings
from django.db.models import QuerySet, Sum
from django.utils import timezone

from dialogues.models import Conversation, Turn

CAPPED = "I have come as far as I can here. A colleague goes on from this point."


def money_left(conversation: Conversation) -> Decimal | None:
    """Return the dollars that the caps leave for the next turn; None: no cap is set."""
    left = []
    if settings.CONVERSATION_CAP_CENTS:
        own = Turn.objects.filter(conversation=conversation)
        left.append(_dollars(settings.CONVERSATION_CAP_CENTS) - _spent(own))
    if settings.DAY_CAP_CENTS:
        today = Turn.objects.filter(created_at__gte=_midnight(), cost__gt=0)
        left.append(_dollars(settings.DAY_CAP_CENTS) - _spent(today))
    return min(left) if left else None


def _dollars(cents: int) -> Decimal:
    return Decimal(cents) / 100


def _spent(turns: QuerySet[Turn]) -> Decimal:
    return turns.aggregate(sum=Sum("cost"))["sum"] or Decimal(0)


def _midnight() -> datetime:
    now = timezone.localtime()
    return now.replace(hour=0, minute=0, second=0, microsecond=0)
