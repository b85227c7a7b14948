"""Who is writing just now, customer or staff. Nobody stores it: it is told and forgotten."""

from typing import Any
from uuid import UUID

from asgiref.sync import async_to_sync
from django.core.cache import cache

from dialogues import events
from dialogues.models import Role

SHOWN_SECONDS = 6  # after the last sign; a window repeats it every 3 s while its owner writes


def _key(conversation_id: UUID, role: str) -> str:
    return f"writing:{conversation_id}:{role}"


async def note(conversation_id: UUID, role: Role) -> None:
    """Tell the conversation's windows that this side writes; pages ask `is_writing`."""
    await events.passing(conversation_id, {"type": "typing", "role": str(role)})
    await cache.aset(_key(conversation_id, role), True, SHOWN_SECONDS)


def note_sync(conversation_id: UUID, role: Role) -> None:
    """The same, from code that runs in a thread."""
    async_to_sync(note)(conversation_id, role)


def is_writing(conversation_id: UUID, role: Role) -> bool:
    """Say whether this side wrote within the last seconds."""
    known: Any = cache.get(_key(conversation_id, role))
    return bool(known)
