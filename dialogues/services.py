"""What customers do in a conversation. Each returns once the database has it."""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from agents.cleaning import storable
from agents.models import Release, live_release
from agents.prompting import Line
from dialogues import events
from dialogues.models import (
    Channel,
    Control,
    Conversation,
    Event,
    EventKind,
    Judgement,
    JudgementSource,
    Role,
    Turn,
    TurnStatus,
    Verdict,
)
from knowledge.models import Scene
from wowconsole.errors import Invalid, Refused, TooMany

LONGEST_MESSAGE = 2000  # characters
MESSAGES_A_MINUTE = 20
CHANNEL = "web"  # of a chat whose site names none
MOST_DROPPED = 3  # answers in a row that a customer may interrupt by writing on
LEASE_SECONDS = 15  # renewed while the process that answers lives


class ConversationClosed(Refused):
    code = "conversation_closed"


class NothingToRate(Refused):
    code = "no_such_message"
    status = 404


def start_conversation(
    *, scene: Scene | None, customer: str = "", audience: Mapping[str, str] | None = None
) -> tuple[Conversation, str]:
    """Open a conversation and return it with the secret by which its customer comes back.

    Only the secret's SHA-256 is stored.

    Args:
        audience: what is known of the customer: "channel" (without it "web"), "segment",
            "region". Rules that are limited by one are for those who have it.
    """
    token = secrets.token_urlsafe(24)
    known = {name: text.strip().lower() for name, text in (audience or {}).items()}
    conversation = Conversation(
        scene=scene,
        customer=customer,
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


def append(*, conversation: Conversation, **fields: Any) -> Event:
    """Add an event to the log; the database gives it the next number.

    Raises:
        IntegrityError: control has changed since `fence` was read, or the client_id is known.
    """
    event = Event.objects.create(conversation=conversation, **fields)
    event.refresh_from_db(fields=["seq"])  # given by the trigger
    transaction.on_commit(partial(events.appended_sync, conversation.public_id), robust=True)
    return event


@transaction.atomic
def say(*, conversation: Conversation, text: str, client_id: str) -> Event:
    """Store what the customer wrote. The same client_id again returns the stored event.

    An answer that is still being written is dropped: the next one answers everything. That
    is why nobody waits for a customer who writes in several short messages.

    Raises:
        Invalid: the text is empty or too long.
        ConversationClosed, TooMany: it can't be taken now.
    """
    text = _checked(text)
    Conversation.objects.select_for_update().get(pk=conversation.pk)  # one message at a time
    if known := conversation.events.filter(client_id=client_id).first():
        return known
    conversation.refresh_from_db()
    if conversation.closed_at:
        raise ConversationClosed("This conversation has ended. Start a new one.")
    _check_rate(conversation)
    _drop_running(conversation)
    return append(
        conversation=conversation,
        kind=EventKind.MESSAGE,
        role=Role.CUSTOMER,
        text=text,
        client_id=client_id,
    )


def _drop_running(conversation: Conversation) -> None:
    """Not after a tool was called: what was done must be told, and done once."""
    newest = conversation.turns.order_by("-pk").exclude(status=TurnStatus.RUNNING)
    statuses = newest.values_list("status", flat=True)[:MOST_DROPPED]
    if list(statuses) == [TurnStatus.DROPPED] * MOST_DROPPED:
        return
    conversation.turns.filter(status=TurnStatus.RUNNING, acts=False).update(
        status=TurnStatus.DROPPED, finished_at=timezone.now()
    )


def _checked(text: str) -> str:
    text = str(storable(text)).strip()
    if not text:
        raise Invalid("Write something first.")
    if len(text) > LONGEST_MESSAGE:
        raise Invalid(f"A message has at most {LONGEST_MESSAGE} characters; split it.")
    return text


def _check_rate(conversation: Conversation) -> None:
    recent = conversation.events.filter(
        role=Role.CUSTOMER, at__gt=timezone.now() - timedelta(minutes=1)
    )
    if recent.count() >= MESSAGES_A_MINUTE:
        raise TooMany("That was very quick. Wait a minute before you write again.")


@transaction.atomic
def begin_turn(conversation_pk: int) -> Turn | None:
    """Take up what the customer said and nobody has answered, or return None.

    Several unanswered messages become one turn. At most one turn runs at a time, and
    none while a person has control; the database refuses a second one in any case.
    """
    conversation = Conversation.objects.select_for_update().get(pk=conversation_pk)
    if conversation.control == Control.HUMAN or conversation.closed_at:
        return None
    asked = conversation.events.filter(kind=EventKind.MESSAGE, role=Role.CUSTOMER).last()
    newest = conversation.turns.last()
    if asked is None or (newest and newest.status == TurnStatus.RUNNING):
        return None
    if newest and newest.asked_seq >= asked.seq:
        return None
    by_person = Q(role=Role.STAFF) | Q(kind=EventKind.CONTROL, data__state=Control.BOT)
    if conversation.events.filter(by_person, seq__gt=asked.seq).exists():
        return None  # a person dealt with it and handed back
    if conversation.release_id is None:
        conversation.release = live_release()
        conversation.save(update_fields=["release"])
    return Turn.objects.create(
        conversation=conversation,
        asked_seq=asked.seq,
        release=conversation.release,
        fence=conversation.fence,
        attempts=1,
        leased_until=timezone.now() + timedelta(seconds=LEASE_SECONDS),
    )


@transaction.atomic
def begin_with_history(
    *, release: Release, scene: Scene | None, customer: str, lines: Sequence[Line]
) -> Turn:
    """Store a talk that a program sends whole, and lease the turn that answers its last line."""
    conversation = Conversation.objects.create(
        channel=Channel.API, scene=scene, customer=customer, release=release
    )
    for line in lines:
        role = Role.CUSTOMER if line.role == "customer" else Role.AGENT
        fence = None if role == Role.CUSTOMER else conversation.fence
        text = str(storable(line.text))
        kind = EventKind.MESSAGE
        append(conversation=conversation, kind=kind, role=role, text=text, fence=fence)
    turn = begin_turn(conversation.pk)
    assert turn is not None  # noqa: S101  # a new conversation, whose last line is the customer's
    return turn


def take_over(turn_pk: int) -> Turn | None:
    """Lease a running turn whose process has died, or return None. One UPDATE decides."""
    now = timezone.now()
    taken = Turn.objects.abandoned().filter(pk=turn_pk)
    attempts = Turn.objects.get(pk=turn_pk).attempts + 1
    until = now + timedelta(seconds=LEASE_SECONDS)
    if not taken.update(leased_until=until, attempts=attempts):
        return None
    parts = ("conversation__scene", "release__version")  # what is not fetched here can't be later
    return Turn.objects.select_related(*parts).get(pk=turn_pk)


@transaction.atomic
def rate(*, conversation: Conversation, score: int, comment: str = "") -> Event:
    """Store the customer's rating of the conversation, 1 to 5; the last one counts.

    Raises:
        Invalid: the score is no whole number from 1 to 5.
        TooMany: it can't be taken now.
    """
    if type(score) is not int or not 1 <= score <= 5:  # True is an int too
        raise Invalid("Rate with a whole number from 1 to 5.")
    _check_rate(conversation)
    Conversation.objects.filter(pk=conversation.pk).update(rating=score)
    return append(
        conversation=conversation,
        kind=EventKind.RATING,
        role=Role.CUSTOMER,
        data={"score": score, "comment": comment[:LONGEST_MESSAGE]},
    )


@transaction.atomic
def give_feedback(*, conversation: Conversation, message: str, value: str, reason: str) -> Event:
    """Store like or dislike of one message of the agent, and a judgement of its turn.

    Raises:
        Invalid: neither like nor dislike.
        TooMany: it can't be taken now.
        NothingToRate: the message is not one of the agent's here.
    """
    if value not in {"like", "dislike"}:
        raise Invalid("Feedback is like or dislike.")
    _check_rate(conversation)
    agents = conversation.events.filter(role=Role.AGENT, kind=EventKind.MESSAGE)
    about = next((event for event in agents if str(event.public_id) == message), None)
    if about is None:
        raise NothingToRate("That message is not in this conversation.")
    if about.turn is not None:
        Judgement.objects.create(
            turn=about.turn,
            source=JudgementSource.CUSTOMER,
            verdict=Verdict.GOOD if value == "like" else Verdict.BAD,
            comment=reason[:LONGEST_MESSAGE],
        )
    return append(
        conversation=conversation,
        kind=EventKind.FEEDBACK,
        role=Role.CUSTOMER,
        data={"message": message, "value": value, "reason": reason[:LONGEST_MESSAGE]},
    )


@transaction.atomic
def ask_for_person(*, conversation: Conversation) -> Event | None:
    """Put the conversation in the queue for a person; return None if it is there already."""
    conversation = Conversation.objects.select_for_update().get(pk=conversation.pk)
    if conversation.control != Control.BOT or conversation.closed_at:
        return None
    return _change_control(conversation, Control.QUEUED)


def _change_control(conversation: Conversation, control: Control) -> Event:
    conversation.control = control
    conversation.save(update_fields=["control"])
    return append(
        conversation=conversation,
        kind=EventKind.CONTROL,
        role=Role.SYSTEM,
        data={"state": control},
    )


@transaction.atomic
def close(*, conversation: Conversation) -> Event | None:
    """End the conversation; return None if it has ended already."""
    conversation = Conversation.objects.select_for_update().get(pk=conversation.pk)
    if conversation.closed_at:
        return None
    _silence(conversation, "The conversation ended while it ran.")
    event = append(conversation=conversation, kind=EventKind.CLOSED, role=Role.SYSTEM)
    Conversation.objects.filter(pk=conversation.pk).update(closed_at=timezone.now())
    return event


@transaction.atomic
def reply_as_staff(*, conversation: Conversation, by: Any, text: str) -> Event:
    """Answer the customer as a person. The first such answer takes control from the agent.

    The fence grows with it: what the agent is still writing is refused by the database.

    Raises:
        Invalid, ConversationClosed: nothing was said.
    """
    text = _checked(text)
    conversation = Conversation.objects.select_for_update().get(pk=conversation.pk)
    if conversation.closed_at:
        raise ConversationClosed("This conversation has ended.")
    if conversation.control != Control.HUMAN:
        _fence(conversation, Control.HUMAN)
    name = by.get_short_name() or by.get_username()
    return append(
        conversation=conversation,
        kind=EventKind.MESSAGE,
        role=Role.STAFF,
        text=text,
        data={"by": name},
    )


@transaction.atomic
def hand_back(*, conversation: Conversation) -> Event | None:
    """Let the agent answer again from the customer's next message on."""
    conversation = Conversation.objects.select_for_update().get(pk=conversation.pk)
    if conversation.control == Control.BOT:
        return None
    return _fence(conversation, Control.BOT)


def _fence(conversation: Conversation, control: Control) -> Event:
    _silence(conversation, "Control changed while it ran.")
    return _change_control(conversation, control)


def _silence(conversation: Conversation, why: str) -> None:
    """Refuse whatever the agent is still writing. The caller holds the conversation's lock."""
    conversation.fence += 1
    conversation.save(update_fields=["fence"])
    conversation.turns.filter(status=TurnStatus.RUNNING).update(
        status=TurnStatus.FAILED, finished_at=timezone.now(), error=why
    )
