"""Adding to a conversation's log: what every writer shares."""

import unicodedata
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.db.models import Q
from django.utils import timezone

from agents.cleaning import storable
from agents.masking import masked
from dialogues import events
from dialogues.models import Conversation, Event, Role
from wowconsole.committing import after_commit
from wowconsole.errors import Invalid, Refused, TooMany

LONGEST_MESSAGE = 2000  # characters
MESSAGES_A_MINUTE = 20
SHAPELESS = {"Cc", "Cf", "Zs", "Zl", "Zp"}  # categories of Unicode
# Without a shape too, whatever their category: fillers of scripts, and what varies other signs.
FILLERS = {*"\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0", *map(chr, range(0xFE00, 0xFE10))}


class ConversationClosed(Refused):
    code = "conversation_closed"


def append(*, conversation: Conversation, **fields: Any) -> Event:
    """Add an event to the log; the database gives it the next number.

    Raises:
        IntegrityError: control has changed since `fence` was read, or the client_id is known.
    """
    event = Event.objects.create(conversation=conversation, **fields)
    after_commit(events.appended, conversation.public_id, event.seq)
    return event


def shows(text: str) -> bool:
    """Say whether there is anything to see in a text."""
    return any(unicodedata.category(sign) not in SHAPELESS and sign not in FILLERS for sign in text)


def checked(text: str) -> str:
    """Return what a person wrote as it is stored: without the numbers of payment cards.

    Raises:
        Invalid: there is nothing to see in it, or it is too long.
    """
    text = str(storable(text)).strip()
    if not shows(text):
        raise Invalid("Write something first.")
    if len(text) > LONGEST_MESSAGE:
        raise Invalid(f"A message has at most {LONGEST_MESSAGE} characters; split it.")
    return masked(text)


def done_lately(conversation: Conversation, *, client_id: str = "") -> list[Event]:
    """Return what the customer did within the last minute, and whatever has that client_id."""
    lately = Q(at__gt=timezone.now() - timedelta(minutes=1), role=Role.CUSTOMER)
    wanted = lately | Q(client_id=client_id) if client_id else lately
    return list(conversation.events.filter(wanted))


def check_rate(lately: Sequence[Event]) -> None:
    if len(lately) >= MESSAGES_A_MINUTE:
        raise TooMany("That was very quick. Wait a minute before you write again.")
