"""Putting back what is held by people who may not answer any more, or who have left."""

from contextlib import suppress

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet

from dialogues.desk import control, waiting
from dialogues.models import Conversation, Handover
from wowconsole.errors import Refused
from wowconsole.roles import can


def put_back_what_is_left() -> None:
    """Put back into the queue what people hold who may not answer here, or let customers wait.

    There the agent answers meanwhile, and customers can go back to it. Safe to repeat, and whoever
    takes it over or answers meanwhile keeps it.
    """
    _of_people_who_may_not()
    for handover in whom_holders_left(Handover.objects.open()):
        _put_back_who_waits(handover)


def _of_people_who_may_not() -> None:
    held = Handover.objects.open().exclude(holder=None)
    for holder in User.objects.filter(pk__in=held.values("holder")):
        theirs = Conversation.objects.filter(handovers__in=held.filter(holder=holder))
        if can(holder, "dialogues.reply"):
            theirs = theirs.exclude(pk__in=theirs.visible_to(holder).values("pk"))
        for conversation in theirs:
            with suppress(Refused):  # a colleague was quicker
                control.release(conversation=conversation, by=holder, has_left=True)


def whom_holders_left(handovers: "QuerySet[Handover]") -> list[Handover]:
    """Keep those whose customer has waited for so long that the holder must have left."""
    held = list(handovers.exclude(holder=None).select_related("holder", "conversation__scene"))
    waits = waiting.waits(held)
    left = {key for key, wait in waits.items() if wait.is_left}
    return [row for row in held if row.conversation_id in left]


@transaction.atomic
def _put_back_who_waits(handover: Handover) -> None:
    """Put one back, unless its holder has answered by now."""
    conversation = Conversation.objects.select_for_update().get(pk=handover.conversation_id)
    for row in whom_holders_left(conversation.handovers.open()):
        if row.holder:
            control.release(conversation=conversation, by=row.holder, has_left=True)
