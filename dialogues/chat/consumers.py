"""The customer's socket. Its protocol is in the README, under "Chat socket"."""

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs

from channels.exceptions import DenyConnection
from channels.generic.websocket import AsyncWebsocketConsumer
from django.db import Error

from dialogues.chat import frames
from dialogues.chat.listening import LOOK_SECONDS
from dialogues.chat.windows import Window, opened

logger = logging.getLogger(__name__)

AFTER = re.compile(r"[0-9]{1,9}")


class ChatConsumer(AsyncWebsocketConsumer):
    """One open chat window.

    Durable events are always read from the log, in order and from where this socket
    stands, so that nothing is skipped or sent twice whatever the channel layer does.
    The handshake is refused without the conversation's token.
    """

    channel_layer_alias = "none"  # all windows of a process share one ear (dialogues.listening)

    window: Window | None = None
    telling: asyncio.Task[None] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve the socket; nothing of it is left behind, however that ends."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            if self.telling:
                self.telling.cancel()
            if self.window:
                await self.window.listener.stop()

    async def connect(self) -> None:
        query = parse_qs(self.scope["query_string"].decode("latin-1"))
        token = query.get("token", [""])[0]
        conversation = await opened(self.scope["url_route"]["kwargs"]["conversation_id"], token)
        if conversation is None:
            raise DenyConnection
        self.window = Window(conversation, _position(query, conversation.last_seq))
        await self.window.listener.start()
        await self.accept()
        await self._send_json({"type": "ready", "last_seq": conversation.last_seq})
        with _put_off():
            await self._catch_up(self.window)  # what was said before anybody listened
            if standing := await self.window.standing():
                await self._send_json(standing)
        self.telling = asyncio.create_task(self._tell(self.window))

    async def _tell(self, window: Window) -> None:
        """Send what happens until the window closes."""
        while True:
            try:
                async for event in window.news():
                    await self._send_json(event)
            except OSError:  # nobody is there any more
                return
            except Error:
                logger.warning("The log can't be read; trying again")
                await asyncio.sleep(LOOK_SECONDS)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Answer one frame. Whatever is wrong with it, the socket stays open."""
        window = self.window
        if window is None:  # the handshake was refused
            return
        async with window.reading:  # the answer to a frame comes before what it led to
            outcome = await frames.take(window.conversation, text_data)
            if outcome.tell:
                await self._send_json(outcome.tell)
        if outcome.after is not None:
            window.go_back(outcome.after)
        if outcome.grew:
            with _put_off():
                await self._catch_up(window)

    async def _catch_up(self, window: Window) -> None:
        async for event in window.newer():
            await self._send_json(event)

    async def _send_json(self, content: dict[str, Any]) -> None:
        await self.send(text_data=json.dumps(content, ensure_ascii=False))


async def nothing_there(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Refuse the handshake: no socket has this address."""
    await receive()
    await send({"type": "websocket.close"})


@contextmanager
def _put_off() -> Iterator[None]:
    """Let the log be unreadable for now: the ear's next look rings for what is not shown yet."""
    try:
        yield
    except Error:
        logger.warning("The log can't be read; trying again")


def _position(query: dict[str, list[str]], newest: int) -> int:
    """Return after which event a socket begins: the last one that its client has, if it says so.

    Who asks by a `resume` alone may be told what happens before that arrives, and then the rest.
    """
    after = query.get("after", [""])[0]
    return int(after) if AFTER.fullmatch(after) and int(after) <= newest else newest
