"""Who speaks to the customer: the agent, nobody yet, or a person.

Control is a fencing counter in the conversation's row: it grows whenever the agent has to fall
silent, and the database refuses what the agent says with an older one.
"""

from collections.abc import Sequence
from uuid import UUID, uuid5

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from dialogues import agreeing
from dialogues.appending import append, checked, shows
from dialogues.chat import surveying
from dialogues.desk import queueing
from dialogues.desk.annotating import checked_summary
from dialogues.desk.holding import (
    CannotHold,
    NotHeld,
    check_holder,
    check_holds,
    check_open,
    handover_of,
)
from dialogues.desk.owing import owed
from dialogues.jobs import delegating
from dialogues.models import (
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
from wowconsole.roles import can


@transaction.atomic
def ask_for_person(*, conversation: Conversation, by_customer: bool = False) -> Event | None:
    """Put the conversation in the queue for a person; return None if it is there already.

    Args:
        by_customer: they asked for it; else it is we who can't go on, or broke a promise.
    """
    conversation = _locked(conversation)
    if conversation.control != Control.BOT or conversation.closed_at:
        return None
    handover_of(conversation)
    told = queueing.absence(conversation.scene)
    if by_customer:
        told["by_customer"] = True
    event = _change_control(conversation, Control.QUEUED, **told)
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
    handover = handover_of(conversation)
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
def release(*, conversation: Conversation, by: User, has_left: bool = False) -> Event:
    """Put what `by` holds back into the queue, at its old place.

    Who has been answered waits for a next answer, due as if they had asked now.

    Args:
        has_left: `by` may answer here no more or lets the customer wait; it is put back without
            them.

    Raises:
        ConversationClosed, NotHeld, HeldByOther: they don't hold it.
    """
    conversation = _open(conversation)
    if conversation.control != Control.HUMAN:
        raise NotHeld("Nobody holds this conversation.")
    handover = handover_of(conversation)
    check_holder(handover, by)
    handover.holder = None
    if handover.answered_at:
        handover.answered_at = None
        handover.due_at = queueing.due_at(conversation.scene, timezone.now())
    handover.save(update_fields=["holder", "answered_at", "due_at"])
    Assignment.objects.create(handover=handover, to=None, by=None if has_left else by)
    told = owed(conversation) | queueing.absence(conversation.scene)
    event = _change_control(conversation, Control.QUEUED, **told)
    queueing.tell(conversation.scene, conversation)
    return event


@transaction.atomic
def reply_as_staff(
    *,
    conversation: Conversation,
    by: User,
    text: str,
    attachments: Sequence[UUID] = (),
    form: UUID | None = None,
) -> Event:
    """Answer the customer as a person. The first such answer takes control from the agent.

    Args:
        attachments: what `by` uploaded before and goes with it; then the text may be empty.
        form: the form it was written in; sent again with the same text, it is one answer.

    Raises:
        Invalid, ConversationClosed, HeldByOther: nothing was said.
        NotHeld: there are files, and nobody holds the conversation.
    """
    text = checked(text) if shows(text) or not attachments else ""
    conversation = _locked(conversation)
    client_id = f"staff-{uuid5(form, text)}" if form else None
    if client_id and (known := conversation.events.filter(client_id=client_id).first()):
        return known
    check_open(conversation)
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
        client_id=client_id,
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
    by: User,
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
        ConversationClosed, HeldByOther: it isn't theirs to hand back.
    """
    conversation = _open(conversation)
    if conversation.control == Control.BOT:
        return None
    did = {"summary": checked_summary(summary), "source": source} if summary.strip() else {}
    if conversation.control == Control.QUEUED:
        return _back_to_agent(conversation, **did)
    check_holder(handover_of(conversation), by)
    _silence(conversation, "Control changed while it ran.")
    told = did and source == SummarySource.STAFF
    after = (conversation.last_seq if seen is None else seen) if told else 0
    event = _change_control(conversation, Control.BOT, **owed(conversation, after=after))
    _end(conversation, by=event, **did)
    return event


def _back_to_agent(conversation: Conversation, **did: str) -> Event:
    event = _change_control(conversation, Control.BOT, resumes=True)
    _end(conversation, by=event, **did)
    queueing.tell(conversation.scene)
    return event


@transaction.atomic
def close(*, conversation: Conversation, by: User | None = None) -> Event | None:
    """End the conversation, and what is done for it; return None if it has ended already.

    Args:
        by: the member of staff who ends it; None: the customer or the agent does.

    Raises:
        HeldByOther: a colleague of `by` is in the middle of it.
    """
    conversation = _locked(conversation)
    if conversation.closed_at:
        return None
    if by and conversation.control == Control.HUMAN:
        check_holder(handover_of(conversation), by)
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
    check_open(conversation)
    return conversation


def _end(
    conversation: Conversation, *, by: Event | None = None, summary: str = "", source: str = ""
) -> None:
    conversation.handovers.open().update(
        ended_at=timezone.now(), ended_by=by, summary=summary, summary_source=source
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


def _silence(conversation: Conversation, why: str) -> None:
    """Refuse whatever the agent is still writing, and tell of a call that it is making.

    The caller holds the conversation's lock.
    """
    conversation.fence += 1
    conversation.save(update_fields=["fence"])
    running = conversation.turns.filter(status=TurnStatus.RUNNING)
    # Locked: a call is noted before this, and told, or finds its turn failed and is not made.
    turns = list(running.select_for_update(of=("self",)))
    for turn in turns:
        if turn.under_way:
            agreeing.tell_under_way(turn)
    ended = {"status": TurnStatus.FAILED, "finished_at": timezone.now(), "error": why}
    conversation.turns.filter(pk__in=[turn.pk for turn in turns]).update(**ended)
