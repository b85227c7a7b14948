"""The queue for a person: whose turn it is, when people are there, what the waiting are told."""

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from asgiref.sync import async_to_sync
from django.utils import timezone

from dialogues import events
from dialogues.desk.hours import Hours
from dialogues.models import Control, Conversation, Desk, Handover
from dialogues.models.opening import ANSWER_MINUTES
from knowledge.models import Scene
from wowconsole.committing import after_commit

HOURS_CHANGED = timedelta(minutes=2)  # how long it is news: a beat of a minute may be missed
MOST_TOLD = 50  # who stands further back in the queue learns of a move when it nears


def hours_of(desk: Desk | None) -> Hours:
    """Return when people are there, given how a scene is staffed; None: always."""
    if desk is None:
        return Hours(ZoneInfo("UTC"))
    return Hours(
        ZoneInfo(desk.time_zone),
        tuple((row.weekday, row.opens, row.closes) for row in desk.periods.all()),
        frozenset(row.day for row in desk.holidays.all()),
    )


def desk_of(scene: Scene | None) -> Desk | None:
    """Return how a scene is staffed, or None where nobody has said it."""
    return Desk.objects.of_scene(scene).prefetch_related("periods", "holidays").first()


def due_at(scene: Scene | None, since: datetime) -> datetime:
    """Return by when a person should answer who was asked for at `since`."""
    return due_by(desk_of(scene), since)


def due_by(desk: Desk | None, since: datetime, *, times: int = 1) -> datetime:
    """Return by when the people of a desk should answer what was said at `since`.

    Args:
        times: so many times as long as a first answer may take.
    """
    minutes = desk.answer_minutes if desk else ANSWER_MINUTES
    return hours_of(desk).add_minutes(since, times * minutes)


def places(handovers: Iterable[Handover]) -> dict[int, int]:
    """Return handover key → place in its scene's queue, from 1, of those that wait."""
    scenes = {row.conversation.scene_id for row in handovers if row.holder_id is None}
    queues: dict[int | None, int] = {}
    found = {}
    for pk, scene in Handover.objects.waiting().values_list("pk", "conversation__scene"):
        if scene in scenes:
            found[pk] = queues[scene] = queues.get(scene, 0) + 1
    return found


def standing(conversation: Conversation) -> dict[str, Any] | None:
    """Return the status frame of a customer who waits for a person, None for others."""
    conversation = Conversation.objects.select_related("scene").get(pk=conversation.pk)
    if conversation.control != Control.QUEUED or conversation.closed_at:
        return None
    queue = Handover.objects.queue_of(conversation.scene)
    ahead = list(queue.values_list("conversation", flat=True))
    place = ahead.index(conversation.pk) + 1 if conversation.pk in ahead else len(ahead) + 1
    return _frame(place, desk_of(conversation.scene))


def _frame(place: int, desk: Desk | None) -> dict[str, Any]:
    """Build what a customer is told who is at `place` in the queue."""
    line = "You are next." if place == 1 else f"You are number {place} in the queue."
    frame = {"type": "status", "state": "queued", "position": place, "back_at": None}
    return frame | {"detail": line} | _absence(desk)


def absence(scene: Scene | None) -> dict[str, Any]:
    """Return what who waits is told while none of a scene's people is there; {} while some are.

    `back_at` is when they are back (ISO 8601), None for never; `detail` says it in words.
    """
    return _absence(desk_of(scene))


def _absence(desk: Desk | None) -> dict[str, Any]:
    now = timezone.now()
    back = hours_of(desk).next_opening(now)
    if desk is None or (back is not None and back <= now):
        return {}
    return {"back_at": back.isoformat() if back else None, "detail": _away(back, desk)}


def _away(back: datetime | None, desk: Desk) -> str:
    local = back.astimezone(ZoneInfo(desk.time_zone)) if back else None
    when = f"back {local:%A, %d %B at %H:%M} ({desk.time_zone})" if local else "away"
    return f"Our people are {when}. Leave a message here, or go back to the agent."


def tell_of_hours() -> None:
    """Tell who waits for people that have just come or gone. Safe to repeat: it is how it is."""
    now = timezone.now()
    waiting = Handover.objects.waiting().order_by()
    keys = set(waiting.values_list("conversation__scene", flat=True))
    scenes = Scene.objects.in_bulk(key for key in keys if key)
    for scene in (scenes.get(key) for key in keys):
        hours = hours_of(desk_of(scene))
        if hours.is_open(now) != hours.is_open(now - HOURS_CHANGED):
            _tell(scene, (), most=None)


def tell(scene: Scene | None, *also: Conversation) -> None:
    """Tell who waits for the people of a scene where they stand now, once this is committed."""
    after_commit(_tell, scene, also)


def _tell(scene: Scene | None, also: Iterable[Conversation], most: int | None = MOST_TOLD) -> None:
    desk = desk_of(scene)
    queue = Handover.objects.queue_of(scene).values_list("conversation__public_id", flat=True)
    frames = [(public_id, _frame(place, desk)) for place, public_id in enumerate(queue[:most], 1)]
    told = {public_id for public_id, _ in frames}
    for conversation in also:
        frame = standing(conversation)
        if frame and conversation.public_id not in told:
            frames.append((conversation.public_id, frame))

    async def send() -> None:
        await asyncio.gather(*(events.passing(public_id, frame) for public_id, frame in frames))

    async_to_sync(send)()
