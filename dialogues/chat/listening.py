"""How open windows hear of their conversation: one ear per process, whatever their number.

The channel layer tells at once what happened. Beside it the log's ends are read every few
seconds, for all windows in one query: so a call that got lost costs seconds, not the event,
and while Redis is away nothing changes but that delay.
"""

import asyncio
import logging
import sys
from collections import defaultdict, deque
from collections.abc import Iterable
from contextlib import suppress
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

from channels.db import database_sync_to_async
from channels.layers import get_channel_layer
from django.db import Error, connection
from redis.exceptions import RedisError

from dialogues.events import group_name
from dialogues.models import Conversation

logger = logging.getLogger(__name__)

LOOK_SECONDS = 2.0  # between two looks at the log, and between two tries to reach the layer
JOIN_SECONDS = 1.0  # a layer that takes longer is as good as away
MOST_WAITING = 256  # passing events kept for a window that reads slowly; the oldest go first

News = dict[str, Any] | int  # a passing event, or up to which seq the log has grown
SOMEWHERE = sys.maxsize  # as a seq: the log may have grown, nobody knows how far


class Listener:
    """One window, or one long poll. Its owner moves `position` as it reads the log."""

    def __init__(self, conversation: Conversation, position: int) -> None:
        self.pk: int = conversation.pk
        self.conversation_id: UUID = conversation.public_id
        self.position = position
        self._news: deque[News] = deque(maxlen=MOST_WAITING)
        self._rang = asyncio.Event()

    def tell(self, news: News) -> None:
        """Leave word; never waits, so that a slow reader holds nobody up."""
        if isinstance(news, int) and self._news and isinstance(last := self._news[-1], int):
            self._news[-1] = max(last, news)
            return
        self._news.append(news)
        self._rang.set()

    async def rang(self) -> None:
        """Wait until there is news."""
        await self._rang.wait()

    async def next(self) -> list[News]:
        """Wait for news and return all of it, in order."""
        await self._rang.wait()
        self._rang.clear()
        news = list(self._news)
        self._news.clear()
        return news

    async def start(self) -> None:
        """Listen from now on. Whoever reads the log after this call misses nothing."""
        await _ear().add(self)

    async def stop(self) -> None:
        await _ear().remove(self)


class Ear:
    """The listeners of one event loop, and the one channel by which it hears for all of them."""

    def __init__(self) -> None:
        self.listeners: dict[UUID, set[Listener]] = defaultdict(set)
        self.joined: set[UUID] = set()
        self.channel: str | None = None
        self.reachable = False  # whether the layer did what it was last asked
        self.tasks: list[asyncio.Task[None]] = []

    async def add(self, listener: Listener) -> None:
        self.listeners[listener.conversation_id].add(listener)
        if not self.tasks:
            self.tasks = [asyncio.create_task(self._hear()), asyncio.create_task(self._look())]
        elif self.reachable:
            await self._join(listener.conversation_id)  # if in vain, the look will try again

    async def remove(self, listener: Listener) -> None:
        """Forget a window; the last one of the process takes the ear along."""
        others = self.listeners[listener.conversation_id]
        others.discard(listener)
        if others:
            return
        del self.listeners[listener.conversation_id]
        await self._leave(listener.conversation_id)
        if not self.listeners:
            _ears.pop(asyncio.get_running_loop(), None)
            for task in self.tasks:
                task.cancel()

    async def _hear(self) -> None:
        """Pass on what the layer says, and come back to it whenever it was away."""
        while True:
            try:
                await self._follow()
            except (RedisError, OSError):
                logger.warning("The channel layer is not reachable")
            except Exception:  # the loop's outermost frame: all windows would wait for the look
                logger.exception("The channel layer can't be followed")
            self.channel, self.reachable = None, False
            self.joined.clear()
            await asyncio.sleep(LOOK_SECONDS)

    async def _follow(self) -> None:
        layer = get_channel_layer()
        channel = await layer.new_channel()
        self.channel = channel
        await self._join_all()
        while True:
            message = await layer.receive(channel)
            news = message["seq"] if message["type"] == "log.grew" else message["event"]
            self._tell(UUID(message["conversation"]), news)

    def _tell(self, conversation_id: UUID, news: News) -> None:
        for listener in self.listeners.get(conversation_id, ()):
            listener.tell(news)

    async def _join(self, conversation_id: UUID) -> bool:
        """Join a conversation's group; say whether the layer could be reached."""
        if self.channel is None or conversation_id in self.joined:
            return self.channel is not None
        try:
            joining = get_channel_layer().group_add(group_name(conversation_id), self.channel)
            await asyncio.wait_for(joining, JOIN_SECONDS)
        except (RedisError, OSError):  # a TimeoutError is an OSError
            self.reachable = False
            return False
        self.reachable = True
        self.joined.add(conversation_id)
        if conversation_id not in self.listeners:  # the window closed meanwhile
            await self._leave(conversation_id)
        return True

    async def _join_all(self) -> None:
        for conversation_id in set(self.listeners) - self.joined:
            if not await self._join(conversation_id):
                return
            self._tell(conversation_id, SOMEWHERE)  # what was said before the group was joined

    async def _leave(self, conversation_id: UUID) -> None:
        if conversation_id not in self.joined or self.channel is None:
            return
        self.joined.discard(conversation_id)
        with suppress(RedisError, OSError):
            await get_channel_layer().group_discard(group_name(conversation_id), self.channel)

    async def _look(self) -> None:
        """Ring where the log is ahead of a window, and join what could not be joined."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            listeners = [each for some in self.listeners.values() for each in some]
            try:
                ends = await database_sync_to_async(_ends_ahead)(listeners)
            except Error:
                logger.warning("The log can't be read; trying again")
                continue
            for listener in listeners:
                if (end := ends.get(listener.pk, 0)) > listener.position:
                    listener.tell(end)
            await self._join_all()


def _ends_ahead(listeners: Iterable[Listener]) -> dict[int, int]:
    """Return the last seq of each conversation, by its pk, whose log is ahead of a listener."""
    positions = [(each.pk, each.position) for each in listeners]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.id, c.last_seq FROM dialogues_conversation c"
            " JOIN unnest(%s::bigint[], %s::bigint[]) AS known(id, seq) ON known.id = c.id"
            " WHERE c.last_seq > known.seq",
            [[pk for pk, _ in positions], [seq for _, seq in positions]],
        )
        return dict(cursor.fetchall())


_ears: WeakKeyDictionary[asyncio.AbstractEventLoop, Ear] = WeakKeyDictionary()


def _ear() -> Ear:
    return _ears.setdefault(asyncio.get_running_loop(), Ear())
