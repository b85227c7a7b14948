"""What a customer's window is shown: the log from where it stands, and what passes by."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from channels.db import database_sync_to_async
from django.db.models import F

from dialogues import events, services
from dialogues.chat.listening import SOMEWHERE, Listener
from dialogues.desk import queueing
from dialogues.models import CitationPolicy, Control, Conversation, Event, EventKind, Role

TURNS_REMEMBERED = 8  # of those that are over; what comes late of one comes within seconds


async def opened(public_id: UUID, token: str) -> Conversation | None:
    """Return the conversation, if `token` is its customer's."""
    found = Conversation.objects.filter(public_id=public_id)
    conversation = await found.afirst()
    if conversation is None or not services.opens(conversation, token):
        return None
    return conversation


class Window:
    """One window on a conversation. It gives each durable event once, in order."""

    def __init__(self, conversation: Conversation, after: int) -> None:
        self.conversation = conversation
        self.listener = Listener(conversation, after)
        self._control = conversation.control
        self._turn = ""  # whose answer was seen being written last
        self._over: deque[str] = deque(maxlen=TURNS_REMEMBERED)
        self.reading = asyncio.Lock()

    def go_back(self, after: int) -> None:
        """Give everything after this event again."""
        self.listener.position = min(after, self.listener.position)

    async def news(self) -> AsyncIterator[dict[str, Any]]:
        """Wait for what happens and give it in order, durable or passing."""
        for news in await self.listener.next():
            if isinstance(news, int):
                async for event in self.newer(upto=news):
                    yield event
            elif self._shows(news):
                yield news

    async def newer(
        self, limit: int | None = None, upto: int = SOMEWHERE
    ) -> AsyncIterator[dict[str, Any]]:
        """Give the durable events after where the window stands, up to `upto`; move on with each.

        What is later waits for its own call, behind what passed by before it. The log is not
        read where the window has passed `upto` by then: most calls tell of what the window has
        just written itself.
        """
        async with self.reading:
            after = self.listener.position
            if after >= upto:
                return
            log = Event.objects.filter(conversation_id=self.conversation.pk)
            news = log.filter(seq__gt=after, seq__lte=upto).order_by("seq")
            # The site's, whenever the chat became one's: a customer may sign in half way.
            policy = F("conversation__site__citations")
            async for event in news.annotate(policy=policy)[:limit]:
                yield events.as_json(event, cites=event.policy != CitationPolicy.HIDDEN)
                self.listener.position = event.seq
                self._note(event)

    def _note(self, event: Event) -> None:
        """Remember who speaks, and which answer is over with this event."""
        if event.kind == EventKind.CONTROL:
            self._control = event.data["state"]
        elif event.kind == EventKind.CLOSED:
            self._over.append(self._turn)
        elif event.kind == EventKind.MESSAGE and "turn" in event.data:
            self._over.append(event.data["turn"])

    async def standing(self) -> dict[str, Any] | None:
        """Return where a customer who waits for a person stands; None for others."""
        if self._control != Control.QUEUED:
            return None
        frame: dict[str, Any] | None = await database_sync_to_async(queueing.standing)(
            self.conversation
        )
        return frame

    def _shows(self, event: dict[str, Any]) -> bool:
        """Hide the customer's own typing, and what still comes of an answer that is over.

        It is over once it was given or stopped, a person came, or the next one has begun.
        """
        if event["type"] == "typing":
            return bool(event["role"] != Role.CUSTOMER)
        turn = event.get("turn")
        if turn is None:
            return True
        if turn in self._over:
            return False
        if turn != self._turn:
            self._over.append(self._turn)
            self._turn = turn
        stopped = event.get("state") == "stopped"
        if stopped or self._control == Control.HUMAN:
            self._over.append(turn)
        return stopped or self._control != Control.HUMAN
