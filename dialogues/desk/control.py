"""Who speaks to the customer: the agent, nobody yet, or a person.

Control is a fencing counter in the conversation's row: it grows whenever the agent has to fall
silent, and the database refuses what the agent says with an older one.
"""

from collections.abc import Sequence
from uuid import UUID

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from dialogues.appending import ConversationClosed, append, checked
from dialogues.chat import surveying
from dialogues.desk import queueing
from dialogues.desk.holding import CannotHold, NotHeld, check_holder, check_holds
from dialogues.jobs import delegating
from dialogues.models import (
    BY_PERSON,
    Assignment,
    Control,
    Conversation,
    Event,
    EventKind,
    Handover,
    Role,
    SummarySource,
    TurnStatus,
    name_of,
)
from dialogues.senses import attaching
from wowconsole.committing import send_after_commit
from wowconsole.roles import can


@transaction.atomic
def ask_for_person(*, conversation: Conversation) -> Event | None:
    """Put the conversation in the queue for a person; return None if it is there already."""
    conversation = _locked(conversation)
    if conversation.control != Control.BOT or conversation.closed_at:
        return None
    _handover(conversation)
    event = _change_control(conversation, Control.QUEUED, **queueing.absence(conversation.scene))
    queueing.tell(conversation.scene, conversation)
    return event


@transaction.atomic
def leave_queue(*, conversation: Conversation) -> Event | None:
    """Go on with the agent, as the customer wishes; return None if nobody was awaited.

    What the agent is writing goes on, and what it has not taken up yet it will.
    """
    conversation = _locked(conversation)
    if conversation.control != Control.QUEUED or conversation.closed_at:
        return None
    return _back_to_agent(conversation)


@transaction.atomic
def take_control(*, conversation: Conversation, by: User, force: bool = False) -> Handover:
    """Let a person speak from now on; the agent falls silent at once.

    Args:
        force: take it from the colleague who holds it.

    Raises:
        ConversationClosed, HeldByOther: it can't be taken.
    """
    return _give(_open(conversation), to=by, by=by, force=force)


@transaction.atomic
def assign(*, conversation: Conversation, to: User, by: User) -> Handover:
    """Give the conversation to a colleague, whoever holds it.

    Raises:
        ConversationClosed: it has ended.
        CannotHold: that person may not answer customers of its scene.
    """
    conversation = _open(conversation)
    visible = Conversation.objects.visible_to(to).filter(pk=conversation.pk)
    if not can(to, "dialogues.reply") or not visible.exists():
        raise CannotHold(f"{name_of(to)} may not answer customers of this scene.")
    return _give(conversation, to=to, by=by, force=True)


def _give(conversation: Conversation, *, to: User, by: User, force: bool = False) -> Handover:
    handover = _handover(conversation)
    check_holder(handover, to, force=force)
    if conversation.control != Control.HUMAN:
        _silence(conversation, "Control changed while it ran.")
        _change_control(conversation, Control.HUMAN)
    if handover.holder != to:
        handover.holder = to
        handover.save(update_fields=["holder"])
        Assignment.objects.create(handover=handover, to=to, by=by)
        queueing.tell(conversation.scene)
    return handover


@transaction.atomic
def release(*, conversation: Conversation, by: User) -> Event:
    """Put a conversation that a person holds back into the queue, at its old place.

    Raises:
        ConversationClosed, NotHeld: nobody holds it.
    """
    conversation = _open(conversation)
    if conversation.control != Control.HUMAN:
        raise NotHeld("Nobody holds this conversation.")
    handover = _handover(conversation)
    handover.holder = None
    handover.save(update_fields=["holder"])
    Assignment.objects.create(handover=handover, to=None, by=by)
    told = _owed(conversation) | queueing.absence(conversation.scene)
    event = _change_control(conversation, Control.QUEUED, **told)
    queueing.tell(conversation.scene, conversation)
    return event


@transaction.atomic
def reply_as_staff(
    *, conversation: Conversation, by: User, text: str, attachments: Sequence[UUID] = ()
) -> Event:
    """Answer the customer as a person. The first such answer takes control from the agent.

    Args:
        attachments: what `by` uploaded before and goes with it; then the text may be empty.

    Raises:
        Invalid, ConversationClosed, HeldByOther: nothing was said.
        NotHeld: there are files, and nobody holds the conversation.
    """
    text = checked(text) if text.strip() or not attachments else ""
    conversation = _open(conversation)
    if attachments:
        check_holds(conversation, by)
    handover = _give(conversation, to=by, by=by)
    sent = attaching.take(conversation, attachments, by)
    event = append(
        conversation=conversation,
        kind=EventKind.MESSAGE,
        role=Role.STAFF,
        text=text,
        data={"by": name_of(by)} | attaching.carried(sent),
    )
    attaching.send(sent, event)
    if handover.answered_at is None:
        handover.answered_at = event.at
        handover.save(update_fields=["answered_at"])
    return event


@transaction.atomic
def hand_back(
    *,
    conversation: Conversation,
    summary: str = "",
    source: str = SummarySource.STAFF,
    seen: int | None = None,
) -> Event | None:
    """Let the agent answer again; None if it does already.

    From the customer's next message on, and also what they wrote last if nobody has answered
    that: no message of staff came after it, and no summary in a person's own words who had
    seen it. Where nobody had taken the conversation over, the agent was never silenced and goes
    on with what it writes.

    Args:
        summary: what the person did; the agent is shown it.
        source: who wrote the summary.
        seen: seq of the last event that the person was shown; None: all there is.

    Raises:
        Invalid: the summary is too long.
    """
    conversation = _locked(conversation)
    if conversation.control == Control.BOT or conversation.closed_at:
        return None
    if conversation.control == Control.QUEUED:
        return _back_to_agent(conversation)
    _silence(conversation, "Control changed while it ran.")
    told = bool(summary.strip()) and source == SummarySource.STAFF
    after = (conversation.last_seq if seen is None else seen) if told else 0
    event = _change_control(conversation, Control.BOT, **_owed(conversation, after=after))
    _end(conversation, by=event, summary=checked(summary) if summary.strip() else "", source=source)
    return event


def _back_to_agent(conversation: Conversation) -> Event:
    event = _change_control(conversation, Control.BOT, resumes=True)
    _end(conversation, by=event)
    queueing.tell(conversation.scene)
    return event


@transaction.atomic
def close(*, conversation: Conversation) -> Event | None:
    """End the conversation, and what is done for it; return None if it has ended already."""
    conversation = _locked(conversation)
    if conversation.closed_at:
        return None
    _silence(conversation, "The conversation ended while it ran.")
    delegating.cancel_all(conversation, why="The conversation ended")
    event = append(conversation=conversation, kind=EventKind.CLOSED, role=Role.SYSTEM)
    Conversation.objects.filter(pk=conversation.pk).update(closed_at=timezone.now())
    _end(conversation)
    if conversation.control == Control.QUEUED:
        queueing.tell(conversation.scene)
    surveying.ask_at_end(conversation)
    return event


@transaction.atomic
def close_as_agent(*, conversation: Conversation, asked_seq: int) -> Event | None:
    """End the conversation as the agent decided after the message `asked_seq`.

    Not where the customer has written more since, or waits for a person: then None.
    """
    conversation = _locked(conversation)
    newer = conversation.events.filter(
        kind=EventKind.MESSAGE, role=Role.CUSTOMER, seq__gt=asked_seq
    )
    if conversation.control != Control.BOT or newer.exists():
        return None
    return close(conversation=conversation)


def _locked(conversation: Conversation) -> Conversation:
    rows = Conversation.objects.select_for_update(of=["self"]).select_related("scene")
    return rows.get(pk=conversation.pk)


def _open(conversation: Conversation) -> Conversation:
    conversation = _locked(conversation)
    if conversation.closed_at:
        raise ConversationClosed("This conversation has ended.")
    return conversation


def _handover(conversation: Conversation) -> Handover:
    """Return the open handover, a new one if there is none. The caller holds the lock."""
    open_one = conversation.handovers.open().select_related("holder").first()
    if open_one:
        return open_one
    now = timezone.now()
    due = queueing.due_at(conversation.scene, now)
    return Handover.objects.create(conversation=conversation, asked_at=now, due_at=due)


def _end(
    conversation: Conversation, *, by: Event | None = None, summary: str = "", source: str = ""
) -> None:
    conversation.handovers.open().update(
        ended_at=timezone.now(),
        ended_by=by,
        summary=summary,
        summary_source=source if summary else "",
    )


def _change_control(conversation: Conversation, control: Control, **more: object) -> Event:
    conversation.control = control
    conversation.save(update_fields=["control"])
    return append(
        conversation=conversation,
        kind=EventKind.CONTROL,
        role=Role.SYSTEM,
        data={"state": control, **more},
    )


def _owed(conversation: Conversation, *, after: int = 0) -> dict[str, bool]:
    """Return what a change of control says of it, where the customer still waits for an answer.

    What they wrote last was silenced by a person, or came while one had control, and none has
    answered it since. Not what the customer stopped, and nothing up to the event `after`. The
    caller holds the conversation's lock.
    """
    by_customer = Q(kind=EventKind.MESSAGE, role=Role.CUSTOMER, seq__gt=after)
    asked = conversation.events.filter(by_customer).last()
    if asked is None:
        return {}
    said = Q(kind=EventKind.MESSAGE, role=Role.AGENT, turn__asked_seq__gte=asked.seq)
    dealt_with = said | Q(BY_PERSON, seq__gt=asked.seq)
    stopped = conversation.turns.filter(status=TurnStatus.DROPPED, asked_seq__gte=asked.seq)
    if conversation.events.filter(dealt_with).exists() or stopped.exists():
        return {}
    send_after_commit("dialogues.tasks.answer_conversation", conversation.pk)
    return {"owes": True}


def _silence(conversation: Conversation, why: str) -> None:
    """Refuse whatever the agent is still writing. The caller holds the conversation's lock."""
    conversation.fence += 1
    conversation.save(update_fields=["fence"])
    conversation.turns.filter(status=TurnStatus.RUNNING).update(
        status=TurnStatus.FAILED, finished_at=timezone.now(), error=why
    )
