"""What a call needs of a line: dial, speak, listen, hang up. And the lines that are built in.

The interface is made for speech: a callee may not answer, be a machine, interrupt, or be
silent. Other lines (SIP) add their factory to `FACTORIES` under the scheme of their addresses.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from agents.subagents import GaveUp, Parked, Said, Work
from agents.subagents.cards import Card

RING_SECONDS = 3600  # a link is not a bell: somebody has to find it first
TYPING = 5  # times as long as on a spoken line until silence means something
LINK = "link"  # the scheme of an address that names none


class Opened(StrEnum):
    """What came of dialling."""

    ANSWERED = "answered"
    NO_ANSWER = "no_answer"
    BUSY = "busy"
    VOICEMAIL = "voicemail"  # a machine, ready for a message


@dataclass(frozen=True, slots=True)
class Spoken:
    """How far the line got with what was to be said."""

    said: str  # what the callee can have heard
    interrupted: bool = False  # they began to speak; what they say comes with `hear`


class Ear(StrEnum):
    """What was heard."""

    SPEECH = "speech"
    SILENCE = "silence"
    HUNG_UP = "hung_up"


@dataclass(frozen=True, slots=True)
class Heard:
    """What came in since the last words of the agent."""

    ear: Ear
    text: str = ""
    # The transcript's number of what was heard, where the line itself has stored it; else None.
    number: int | None = None
    confidence: float = 1.0  # of the recogniser, 0 to 1


class Transport(Protocol):
    """A line to one callee. Every method may be called again by another process.

    `outlives_process`: another process finds the same call; else it has to dial again.

    A line that can wait without a process (somebody types some time) raises `Parked` from
    `open` or `hear`; it is then opened anew when they act.
    """

    outlives_process: bool

    async def open(self) -> Opened:
        """Dial, or find the call that is open already."""

    async def say(self, text: str) -> Spoken:
        """Speak; return when it is said, or was interrupted."""

    async def hear(self, seconds: float, after: int = 0) -> Heard:
        """Wait for words; SILENCE when none come for so long.

        Args:
            after: the number of the callee's last line that was taken, where the line stores them.
        """

    async def never_again(self, words: str) -> bool:
        """Have this address never called again, as these words want.

        False: the line keeps no list of such addresses.
        """

    async def hang_up(self) -> None:
        """End the call; an ended one stays so."""

    async def release(self) -> None:
        """Let go of what this process holds of the call.

        It ends a call that can't outlive the process: it is told so when a job is cancelled.
        """


Factory = Callable[[Work, Card], Transport]
FACTORIES: dict[str, Factory] = {}


def scheme_of(address: str) -> str:
    scheme, colon, _ = address.partition(":")
    return scheme if colon else LINK


def transport_for(work: Work, card: Card) -> Transport:
    """Return the line that the card's address asks for.

    Raises:
        GaveUp: no such line is set up here.
    """
    scheme = scheme_of(card.address)
    if scheme not in FACTORIES:
        raise GaveUp(f"There is no line for {scheme}: here.")
    return FACTORIES[scheme](work, card)


class Mailbox(Protocol):
    """A stored call over text: what TextTransport speaks through."""

    async def dial(self) -> tuple[str, float]:
        """Return dialled, answered, declined or ended, and the seconds since dialling.

        An attempt dials once.
        """

    async def typed(self, after: int) -> Sequence[Said]:
        """Return what the callee has typed with a higher number."""

    async def quiet_seconds(self) -> float:
        """Return how long ago somebody wrote last."""

    async def end(self) -> None:
        """End the call from our side."""


@dataclass(slots=True)
class TextTransport:
    """A callee who opens a link and types. It never holds a process while they think.

    The agent's stored line is what they read, so `say` sends nothing by itself, and a line
    is said exactly once whatever happens to the process.
    """

    work: Work
    mailbox: Mailbox
    ring_seconds: float = RING_SECONDS
    outlives_process: bool = True

    async def open(self) -> Opened:
        state, seconds = await self.mailbox.dial()
        if state == "declined":
            return Opened.BUSY
        if state != "dialled":
            return Opened.ANSWERED
        if seconds < self.ring_seconds:
            raise Parked(self.ring_seconds - seconds, "Dialled; nobody has answered yet")
        await self.mailbox.end()
        return Opened.NO_ANSWER

    async def say(self, text: str) -> Spoken:
        """Their page shows the transcript: it is said."""
        return Spoken(text)

    async def hear(self, seconds: float, after: int = 0) -> Heard:
        """Wait longer than on a spoken line: typing takes time, and nobody holds a phone."""
        seconds *= TYPING
        lines = await self.mailbox.typed(after)
        if lines:
            text = " ".join(line.text for line in lines)
            return Heard(Ear.SPEECH, text, number=lines[-1].number)
        state, _ = await self.mailbox.dial()
        if state == "ended":
            return Heard(Ear.HUNG_UP)
        quiet = await self.mailbox.quiet_seconds()
        if quiet < seconds:
            raise Parked(seconds - quiet)
        return Heard(Ear.SILENCE)

    async def never_again(self, words: str) -> bool:
        return False

    async def hang_up(self) -> None:
        await self.mailbox.end()

    async def release(self) -> None:
        """There is nothing to let go of: the call is a row."""


class Callee(Protocol):
    """Somebody simulated at the other end."""

    def opens(self) -> Opened:
        """Return what comes of dialling them."""

    def answer(self, said: str) -> str | None:
        """Return what they say to that, "" for silence, None when they hang up."""


class LocalTransport:
    """A line within this process to a simulated callee, over two queues and a task.

    Another process that goes on with the call lets the callee hear the agent's words so far
    again, so that it stands where it stood.
    """

    def __init__(
        self,
        callee: Callee,
        lines: Sequence[Said] = (),
        *,
        patience: float = 60.0,
        pace: float = 0.0,
    ) -> None:
        self.callee = callee
        self.outlives_process = True
        self.patience = patience  # seconds; nobody listens longer than that
        self.pace = pace  # seconds that the callee thinks before each answer
        self.to_callee: asyncio.Queue[str] = asyncio.Queue()
        self.to_agent: asyncio.Queue[str | None] = asyncio.Queue()
        for line in lines:
            if line.speaker == "agent":
                words = callee.answer(line.text)
        if lines and lines[-1].speaker == "agent" and words != "":  # not heard by that process
            self.to_agent.put_nowait(words)
        self.there: asyncio.Task[None] | None = None

    async def open(self) -> Opened:
        opened = self.callee.opens()
        if opened == Opened.ANSWERED and self.there is None:
            self.there = asyncio.create_task(self._be_there())
        return opened

    async def _be_there(self) -> None:
        while True:
            words = self.callee.answer(await self.to_callee.get())
            await asyncio.sleep(self.pace)
            if words != "":
                await self.to_agent.put(words)
            if words is None:
                return

    async def say(self, text: str) -> Spoken:
        await self.to_callee.put(text)
        return Spoken(text)

    async def hear(self, seconds: float, after: int = 0) -> Heard:
        try:
            words = await asyncio.wait_for(self.to_agent.get(), min(seconds, self.patience))
        except TimeoutError:
            return Heard(Ear.SILENCE)
        return Heard(Ear.SPEECH, words) if words is not None else Heard(Ear.HUNG_UP)

    async def never_again(self, words: str) -> bool:
        return False

    async def hang_up(self) -> None:
        await self.release()

    async def release(self) -> None:
        if self.there:
            self.there.cancel()
            self.there = None
