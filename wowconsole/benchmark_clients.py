"""Customers by the thousand: open sockets that remember what they were sent, and when."""

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

OPENING = 50  # handshakes at once
PATIENCE_SECONDS = 60.0


@dataclass(slots=True)
class Customer:
    """One chat window: its address, the numbers of the events it was sent, and who waits."""

    url: str
    pk: int = 0
    socket: ClientConnection | None = None
    reading: asyncio.Task[None] | None = None
    seqs: list[int] = field(default_factory=list)
    texts: dict[str, float] = field(default_factory=dict)  # when each text came
    waiting: dict[str, asyncio.Future[float]] = field(default_factory=dict)

    async def open(self) -> None:
        """Connect; a window that was open before asks for what it has missed."""
        self.socket = await connect(self.url, compression=None, open_timeout=PATIENCE_SECONDS)
        if self.reading:
            after = self.seqs[-1] if self.seqs else 0
            await self.socket.send(json.dumps({"type": "resume", "after": after}))
        self.reading = asyncio.create_task(self._read(self.socket))

    def drop(self) -> None:
        """Lose the connection as a train in a tunnel does: without a word."""
        if self.reading:
            self.reading.cancel()
        if self.socket:
            self.socket.transport.abort()
        self.socket = None

    async def say(self, text: str) -> float:
        """Send a message and return after how many milliseconds it was acknowledged."""
        assert self.socket is not None  # noqa: S101 (narrows the type)
        name = f"{random.getrandbits(64):x}"
        self.waiting[name] = asyncio.get_running_loop().create_future()
        started = time.perf_counter()
        await self.socket.send(json.dumps({"type": "message", "client_id": name, "text": text}))
        done = await asyncio.wait_for(self.waiting[name], PATIENCE_SECONDS)
        return (done - started) * 1000

    async def _read(self, socket: ClientConnection) -> None:
        with suppress(ConnectionClosed):
            async for frame in socket:
                self._note(json.loads(frame), time.perf_counter())

    def _note(self, event: dict[str, Any], now: float) -> None:
        if event["type"] == "error":
            self.waiting.pop(event["client_id"]).set_exception(RuntimeError(event["detail"]))
            return
        acknowledged = event["type"] == "ack" or (event["type"] == "message" and "seq" not in event)
        if acknowledged and (future := self.waiting.pop(event.get("client_id", ""), None)):
            future.set_result(now)
        elif "seq" in event and "id" in event:
            self.seqs.append(event["seq"])
            self.texts[event.get("text", "")] = now


async def at_most(number: int, works: Sequence[Callable[[], Awaitable[Any]]]) -> list[Any]:
    """Do all the works, `number` at once."""
    gate = asyncio.Semaphore(number)

    async def one(work: Callable[[], Awaitable[Any]]) -> Any:
        async with gate:
            return await work()

    return await asyncio.gather(*(one(work) for work in works))


async def hold(customers: Sequence[Customer]) -> float:
    """Open every window; return how many were opened in a second."""
    started = time.perf_counter()
    await at_most(OPENING, [customer.open for customer in customers])
    return round(len(customers) / (time.perf_counter() - started), 1)


async def talk(customers: Sequence[Customer], count: int, per_second: float) -> list[float]:
    """Let customers say something in turn, evenly; return the milliseconds to each answer."""
    said = []
    for number in range(count):
        customer = customers[number % len(customers)]
        said.append(asyncio.create_task(customer.say(f"Hello, number {number}")))
        await asyncio.sleep(1 / per_second)
    return list(await asyncio.gather(*said))
