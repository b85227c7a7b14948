"""The customer's socket. Its protocol is in the README, under "Chat socket"."""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs

from channels.db import database_sync_to_async
from channels.exceptions import DenyConnection, StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from django.core.exceptions import ValidationError
from redis.exceptions import RedisError

from agents.cleaning import storable
from dialogues import answering, events, services
from dialogues.models import Control, Conversation, Event, EventKind
from wowconsole.errors import Refused

logger = logging.getLogger(__name__)

LARGEST_FRAME = 16_384  # characters
LONGEST_CLIENT_ID = 64
LOOK_SECONDS = 2.0  # how often the log is looked at while an answer is awaited
AWAIT_SECONDS = 300.0  # how long; an answer that comes later still is seen at the next call


class ChatConsumer(AsyncWebsocketConsumer):
    """One open chat window.

    Durable events are always read from the log, in order and from where this socket
    stands, so that nothing is skipped or sent twice whatever the channel layer does.
    The handshake is refused without the conversation's token.
    """

    conversation: Conversation
    position: int  # seq of the last durable event this socket has sent
    looking: asyncio.Task[None] | None = None
    joining: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        self.conversation = await self._authorised()
        self.position = self.conversation.last_seq
        self.control = self.conversation.control
        self.catching_up = asyncio.Lock()
        if not await self._join():
            self.joining = asyncio.create_task(self._join_later())
        await self.accept()
        await self._send_json({"type": "ready", "last_seq": self.conversation.last_seq})
        await self._catch_up()  # what was said before the group was joined

    async def _authorised(self) -> Conversation:
        token = parse_qs(self.scope["query_string"].decode("latin-1")).get("token", [""])[0]
        public_id = self.scope["url_route"]["kwargs"]["conversation_id"]
        conversation = await Conversation.objects.filter(public_id=public_id).afirst()
        if conversation is None or not services.opens(conversation, token):
            raise DenyConnection
        return conversation

    async def _join(self) -> bool:
        group = events.group_name(self.conversation.public_id)
        try:
            await self.channel_layer.group_add(group, self.channel_name)
        except (RedisError, OSError):
            logger.warning("The channel layer is not reachable")
            return False
        self.groups.append(group)  # the base class leaves these when the window closes
        return True

    async def _join_later(self) -> None:
        """Read the log now and then until the channel layer is back."""
        joined = False
        while not joined:
            await asyncio.sleep(LOOK_SECONDS)
            joined = await self._join()
            await self._catch_up()

    async def websocket_disconnect(self, message: dict[str, Any]) -> None:
        for task in (self.looking, self.joining):
            if task:
                task.cancel()
        with suppress(RedisError, OSError, StopConsumer):  # leaving the group may fail
            await super().websocket_disconnect(message)
        raise StopConsumer

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Answer one frame. Whatever is wrong with it, the socket stays open."""
        try:
            content = _read(text_data)
            handle = self._handler(content)
            await handle(content)
        except Refused as refused:
            await self._error(refused.code, str(refused), text_data)
        except ValidationError as invalid:
            await self._error("invalid", " ".join(invalid.messages), text_data)

    def _handler(self, content: dict[str, Any]) -> Callable[[dict[str, Any]], Awaitable[None]]:
        handlers: dict[str, Callable[[dict[str, Any]], Awaitable[None]]] = {
            "message": self.on_message,
            "resume": self.on_resume,
            "rate": self.on_rate,
            "feedback": self.on_feedback,
            "human": self.on_human,
            "close": self.on_close,
            "typing": self.on_typing,
        }
        handler = handlers.get(str(content.get("type")))
        if handler is None:
            raise BadFrame(f"Unknown type; known are {', '.join(handlers)}.")
        return handler

    async def on_message(self, content: dict[str, Any]) -> None:
        client_id = _text(content, "client_id")
        if not 0 < len(client_id) <= LONGEST_CLIENT_ID:
            raise BadFrame(f"client_id has 1 to {LONGEST_CLIENT_ID} characters.")
        say = database_sync_to_async(services.say)
        event = await say(
            conversation=self.conversation, text=_text(content, "text"), client_id=client_id
        )
        await self._send_json({"type": "ack", "client_id": client_id, "seq": event.seq})
        await self._catch_up()
        answering.in_background(answering.answer_conversation(self.conversation.pk))
        self._look_for_answer(event.seq)

    def _look_for_answer(self, asked_seq: int) -> None:
        if self.looking:
            self.looking.cancel()
        self.looking = asyncio.create_task(self._look(asked_seq))

    async def _look(self, asked_seq: int) -> None:
        """Read the log now and then until the turn has ended, should no call reach this socket."""
        unfinished = self.conversation.turns.filter(finished_at__isnull=True)
        answered = self.conversation.turns.filter(
            asked_seq__gte=asked_seq, finished_at__isnull=False
        )
        until = time.monotonic() + AWAIT_SECONDS
        while time.monotonic() < until:
            await asyncio.sleep(LOOK_SECONDS)
            await self._catch_up()
            if await answered.aexists() and not await unfinished.aexists():
                return

    async def on_resume(self, content: dict[str, Any]) -> None:
        after = content.get("after")
        if not isinstance(after, int) or isinstance(after, bool) or after < 0:
            raise BadFrame("after is the seq of the last event you have, 0 for none.")
        self.position = min(after, self.position)
        await self._catch_up()

    async def on_rate(self, content: dict[str, Any]) -> None:
        rate = database_sync_to_async(services.rate)
        await rate(
            conversation=self.conversation,
            score=content.get("score"),
            comment=_text(content, "comment"),
        )
        await self._catch_up()

    async def on_feedback(self, content: dict[str, Any]) -> None:
        give_feedback = database_sync_to_async(services.give_feedback)
        await give_feedback(
            conversation=self.conversation,
            message=_text(content, "message"),
            value=_text(content, "value"),
            reason=_text(content, "reason"),
        )
        await self._catch_up()

    async def on_human(self, content: dict[str, Any]) -> None:
        await database_sync_to_async(services.ask_for_person)(conversation=self.conversation)
        await self._catch_up()

    async def on_close(self, content: dict[str, Any]) -> None:
        await database_sync_to_async(services.close)(conversation=self.conversation)
        await self._catch_up()

    async def on_typing(self, content: dict[str, Any]) -> None:
        """Nobody is shown this yet; it is a known type, so it is no error."""

    async def log_grew(self, message: dict[str, Any]) -> None:
        await self._catch_up()

    async def passing_event(self, message: dict[str, Any]) -> None:
        if self.control == Control.HUMAN:  # the agent's draft was withdrawn
            return
        await self._send_json(message["event"])

    async def _catch_up(self) -> None:
        """Send every durable event after `position`, in order, each once."""
        async with self.catching_up:
            newer = Event.objects.filter(
                conversation_id=self.conversation.pk, seq__gt=self.position
            )
            async for event in newer.order_by("seq"):
                await self._send_json(events.as_json(event))
                self.position = event.seq
                if event.kind == EventKind.CONTROL:
                    self.control = event.data["state"]

    async def _error(self, code: str, detail: str, frame: str | None) -> None:
        error = {"type": "error", "code": code, "detail": detail}
        with suppress(Refused):
            if client_id := _read(frame).get("client_id"):
                error["client_id"] = str(client_id)[:LONGEST_CLIENT_ID]
        await self._send_json(error)

    async def _send_json(self, content: dict[str, Any]) -> None:
        await self.send(text_data=json.dumps(content, ensure_ascii=False))


class BadFrame(Refused):
    code = "bad_frame"
    status = 422


def _read(frame: str | None) -> dict[str, Any]:
    if frame is None:
        raise BadFrame("Send JSON as text; binary frames are not read.")
    if len(frame) > LARGEST_FRAME:
        raise BadFrame(f"A frame has at most {LARGEST_FRAME} characters.")
    try:
        content = storable(json.loads(frame))
    except (ValueError, RecursionError):
        raise BadFrame("This is not JSON.") from None
    if not isinstance(content, dict):
        raise BadFrame("Send a JSON object with a type.")
    return content


def _text(content: dict[str, Any], name: str) -> str:
    value = content.get(name, "")
    if not isinstance(value, str):
        raise BadFrame(f"{name} is text.")
    return value
