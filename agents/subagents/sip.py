"""A call by telephone: SIP to a trunk or a PBX, sound by RTP, speech in and out.

A line lives in one process; when that dies, the call is dialled again as far as the job's
attempts go. Recognising and synthesising are done in threads, so that a worker holds several
calls. Whom an installation may dial at all is settled in `agents.telephone.numbers`, who may
be dialled now by the app above (`Register`).
"""

import asyncio
import importlib.util
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from django.conf import settings

from agents import hearing, speaking
from agents.subagents import GaveUp, TryAgain, Work
from agents.subagents.cards import Card
from agents.subagents.transports import Heard, Opened, Spoken
from agents.telephone import numbers

if TYPE_CHECKING:  # imported where calls are made: the extra may not be there
    from agents.subagents.talking import Talk
    from agents.telephone.signalling import Answer, Caller, Signalling

PARTS = ("aiosipua", "aiortp")
LEFT = "line"  # where a job's memory holds the trace of its open call
PORTS = (16384, 32766)  # UDP, where SIP_PORTS names none
AGAIN_SECONDS = 60.0  # until a trunk that failed is tried again
LAST_SECONDS = 0.3  # between our last word and hanging up: it is still on its way
BUSY = (486, 600, 603)
AWAY = (0, 408, 480, 487)  # it rang and nobody came, or the telephone is off
NOBODY = (404, 410, 484, 604)
OURS = (401, 403, 407, 415, 420, 421, 422, 488, 606)  # another try would end the same way


def missing() -> list[str]:
    """Return what calls by telephone lack on this installation, a sentence each."""
    lacking = []
    if any(importlib.util.find_spec(part) is None for part in PARTS):
        lacking.append("SIP and RTP: pip install -e '.[speech]'.")
    if not hearing.can_hear():
        lacking.append("A recogniser: set SPEECH_URL, or pip install -e '.[speech]'.")
    if not speaking.can_speak():
        lacking.append("A voice: set SPEECH_URL and SPEECH_VOICE, or pip install -e '.[speech]'.")
    if not settings.SIP_ALLOW:
        lacking.append("Somebody to call: SIP_ALLOW is empty, so every address is refused.")
    return lacking


class Register(Protocol):
    """Who was called and who must not be, as the app above keeps it."""

    async def note_call(self, target: numbers.Target) -> None:
        """Note that somebody is called now.

        Raises:
            Forbidden: they must not be.
        """

    async def never_again(self, target: numbers.Target, words: str) -> None:
        """Have somebody never called again, who wants so in these words."""


class SipTransport:
    """A telephone line to one callee (agents.subagents.transports.Transport).

    While it is open, its trace stands in the memory of `work`: a call that a dead process left
    open is ended first, or the callee would be busy with it.
    """

    outlives_process = False

    def __init__(
        self, address: str, language: str, register: Register, work: Work | None = None
    ) -> None:
        self.address, self.language, self.register = address, language, register
        self.work = work
        self.signalling: Signalling | None = None
        self.talk: Talk | None = None

    async def open(self) -> Opened:
        """Dial, and wait for an answer.

        Raises:
            GaveUp: this address is not called from here, or does not exist.
            TryAgain: the line is out of order.
        """
        if self.talk:
            return Opened.ANSWERED
        await self._end_left()
        target = await self._permitted()
        warming = asyncio.create_task(asyncio.to_thread(hearing.warm_up))  # while it rings
        try:
            opened = await self._dial(target)
        except OSError as error:
            raise TryAgain(f"The line is out of order: {error}", seconds=AGAIN_SECONDS) from error
        finally:
            await asyncio.wait([warming])
        if opened == Opened.ANSWERED and self.talk and await self.talk.is_machine():
            return Opened.VOICEMAIL
        return opened

    async def _permitted(self) -> numbers.Target:
        """Return whom to call, and note the call; a refusal is for good."""
        try:
            target = numbers.target_of(self.address)
            await self.register.note_call(target)
        except numbers.Forbidden as refusal:
            raise GaveUp(f"Nobody was called: {refusal}") from None
        return target

    async def _keep(self, trace: dict[str, Any]) -> None:
        if self.work:
            await self.work.keep(memory=self.work.memory | {LEFT: trace})

    async def _end_left(self) -> None:
        from agents.telephone.signalling import Signalling
        from agents.telephone.sound import hold_ports

        trace = self.work.memory.get(LEFT) if self.work else None
        if not trace:
            return
        with suppress(OSError, numbers.Forbidden):
            target = numbers.target_of(self.address)
            remote = await _resolve(target, settings.SIP_BIND)
            [own] = hold_ports(settings.SIP_BIND, ports_of(settings.SIP_PORTS), 1)
            await Signalling(_caller(target), own, 0, remote).end_left(trace)

    async def never_again(self, words: str) -> bool:
        await self.register.never_again(numbers.target_of(self.address), words)
        return True

    async def _dial(self, target: numbers.Target) -> Opened:
        from agents.subagents.talking import Talk
        from agents.telephone.signalling import Signalling
        from agents.telephone.sound import hold_ports, release

        ports, bind = ports_of(settings.SIP_PORTS), settings.SIP_BIND
        remote = await _resolve(target, bind)
        for_sound = hold_ports(bind, ports, 2)  # RTP and RTCP; nothing before the answer counts
        try:
            [own], sound = hold_ports(bind, ports, 1), int(for_sound[0].getsockname()[1])
            self.signalling = Signalling(_caller(target), own, sound, remote)
            answer = await self.signalling.invite(target.uri, settings.SIP_RING_SECONDS)
        finally:
            release(for_sound)
        opened = opened_by(answer)
        if answer.stream:
            self.talk = Talk(self.signalling.over, self.language)
            self.signalling.moved = self.talk.sound.follow
            await self._keep(self.signalling.trace())
            await self.talk.start((bind, sound), answer.stream)
        return opened

    async def say(self, text: str) -> Spoken:
        return await self.talk.say(text) if self.talk else Spoken("")

    async def hear(self, seconds: float, after: int = 0) -> Heard:
        assert self.talk is not None  # noqa: S101 (nobody hears before the line is open)
        return await self.talk.hear(seconds)

    async def hang_up(self) -> None:
        if self.talk and not self.talk.over.is_set():
            await asyncio.sleep(LAST_SECONDS)
        await self.release()
        await self._keep({})

    async def release(self) -> None:
        """Hang up, or stop the ringing, and let go of the sockets."""
        signalling, talk = self.signalling, self.talk
        self.signalling = None
        try:
            if signalling:
                await signalling.end()
        finally:
            if talk:
                await talk.close()


def opened_by(answer: "Answer") -> Opened:
    """Say in the calling agent's words what came of an INVITE.

    Raises:
        GaveUp, TryAgain: no call came about, and it was not the callee's doing.
    """
    status = answer.status
    if status == 200:
        return Opened.ANSWERED
    if status in BUSY:
        return Opened.BUSY
    if status in AWAY:
        return Opened.NO_ANSWER
    if status in NOBODY:
        raise GaveUp("There is nobody at this number.")
    if 300 <= status < 400:
        raise GaveUp(f"Their calls are sent elsewhere (SIP {status}), where nobody allowed one.")
    if status in OURS:
        raise GaveUp(f"The line refused the call (SIP {status}): our settings need a look.")
    raise TryAgain(f"The line is out of order (SIP {status}).", seconds=AGAIN_SECONDS)


def _caller(target: numbers.Target) -> "Caller":
    from agents.telephone.signalling import Caller

    name = settings.SIP_FROM or settings.SIP_USER or "console"
    return Caller(
        bind=settings.SIP_BIND,
        advertise=settings.SIP_ADVERTISE,
        name=name,
        domain=settings.SIP_TRUNK if target.by_trunk else "",
        user=settings.SIP_USER if target.by_trunk else "",
        password=settings.SIP_PASSWORD if target.by_trunk else "",
    )


async def _resolve(target: numbers.Target, bind: str) -> tuple[str, int]:
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(target.host, target.port, family=family, type=socket.SOCK_DGRAM)
    return str(found[0][4][0]), int(found[0][4][1])


def ports_of(text: str) -> tuple[int, int]:
    """Read a range such as "40000-40199"; of nothing it is the usual one.

    Raises:
        ValueError: it is none.
    """
    if not text:
        return PORTS
    first, _, last = text.partition("-")
    ports = int(first), int(last or first)
    if not 0 < ports[0] <= ports[1] < 65536:
        raise ValueError(f"SIP_PORTS is {text!r}; give a range such as 40000-40199.")
    return ports


def line_to(work: Work, card: Card, register: Register) -> SipTransport:
    """Return the line that a card's address asks for.

    Raises:
        GaveUp: there is no telephone here.
    """
    if lacking := missing():
        raise GaveUp(f"There is no telephone here. It lacks: {' '.join(lacking)}")
    return SipTransport(card.address, card.language, register, work)
