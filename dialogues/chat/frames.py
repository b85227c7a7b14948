"""What a customer's window may send: one code path for the socket and the long poll.

The frames are in the README, under "Chat socket".
"""

import json
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from uuid import UUID

from channels.db import database_sync_to_async
from django.core.exceptions import ValidationError
from django.db import Error

from agents.cleaning import storable
from dialogues import answering, services
from dialogues.chat import identifying, stopping, surveying, writing
from dialogues.desk import control
from dialogues.jobs import delegating
from dialogues.models import Control, Conversation, Role
from wowconsole.errors import Refused, TooMany

logger = logging.getLogger(__name__)

LARGEST_FRAME = 16_384  # characters
LONGEST_CLIENT_ID = 64
REMEMBERED = 20_000  # conversations whose allowances a process keeps

# How many frames of a type a conversation may send at once, and in how many seconds that
# allowance fills up again. What is stored is limited in the database besides.
ALLOWANCES = {
    "message": (60, 30.0),
    "resume": (20, 20.0),
    "typing": (10, 10.0),
    "staff_typing": (10, 10.0),  # no frame: told by the desk
    "human": (5, 30.0),
    "cancel": (10, 30.0),
}
OTHER = (60, 30.0)  # of any other type, and of what is not readable


class BadFrame(Refused):
    code = "bad_frame"
    status = 422


@dataclass(slots=True)
class Outcome:
    """What a frame led to: what its sender is told, and from where it wants the log again."""

    tell: dict[str, Any] | None = None
    after: int | None = None
    grew: bool = True  # whether the log may have grown by it
    status: int = 200  # as HTTP would say it


Handler = Callable[[Conversation, dict[str, Any]], Awaitable[Outcome | None]]


async def take(conversation: Conversation, text: str | None) -> Outcome:
    """Carry out one frame. Whatever is wrong with it comes back as an error, never raised."""
    allowances = _allowances_of(conversation.pk)
    content: dict[str, Any] = {}
    try:
        content = _read(text, allowances)
        allowances.spend(content["type"])
        return await HANDLERS[content["type"]](conversation, content) or Outcome()
    except Refused as refused:
        return _error(refused.code, str(refused), refused.status, content)
    except ValidationError as invalid:
        return _error("invalid", " ".join(invalid.messages), 422, content)
    except Error:
        logger.exception("A frame could not be carried out")
        return _error("unavailable", "That did not work on our side. Try again.", 503, content)


def _error(code: str, detail: str, status: int, content: dict[str, Any]) -> Outcome:
    error = {"type": "error", "code": code, "detail": detail}
    if client_id := content.get("client_id"):
        error["client_id"] = str(client_id)[:LONGEST_CLIENT_ID]
    return Outcome(error, grew=False, status=status)


@dataclass(slots=True)
class Allowances:
    """Token buckets of one conversation, so that no flood reaches the database."""

    left: dict[str, tuple[float, float]] = field(default_factory=dict)  # tokens, when

    def spend(self, kind: str) -> None:
        """Take one frame off the allowance of its type.

        Raises:
            TooMany: nothing is left.
        """
        burst, seconds = ALLOWANCES.get(kind, OTHER)
        now = time.monotonic()
        tokens, at = self.left.get(kind, (burst, now))
        tokens = min(burst, tokens + (now - at) * burst / seconds)
        if tokens < 1:
            raise TooMany("That was very quick. Wait a moment.")
        self.left[kind] = (tokens - 1, now)


def spend(conversation_pk: int, kind: str) -> None:
    """Take one off an allowance of the conversation.

    Raises:
        TooMany: nothing is left.
    """
    _allowances_of(conversation_pk).spend(kind)


@lru_cache(maxsize=REMEMBERED)
def _allowances_of(conversation_pk: int) -> Allowances:
    """Return a conversation's allowances, shared by all its windows on this process."""
    return Allowances()


def _read(text: str | None, allowances: Allowances) -> dict[str, Any]:
    """Return the frame, its type known; unreadable ones spend an allowance too."""
    try:
        return _readable(text)
    except BadFrame:
        allowances.spend("unreadable")
        raise


def _readable(text: str | None) -> dict[str, Any]:
    if text is None:
        raise BadFrame("Send JSON as text; binary frames are not read.")
    if len(text) > LARGEST_FRAME:
        raise BadFrame(f"A frame has at most {LARGEST_FRAME} characters.")
    try:
        content = storable(json.loads(text))
    except (ValueError, RecursionError):
        raise BadFrame("This is not JSON.") from None
    if not isinstance(content, dict):
        raise BadFrame("Send a JSON object with a type.")
    kind = content.get("type")
    if not isinstance(kind, str) or kind not in HANDLERS:
        raise BadFrame(f"Unknown type; known are {', '.join(HANDLERS)}.")
    return content


def _text(content: dict[str, Any], name: str) -> str:
    value = content.get(name, "")
    if not isinstance(value, str):
        raise BadFrame(f"{name} is text.")
    return value


def _ids(content: dict[str, Any], name: str) -> list[UUID]:
    values = content.get(name) or []
    try:
        return [UUID(value) for value in values]
    except (TypeError, ValueError, AttributeError):
        raise BadFrame(f"{name} is a list of ids.") from None


async def on_message(conversation: Conversation, content: dict[str, Any]) -> Outcome:
    """Store what was said and have it answered; the answer comes through the log."""
    client_id = _text(content, "client_id")
    if not 0 < len(client_id) <= LONGEST_CLIENT_ID:
        raise BadFrame(f"client_id has 1 to {LONGEST_CLIENT_ID} characters.")
    say = database_sync_to_async(services.say)
    event = await say(
        conversation=conversation,
        text=_text(content, "text"),
        client_id=client_id,
        attachments=_ids(content, "attachments"),
    )
    if event.conversation.control != Control.HUMAN:
        answering.in_background(answering.answer_conversation(conversation.pk))
    return Outcome({"type": "ack", "client_id": client_id, "seq": event.seq})


async def on_resume(conversation: Conversation, content: dict[str, Any]) -> Outcome:
    after = content.get("after")
    if not isinstance(after, int) or isinstance(after, bool) or after < 0:
        raise BadFrame("after is the seq of the last event you have, 0 for none.")
    return Outcome(after=after)


async def on_rate(conversation: Conversation, content: dict[str, Any]) -> None:
    rate = database_sync_to_async(services.rate)
    comment = _text(content, "comment")
    await rate(conversation=conversation, score=content.get("score"), comment=comment)


async def on_feedback(conversation: Conversation, content: dict[str, Any]) -> None:
    give_feedback = database_sync_to_async(services.give_feedback)
    await give_feedback(
        conversation=conversation,
        message=_text(content, "message"),
        value=_text(content, "value"),
        reason=_text(content, "reason"),
    )


async def on_human(conversation: Conversation, content: dict[str, Any]) -> None:
    ask = database_sync_to_async(services.ask_for_person)
    await ask(conversation=conversation, by_customer=True)


async def on_agent(conversation: Conversation, content: dict[str, Any]) -> None:
    """Leave the queue for a person: the agent answers again."""
    await database_sync_to_async(control.leave_queue)(conversation=conversation)
    answering.in_background(answering.answer_conversation(conversation.pk))


async def on_survey(conversation: Conversation, content: dict[str, Any]) -> None:
    answers = content.get("answers")
    if not isinstance(answers, dict):
        raise BadFrame("answers is an object of question id and value.")
    answer = database_sync_to_async(surveying.answer)
    await answer(conversation=conversation, survey=_text(content, "survey"), answers=answers)


async def on_cancel_job(conversation: Conversation, content: dict[str, Any]) -> None:
    cancel = database_sync_to_async(delegating.cancel)
    await cancel(conversation=conversation, job=_text(content, "id"))


async def on_close(conversation: Conversation, content: dict[str, Any]) -> None:
    await database_sync_to_async(services.close)(conversation=conversation)


async def on_typing(conversation: Conversation, content: dict[str, Any]) -> Outcome:
    await writing.note(conversation.public_id, Role.CUSTOMER)
    return Outcome(grew=False)


async def on_cancel(conversation: Conversation, content: dict[str, Any]) -> None:
    """Stop the answer that is being written; every window hears of it."""
    turn = await database_sync_to_async(stopping.stop_answer)(conversation=conversation)
    answering.stop(turn.pk)


async def on_identify(conversation: Conversation, content: dict[str, Any]) -> Outcome:
    """Say who the customer is, in a chat that has begun."""
    who = database_sync_to_async(identifying.identify)
    customer = await who(conversation=conversation, proof=content.get("identity"))
    return Outcome({"type": "identified", "customer": customer.ref})


async def on_ping(conversation: Conversation, content: dict[str, Any]) -> Outcome:
    """Say that somebody is here: a browser can't see the pings of the server itself."""
    return Outcome({"type": "pong"}, grew=False)


HANDLERS: dict[str, Handler] = {
    "message": on_message,
    "resume": on_resume,
    "rate": on_rate,
    "feedback": on_feedback,
    "survey": on_survey,
    "human": on_human,
    "agent": on_agent,
    "cancel": on_cancel,
    "cancel_job": on_cancel_job,
    "identify": on_identify,
    "typing": on_typing,
    "ping": on_ping,
    "close": on_close,
}
