"""Who holds a conversation, and why others may not act in it."""

from django.contrib.auth.models import User
from django.utils import timezone

from dialogues.appending import ConversationClosed
from dialogues.desk import queueing
from dialogues.models import Conversation, Handover, name_of
from wowconsole.errors import Refused


class HeldByOther(Refused):
    code = "held_by_other"


class NotHeld(Refused):
    code = "not_held"


class CannotHold(Refused):
    code = "cannot_hold"
    status = 422


def handover_of(conversation: Conversation) -> Handover:
    """Return the open handover, a new one if there is none. The caller holds the lock."""
    open_one = conversation.handovers.open().select_related("holder").first()
    if open_one:
        return open_one
    now = timezone.now()
    due = queueing.due_at(conversation.scene, now)
    return Handover.objects.create(conversation=conversation, asked_at=now, due_at=due)


def check_holder(handover: Handover, person: User, *, force: bool = False) -> None:
    holder = handover.holder
    if holder and holder != person and not force:
        raise HeldByOther(f"{name_of(holder)} holds this conversation. Take it over first.")


def check_open(conversation: Conversation) -> None:
    if conversation.closed_at:
        raise ConversationClosed("This conversation has ended.")


def check_holds(conversation: Conversation, person: User) -> None:
    """Make sure that `person` may send files here: who only writes takes over by it.

    Raises:
        ConversationClosed, HeldByOther, NotHeld: they may not.
    """
    check_open(conversation)
    handover = conversation.handovers.open().select_related("holder").first()
    if handover is None or handover.holder is None:
        raise NotHeld("Take the conversation over before you send a file.")
    check_holder(handover, person)
