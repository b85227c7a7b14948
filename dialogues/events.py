"""What open sockets are told. Durable events are fetched by their number; the rest is sent whole.

A socket that misses a call loses nothing: it catches up from the log at the next one.
"""

import asyncio
import logging
import time
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from redis.exceptions import RedisError

from dialogues.models import Event, EventKind

logger = logging.getLogger(__name__)

CALL_SECONDS = 1.0  # a layer that takes longer is as good as away
SILENT_SECONDS = 2.0  # after a failure: each piece of an answer would wait for it again
# Until when, on the monotonic clock, a layer that failed is left alone.
_silent_until: WeakKeyDictionary[Any, float] = WeakKeyDictionary()


def group_name(conversation_id: UUID) -> str:
    """Return the channel-layer group of a conversation, by its public id."""
    return f"chat.{conversation_id}"


def appended(conversation_id: UUID, seq: int) -> None:
    """Tell every socket of the conversation that its log has grown up to `seq`, after commit."""
    async_to_sync(_send)(conversation_id, {"type": "log.grew", "seq": seq})


async def passing(conversation_id: UUID, event: dict[str, Any]) -> None:
    """Send an event that is not kept: a status, or a piece of a reply being written."""
    await _send(conversation_id, {"type": "passing.event", "event": event})


async def _send(conversation_id: UUID, message: dict[str, Any]) -> None:
    """Call the conversation's windows. While the layer is away, most calls are not even tried."""
    layer = get_channel_layer()
    if time.monotonic() < _silent_until.get(layer, 0):
        return
    message = message | {"conversation": str(conversation_id)}
    try:
        await asyncio.wait_for(layer.group_send(group_name(conversation_id), message), CALL_SECONDS)
    except (RedisError, OSError):  # windows look at the log by themselves meanwhile
        _silent_until[layer] = time.monotonic() + SILENT_SECONDS
        logger.warning("The channel layer is not reachable; conversation %s", conversation_id)


def as_json(event: Event, *, cites: bool = True) -> dict[str, Any]:
    """Return a durable event as customers are shown it: by sockets, by polling and by their API.

    Of what a tool told that is what was kept as `shown`; the whole result is for staff.

    Args:
        cites: show which rules an answer rests on; whether customers see it is the site's policy.
    """
    shown: dict[str, Any] = {
        "type": event.kind,
        "seq": event.seq,
        "id": str(event.public_id),
        "at": event.at.isoformat(),
        "role": event.role,
    }
    if event.kind == EventKind.MESSAGE:
        citations = event.data.get("citations", []) if cites else []
        shown |= {"text": event.text, "citations": citations}
        shown["release"] = event.data.get("release")
        if "turn" in event.data:  # whose pieces and statuses end with it
            shown["turn"] = event.data["turn"]
        shown["attachments"] = event.data.get("attachments", [])
        shown["choices"] = event.data.get("choices", [])  # answers to offer as buttons
        if "proactive" in event.data:  # said unasked: the customer may want no more of it
            shown["proactive"] = True
    elif event.kind == EventKind.ACTION:
        shown |= {"name": event.data["name"], "arguments": event.data["arguments"]}
        shown["result"] = event.data.get("shown", {})
    else:
        shown |= event.data
    if event.client_id:
        shown["client_id"] = event.client_id
    return shown
