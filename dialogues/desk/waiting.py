"""Whom their holder lets wait: for how long, and when it must be that the holder has left."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef
from django.utils import timezone

from agents.courtesies import takes_leave
from dialogues.desk import queueing
from dialogues.models import Assignment, Desk, Event, EventKind, Handover, Role

AFTER_HOURS = timedelta(minutes=5)  # who stays on for a talk answers within
LEFT_AFTER = 3  # times as long as a first answer may take: some things take time to find out


@dataclass(frozen=True, slots=True)
class Wait:
    """What a customer waits for whom a person holds: the holder's word."""

    since: datetime  # the first message that nobody has answered
    held_since: datetime  # by who holds it now
    desk: Desk | None

    @property
    def is_late(self) -> bool:
        """Whether it is longer than a first answer may take, or its holder has left."""
        return self.is_left or queueing.due_by(self.desk, self.since) < timezone.now()

    @property
    def is_left(self) -> bool:
        """Whether it is so long that the holder must have left."""
        since, now = max(self.since, self.held_since), timezone.now()
        if not queueing.hours_of(self.desk).is_open(now):
            return since + AFTER_HOURS < now
        return queueing.due_by(self.desk, since, times=LEFT_AFTER) < now


def waits(handovers: Iterable[Handover]) -> dict[int, Wait]:
    """Return conversation key → its wait, of those open handovers whose holder owes a word.

    Thanks and goodbyes ask for none.
    """
    since = _since(row.conversation_id for row in handovers if row.holder_id)
    held = [row for row in handovers if row.conversation_id in since]
    given = dict(
        Assignment.objects.filter(handover__in=held).order_by("pk").values_list("handover", "at")
    )
    scenes = {row.conversation.scene for row in held}
    desks = {scene: queueing.desk_of(scene) for scene in scenes}
    return {
        row.conversation_id: Wait(
            since[row.conversation_id],
            given.get(row.pk, row.asked_at),
            desks[row.conversation.scene],
        )
        for row in held
    }


def _since(conversations: Iterable[int]) -> dict[int, datetime]:
    """Return conversation key → when the first message came that nobody has answered."""
    messages = Event.objects.filter(kind=EventKind.MESSAGE)
    answers = messages.exclude(role=Role.CUSTOMER).filter(
        conversation=OuterRef("conversation"), seq__gt=OuterRef("seq")
    )
    asked = messages.filter(~Exists(answers), role=Role.CUSTOMER, conversation__in=conversations)
    since: dict[int, datetime] = {}
    for key, text, at in asked.values_list("conversation", "text", "at"):
        if not takes_leave(text):
            since[key] = min(at, since.get(key, at))
    return since
