"""A telephone on this machine that simulated callees answer by voice: for trying calls whole.

It is a SIP peer of its own over loopback UDP. What the agent says is recognised here too, and
the callee answers what was understood; so both directions are tried.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from aiosipua import IncomingCall, SipRequest, SipUAS, negotiate_sdp

from agents.subagents.talking import Talk
from agents.subagents.transports import Callee, Ear, Opened
from agents.telephone.endpointing import level_db
from agents.telephone.media import Stream
from agents.telephone.sound import hold_ports, release
from agents.telephone.wire import Udp

HOST = "127.0.0.1"
PORTS = (20000, 31998)
HEAR_SECONDS = 30.0
VOICE_DB = -40.0  # a frame of the agent's voice, not of its silence


@dataclass(slots=True)
class Taken:
    """One call as the callee lived it."""

    to: str
    said: list[str] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)  # s from their last sound to the agent's first
    task: "asyncio.Task[None] | None" = None


class Phone:
    """Answers every call with the callee that its user name asks for."""

    def __init__(self, callee_for: Callable[[str], Callee], greeting: str = "Hello?") -> None:
        self.callee_for, self.greeting = callee_for, greeting
        self.calls: list[Taken] = []
        self.over: dict[str, asyncio.Event] = {}
        [bound] = hold_ports(HOST, PORTS, 1)
        self.port = int(bound.getsockname()[1])
        self.uas = SipUAS(Udp(bound))
        self.uas.on_invite = self.ring
        self.uas.on_bye = self._bye

    async def start(self) -> None:
        await self.uas.start()

    async def stop(self) -> None:
        talking = [call.task for call in self.calls if call.task]
        for task in talking:
            task.cancel()
        await asyncio.gather(*talking, return_exceptions=True)
        await self.uas.stop()

    def ring(self, call: IncomingCall) -> None:
        """Do what the callee does when it rings; an INVITE that was sent again rings once."""
        if call.call_id in self.over:
            return
        self.over[call.call_id] = asyncio.Event()
        user = call.invite.uri.partition(":")[2].partition("@")[0]
        taken, callee = Taken(user), self.callee_for(user)
        self.calls.append(taken)
        match callee.opens():
            case Opened.BUSY:
                call.reject(486)
            case Opened.NO_ANSWER:
                call.ringing()
            case _:
                taken.task = asyncio.create_task(self._answer(call, taken, callee))

    def _bye(self, call: IncomingCall, _: SipRequest) -> None:
        if over := self.over.get(call.call_id):
            over.set()

    async def _answer(self, call: IncomingCall, taken: Taken, callee: Callee) -> None:
        call.ringing()
        assert call.sdp_offer is not None  # noqa: S101 (ours always offer)
        remote = call.sdp_offer.rtp_address
        assert remote is not None  # noqa: S101
        held = hold_ports(HOST, PORTS, 2)
        port = int(held[0].getsockname()[1])
        release(held)
        answer, payload_type = negotiate_sdp(call.sdp_offer, HOST, port)
        over = self.over[call.call_id]
        ear = TimedTalk(over, "en")
        await ear.start((HOST, port), Stream(remote, payload_type))
        call.accept(answer)
        try:
            await self._talk(ear, taken, callee)
            if not over.is_set():
                call.hangup()
        finally:
            taken.gaps = ear.gaps
            await ear.close()

    async def _talk(self, talk: "TimedTalk", taken: Taken, callee: Callee) -> None:
        await talk.say(self.greeting)
        while True:
            heard = await talk.hear(HEAR_SECONDS)
            if heard.ear == Ear.HUNG_UP:
                return
            if heard.ear == Ear.SILENCE:
                continue
            taken.heard.append(heard.text)
            words = callee.answer(heard.text)
            if words is None:
                return
            if words:
                taken.said.append(words)
                await talk.say(words)
                talk.wait_for_voice()


class TimedTalk(Talk):
    """Notes how long the other side takes to speak after our words."""

    def __init__(self, over: asyncio.Event, language: str) -> None:
        super().__init__(over, language)
        self.gaps: list[float] = []
        self.since = 0.0

    def wait_for_voice(self) -> None:
        self.since = time.monotonic()

    def feed(self, frame: bytes) -> None:
        if self.since and level_db(frame) > VOICE_DB:
            self.gaps.append(time.monotonic() - self.since)
            self.since = 0.0
        super().feed(frame)
