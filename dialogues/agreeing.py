"""Calls to which customers agreed: by which key they go out, and which of them are under way.

They can't be undone, so each is noted before it is made. Where a person silences the turn
meanwhile, or its process dies, it can be told that the call was made, and found out by its own
key what came of it.
"""

from typing import Any

from agents.acting import digest
from agents.calling import UNDER_WAY, is_broken
from agents.confirming import Call
from agents.telling import UNCLEAR
from dialogues.appending import append
from dialogues.models import Conversation, Event, EventKind, Role, Turn


def key_of(conversation: Conversation, call: Call) -> str:
    """Return the idempotency key of a call: the same until it is known what came of it.

    Asked for once more after no answer came, it is then made once at most; once it has been
    made, or refused, the next one is another.
    """
    made = conversation.events.filter(
        kind=EventKind.ACTION, data__name=call.name, data__arguments=call.arguments
    )
    errors = [
        str(data["result"].get("error") or "") for data in made.values_list("data", flat=True)
    ]
    known = sum(not is_broken(call.name, error) for error in errors)
    return f"{conversation.public_id}-{digest(call.name, call.arguments)}-{known}"


def under_way(turn: Turn) -> list[Call]:
    """Return the calls of other turns of which nobody knows yet what came."""
    others = turn.conversation.turns.exclude(pk=turn.pk).filter(under_way__isnull=False)
    return [as_call(kept) for kept in others.values_list("under_way", flat=True)]


def as_call(kept: Any) -> Call:
    """Read what `Turn.under_way` keeps."""
    return Call(**kept)


def tell_under_way(turn: Turn) -> Event:
    """Add to the log that a turn ends in the middle of its call.

    The caller holds the conversation's lock.
    """
    call = as_call(turn.under_way)
    return append(
        conversation=turn.conversation,
        kind=EventKind.ACTION,
        role=Role.SYSTEM,
        data={
            "name": call.name,
            "arguments": call.arguments,
            "result": {"error": UNDER_WAY.format(name=call.name)},
            "shown": {"error": turn.conversation.say(UNCLEAR)},
            "unknown": True,
        },
        turn=turn,
    )
