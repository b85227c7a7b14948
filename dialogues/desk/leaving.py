"""Putting back what is held by people who may not answer any more."""

from contextlib import suppress

from django.contrib.auth.models import User

from dialogues.desk import control
from dialogues.models import Conversation, Handover
from wowconsole.errors import Refused
from wowconsole.roles import can


def put_back_what_is_left() -> None:
    """Put back into the queue what people hold who have left, or have lost the scene or the role.

    Safe to repeat, and whoever takes it over meanwhile keeps it.
    """
    held = Handover.objects.open().exclude(holder=None)
    for holder in User.objects.filter(pk__in=held.values("holder")):
        theirs = Conversation.objects.filter(handovers__in=held.filter(holder=holder))
        if can(holder, "dialogues.reply"):
            theirs = theirs.exclude(pk__in=theirs.visible_to(holder).values("pk"))
        for conversation in theirs:
            with suppress(Refused):  # a colleague was quicker
                control.release(conversation=conversation, by=holder, has_left=True)
