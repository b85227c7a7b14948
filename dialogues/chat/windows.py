"""What a customer's window is shown: the log from where it stands, and what passes by."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from channels.db import database_sync_to_async

from dialogues import events, services
from dialogues.chat.listening import SOMEWHERE, Listener
from dialogues.desk import queueing
from dialogues.models import CitationPolicy, Control, Conversation, Event, EventKind, Role

AT_WORK = {"searching", "thinking", "calling"}  # states of the agent


async def opened(public_id: UUID, token: str) -> Conversation | None:
    """Return the conversation, if `token` is its customer's."""
    found = Conversation.objects.select_related("site").filter(public_id=public_id)
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
        self.reading = asyncio.Lock()
        site = conversation.site
        self._cites = site is None or site.citations == CitationPolicy.SHOWN

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
        """Give the durable events after where the window stands, and move on with each.

        The log is not read where the window has passed `upto` by then: most calls tell of what
        the window has just written itself.
        """
        async with self.reading:
            after = self.listener.position
            if after >= upto:
                return
            log = Event.objects.filter(conversation_id=self.conversation.pk, seq__gt=after)
            async for event in log.order_by("seq")[:limit]:
                yield events.as_json(event, cites=self._cites)
                self.listener.position = event.seq
                if event.kind == EventKind.CONTROL:
                    self._control = event.data["state"]

    async def standing(self) -> dict[str, Any] | None:
        """Return where a customer who waits for a person stands; None for others."""
        if self._control != Control.QUEUED:
            return None
        frame: dict[str, Any] | None = await database_sync_to_async(queueing.standing)(
            self.conversation
        )
        return frame

    def _shows(self, event: dict[str, Any]) -> bool:
        """Hide the customer's own typing, and what the agent drafts after a person came."""
        if event["type"] == "typing":
            return bool(event["role"] != Role.CUSTOMER)
        drafting = event["type"] == "delta" or event.get("state") in AT_WORK
        return not (drafting and self._control == Control.HUMAN)
