"""What customers do in a conversation. Each returns once the database has it."""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Now
from django.utils import timezone

from agents.finding import expect
from agents.masking import masked
from agents.models import live_release
from dialogues.appending import (
    LONGEST_MESSAGE,
    MESSAGES_A_MINUTE,
    ConversationClosed,
    append,
    check_rate,
    checked,
    done_lately,
    shows,
)
from dialogues.chat.rating import NothingToRate, give_feedback, rate
from dialogues.desk.control import ask_for_person, close, hand_back, reply_as_staff
from dialogues.models import (
    BY_PERSON,
    Control,
    Conversation,
    Event,
    EventKind,
    Role,
    Turn,
    TurnStatus,
    asks_for_answer,
)
from dialogues.senses import attaching
from knowledge.models import Scene
from wowconsole.errors import Invalid

__all__ = [
    "LONGEST_MESSAGE",
    "MESSAGES_A_MINUTE",
    "ConversationClosed",
    "NothingToRate",
    "append",
    "ask_for_person",
    "begin_turn",
    "close",
    "give_feedback",
    "hand_back",
    "lease_end",
    "opens",
    "rate",
    "reply_as_staff",
    "say",
    "start_conversation",
    "take_over",
]

CHANNEL = "web"  # of a chat whose site names none
MOST_DROPPED = 3  # answers in a row that a customer may interrupt by writing on
ONE_BREATH = timedelta(seconds=8)  # within which they may interrupt more
LEASE_SECONDS = 15  # renewed while the process that answers lives


def start_conversation(
    *,
    scene: Scene | None,
    customer: str = "",
    audience: Mapping[str, str] | None = None,
    token: str = "",
) -> tuple[Conversation, str]:
    """Open a conversation and return it with the secret by which its customer comes back.

    Only the secret's SHA-256 is stored, and no number of a payment card.

    Args:
        audience: what is known of the customer: "channel" (without it "web"), "segment",
            "region". Rules that are limited by one are for those who have it.
        token: the secret; empty: a new one.
    """
    token = token or secrets.token_urlsafe(24)
    known = {name: masked(text.strip().lower()) for name, text in (audience or {}).items()}
    conversation = Conversation(
        scene=scene,
        customer=masked(customer),
        audience={"channel": CHANNEL} | {name: text for name, text in known.items() if text},
        token_sha256=hashlib.sha256(token.encode()).hexdigest(),
    )
    conversation.full_clean()
    conversation.save()
    return conversation, token


def opens(conversation: Conversation, token: str) -> bool:
    """Say whether `token` is the one its customer was given."""
    digest = hashlib.sha256(token.encode()).hexdigest()
    return secrets.compare_digest(digest, conversation.token_sha256)


@transaction.atomic
def say(
    *, conversation: Conversation, text: str, client_id: str, attachments: Sequence[UUID] = ()
) -> Event:
    """Store what the customer wrote. The same client_id again returns the stored event.

    Its `conversation` is as it is now: whoever has control of it there deals with the message.

    An answer that is still being written is dropped: the next one answers everything. That
    is why nobody waits for a customer who writes in several short messages.

    Args:
        attachments: what was uploaded before and goes with it; then the text may be empty.

    Raises:
        Invalid: the text shows nothing or is too long, a file is gone, or the client_id is ours.
        ConversationClosed, TooMany: it can't be taken now.
    """
    text = checked(text) if shows(text) or not attachments else ""
    locked = Conversation.objects.select_for_update()  # one message at a time
    conversation.refresh_from_db(from_queryset=locked)
    lately = done_lately(conversation, client_id=client_id)
    if known := next((event for event in lately if event.client_id == client_id), None):
        if known.role != Role.CUSTOMER:
            raise Invalid("This client_id is taken. Choose another one.")
        return known
    if conversation.closed_at:
        raise ConversationClosed("This conversation has ended. Start a new one.")
    check_rate(lately)
    sent = attaching.take(conversation, attachments) if attachments else []
    if conversation.control != Control.HUMAN:  # else no turn runs, and none will
        expect(text)
        _drop_running(conversation)
    event = append(
        conversation=conversation,
        kind=EventKind.MESSAGE,
        role=Role.CUSTOMER,
        text=text,
        data=attaching.carried(sent),
        client_id=client_id,
    )
    attaching.send(sent, event)
    return event


def _drop_running(conversation: Conversation) -> None:
    """Not after a tool was called: what was done must be told, and done once."""
    running = conversation.turns.filter(status=TurnStatus.RUNNING, acts=False)
    if running.exists() and not _waits_too_long(conversation):
        running.update(status=TurnStatus.DROPPED, finished_at=timezone.now())


def _waits_too_long(conversation: Conversation) -> bool:
    """Say whether the answers since the last one were dropped too often, over too long a time."""
    interrupted = Q(status=TurnStatus.DROPPED, error="")
    ended = conversation.turns.exclude(status=TurnStatus.RUNNING)
    last = ended.exclude(interrupted).values_list("pk", flat=True).last() or 0
    dropped = ended.filter(interrupted, pk__gt=last).values_list("created_at", flat=True)
    return len(dropped) >= MOST_DROPPED and timezone.now() - dropped[0] > ONE_BREATH


@transaction.atomic
def begin_turn(conversation_pk: int) -> Turn | None:
    """Take up what the customer said, or a job brought, and nobody has answered, or return None.

    Several unanswered messages become one turn. At most one turn runs at a time, and
    none while a person has control; the database refuses a second one in any case.
    """
    conversation = Conversation.objects.select_for_update().get(pk=conversation_pk)
    if conversation.control == Control.HUMAN or conversation.closed_at:
        return None
    asked = conversation.events.filter(asks_for_answer()).last()
    newest = conversation.turns.last()
    if asked is None or (newest and newest.status == TurnStatus.RUNNING):
        return None
    if newest and newest.asked_seq >= asked.seq:
        return None
    if conversation.events.filter(BY_PERSON, seq__gt=asked.seq).exists():
        return None  # a person dealt with it and handed back
    if conversation.release_id is None:
        conversation.release = live_release(conversation.scene)
        conversation.save(update_fields=["release"])
    return Turn.objects.create(
        conversation=conversation,
        asked_seq=asked.seq,
        release=conversation.release,
        fence=conversation.fence,
        attempts=1,
        leased_until=lease_end(),
    )


def take_over(turn_pk: int) -> Turn | None:
    """Lease a turn whose process has died, or return None. One UPDATE decides.

    It runs, or was silenced in the middle of a call of which nobody knows what came.
    """
    parts = ("conversation__scene", "release__version")  # what is not fetched here can't be later
    turn = Turn.objects.select_related(*parts).get(pk=turn_pk)
    as_read = Turn.objects.filter(pk=turn.pk, attempts=turn.attempts)
    silent = as_read.abandoned() | as_read.unsettled()
    turn.attempts += 1
    taken = silent.update(leased_until=lease_end(), attempts=turn.attempts)
    return turn if taken else None


def lease_end() -> CombinedExpression:
    """Return until when a turn belongs to who takes it now, by the database's clock.

    Hosts' own clocks differ: by one that is fast, every living turn would be abandoned.
    """
    return Now() + timedelta(seconds=LEASE_SECONDS)
