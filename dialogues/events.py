"""What open sockets are told. Durable events are fetched by their number; the rest is sent whole.

A socket that misses a call loses nothing: it catches up from the log at the next one.
"""

import logging
from typing import Any
from uuid import UUID

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from redis.exceptions import RedisError

from dialogues.models import Event, EventKind

logger = logging.getLogger(__name__)


def group_name(conversation_id: UUID) -> str:
    """Return the channel-layer group of a conversation, by its public id."""
    return f"chat.{conversation_id}"


async def appended(conversation_id: UUID) -> None:
    """Tell every socket of the conversation that its log has grown. Call after commit."""
    await _send(conversation_id, {"type": "log.grew"})


def appended_sync(conversation_id: UUID) -> None:
    """The same, from code that runs in a thread or a worker."""
    async_to_sync(appended)(conversation_id)


async def passing(conversation_id: UUID, event: dict[str, Any]) -> None:
    """Send an event that is not kept: a status, or a piece of a reply being written."""
    await _send(conversation_id, {"type": "passing.event", "event": event})


async def _send(conversation_id: UUID, message: dict[str, Any]) -> None:
    try:
        await get_channel_layer().group_send(group_name(conversation_id), message)
    except (RedisError, OSError):  # sockets look at the log by themselves meanwhile
        logger.warning("The channel layer is not reachable; conversation %s", conversation_id)


def as_json(event: Event) -> dict[str, Any]:
    """Return a durable event as sockets and the API show it."""
    shown: dict[str, Any] = {
        "type": event.kind,
        "seq": event.seq,
        "id": str(event.public_id),
        "at": event.at.isoformat(),
        "role": event.role,
    }
    if event.kind == EventKind.MESSAGE:
        shown |= {"text": event.text, "citations": event.data.get("citations", [])}
        shown["release"] = event.data.get("release")
        shown["choices"] = event.data.get("choices", [])  # answers to offer as buttons
    else:
        shown |= event.data
    if event.client_id:
        shown["client_id"] = event.client_id
    return shown
