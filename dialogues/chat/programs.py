"""Talks that programs lead through `/v1`: they bring what was said before, and go on.

A key tells that something is said again: then it is not said, and what answered it is returned.
"""

from collections.abc import Sequence
from uuid import UUID, uuid4, uuid5

from django.contrib.auth.models import User
from django.db import transaction

from agents.cleaning import storable
from agents.finding import expect
from agents.masking import masked
from agents.models import Release
from agents.prompting import Line
from dialogues import services
from dialogues.appending import ConversationClosed, append, checked
from dialogues.models import (
    BY_PERSON,
    Channel,
    Conversation,
    Event,
    EventKind,
    Role,
    Turn,
    TurnStatus,
)
from knowledge.models import Scene
from wowconsole.errors import Invalid, Refused

KEYS = UUID("7d0f0c52-3c52-4a1e-9f0e-5b5c3a5a6f11")  # conversations are named by user and key in it


class AnswerUnderWay(Refused):
    code = "answer_under_way"


class PersonAnswers(Refused):
    """What the person says is in the conversation's log: the answer to a program is over."""

    code = "person_answers"

    def __init__(self, conversation: Conversation) -> None:
        self.conversation = str(conversation.public_id)
        super().__init__(
            "A person has this conversation, or has dealt with this. What they say is told by "
            f"GET /api/dialogues/{self.conversation}/events/."
        )


@transaction.atomic
def begin(
    *,
    release: Release,
    scene: Scene | None,
    customer: str,
    lines: Sequence[Line],
    by: User,
    key: str = "",
) -> Turn:
    """Store a talk that a program sends whole, and lease the turn that answers its last line.

    The same user's key again returns the turn that has answered it: the conversation's id is
    made of both, so of two requests at once the database lets one begin it.

    Args:
        by: whose key to the API the program has; with it the conversation may `go_on`.
        key: of this request; "": it can't be repeated.

    Raises:
        AnswerUnderWay, PersonAnswers, ConversationClosed: it was said before, and not answered.
        Invalid: something else was said with this key.
    """
    conversation, is_new = Conversation.objects.get_or_create(
        public_id=uuid5(KEYS, f"{by.pk} {key}") if key else uuid4(),
        defaults={
            "channel": Channel.API,
            "scene": scene,
            "customer": masked(customer),
            "release": release,
            "opened_by": by,
        },
    )
    if not is_new and (said := _said_before(conversation, key, lines[-1].text)):
        return _answer_to(said)
    _tell(conversation, lines, key)
    turn = services.begin_turn(conversation.pk)
    assert turn is not None  # noqa: S101  # a new conversation, whose last line is the customer's
    return turn


def _tell(conversation: Conversation, lines: Sequence[Line], key: str) -> None:
    for line in lines:
        role = Role.CUSTOMER if line.role == "customer" else Role.AGENT
        append(
            conversation=conversation,
            kind=EventKind.MESSAGE,
            role=role,
            text=masked(str(storable(line.text))),
            fence=None if role == Role.CUSTOMER else conversation.fence,
            client_id=key or None if line is lines[-1] else None,
        )
    expect(lines[-1].text)


@transaction.atomic
def go_on(*, conversation: Conversation, text: str, key: str) -> Turn:
    """Say a program's next line in its conversation; lease the turn that answers it.

    The same key again returns the turn that has answered it, also where that was the end.

    Raises:
        AnswerUnderWay, PersonAnswers: nothing is said meanwhile.
        Invalid, ConversationClosed, TooMany: as `services.say` does.
    """
    conversation.refresh_from_db(from_queryset=Conversation.objects.select_for_update())
    if said := _said_before(conversation, key, text):
        return _answer_to(said)
    if conversation.turns.filter(status=TurnStatus.RUNNING).exists():
        raise AnswerUnderWay("What was said before is still being answered. Wait for that.")
    services.say(conversation=conversation, text=text, client_id=key)
    turn = services.begin_turn(conversation.pk)
    if turn is None:
        raise PersonAnswers(conversation)
    return turn


def _said_before(conversation: Conversation, key: str, text: str) -> Event | None:
    said = conversation.events.filter(client_id=key, role=Role.CUSTOMER).first()
    if said and said.text != checked(text):
        raise Invalid("This key was used for another request. Take a new key.")
    return said


def _answer_to(said: Event) -> Turn:
    """Return the turn in which the agent has answered a message.

    That may be a later one, where a person took the conversation and let go of it without a word.
    """
    conversation = said.conversation
    turns = conversation.turns.filter(asked_seq__gte=said.seq, events__kind=EventKind.MESSAGE)
    if by_person := conversation.events.filter(BY_PERSON, seq__gt=said.seq).first():
        turns = turns.filter(asked_seq__lt=by_person.seq)
    turn = turns.order_by("asked_seq").first()
    if turn is None:
        raise why_silent(conversation)
    return turn


def why_silent(conversation: Conversation) -> Refused:
    """Say why a message there has no answer of the agent's, or none yet."""
    if conversation.turns.filter(status=TurnStatus.RUNNING).exists():
        return AnswerUnderWay("This is still being answered. Wait for that.")
    if conversation.closed_at:
        return ConversationClosed("This conversation was ended before it was answered.")
    return PersonAnswers(conversation)
