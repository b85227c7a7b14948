"""One outgoing call's signalling: SIP over UDP, by aiosipua.

aiosipua builds and reads messages and keeps the dialog; `agents.telephone.wire` sends again
what is lost, `agents.telephone.asked` answers what the other side asks within the call.
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from aiosipua import DialogState, OutgoingCall, SdpMessage, SipDigestAuth, SipRequest, SipUAC
from aiosipua.dialog import Dialog
from aiosipua.utils import format_addr

from agents.telephone import media
from agents.telephone.asked import Asked
from agents.telephone.media import Stream
from agents.telephone.wire import Address, Wire

FIRST_SECONDS = 10.0  # until the other side says anything at all
LEAST_SECONDS = 1.0  # a call that nothing is known of is cancelled after that
BYE_SECONDS = 2.0  # that we wait for the answer to a BYE or CANCEL
HOLD_SECONDS = 120.0  # that they may keep us on hold
# We show so often that we are there (RFC 4028; the least it allows): should this process die,
# the other side ends the call by itself, if it knows of such timers.
SESSION_SECONDS = 90
LEAP = 1000  # of our request numbers, past those that a dead process may have used
NO_ANSWER = 0  # as a status: it rang long enough
OK, UNUSABLE, UNREACHABLE = 200, 488, 503
KEPT = (
    *("call_id", "local_tag", "remote_tag", "local_uri", "remote_uri", "remote_target"),
    *("route_set", "local_cseq"),
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who we are: on which address, by which name, with which credentials."""

    bind: str
    advertise: str  # as others reach us; "": the address that the route to them has
    name: str  # a number or a name, which callees may see
    domain: str  # of the name; "": our address
    user: str = ""
    password: str = ""

    def uri(self, address: str) -> str:
        if "@" in self.name:
            return f"sip:{self.name}"
        host = f"[{address}]" if ":" in address else address
        return f"sip:{self.name}@{self.domain or host}"

    @property
    def auth(self) -> SipDigestAuth | None:
        known = self.user and self.password
        return SipDigestAuth(self.user, self.password) if known else None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an INVITE: a final status, and for 200 where the sound goes and how."""

    status: int
    stream: Stream | None = None


class Signalling:
    """One call, from INVITE to BYE. `over` is set when it has ended, by whomever.

    `moved` hears where the sound goes when the other side changes that.
    """

    def __init__(
        self, caller: Caller, bound: socket.socket, rtp_port: int, remote: Address
    ) -> None:
        self.caller, self.remote = caller, remote
        host = caller.advertise or _own_address(remote, caller.bind)
        self.address = (host, int(bound.getsockname()[1]))
        self.rtp_port = rtp_port
        self.ip_version = 6 if bound.family == socket.AF_INET6 else 4
        self.over = asyncio.Event()
        self.final: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.moved: Callable[[Stream], None] = lambda _: None
        self.stream: Stream | None = None
        self.versions = 1  # of what we said of the sound
        self.hold: asyncio.TimerHandle | None = None
        self.wire = Wire(bound, caller.auth)
        self.wire.gone = self.over
        self.uac = SipUAC(self.wire, advertised_addr=self.address)
        self.wire.on_response = self.uac.handle_response
        self.call: OutgoingCall | None = None

    async def invite(self, uri: str, seconds: float) -> Answer:
        """Call, and wait until they answer, refuse, or have let it ring for so long."""
        await self.wire.start()
        call = self.uac.send_invite(
            self.caller.uri(self.address[0]),
            uri,
            self.remote,
            media.offer(self.address[0], self.rtp_port),
            session_expires=SESSION_SECONDS,
            # aiosipua stamps them on what it sends later only
            extra_headers={
                "Supported": "100rel, timer",
                "Session-Expires": str(SESSION_SECONDS),
            },
        )
        call.on_answer = lambda _: self._settle(OK)
        call.on_rejected = lambda _, status, __: self._settle(status)
        call.on_session_expired = lambda _: self.over.set()
        self._follow(call)
        if not await self.wire.hears(min(FIRST_SECONDS, seconds)):
            return Answer(UNREACHABLE)
        try:
            status = await asyncio.wait_for(asyncio.shield(self.final), seconds)
        except TimeoutError:
            return Answer(NO_ANSWER)
        return self._answered() if status == OK else Answer(status)

    def _follow(self, call: OutgoingCall) -> None:
        self.call = self.wire.call = call
        contact = f"sip:{format_addr(*self.address)}"
        asked = Asked(call, contact, self._renew, self._taken, self.over)
        self.wire.on_request = asked.reply

    def _settle(self, status: int) -> None:
        if not self.final.done():
            self.final.set_result(status)

    def _answered(self) -> Answer:
        self.stream = media.stream_of(self.wire.sdp, version=self.ip_version)
        if self.stream is None:
            return Answer(UNUSABLE)
        self._watch_hold(self.stream)
        return Answer(OK, self.stream)

    def _renew(self, offered: SdpMessage | None) -> SdpMessage | None:
        """Answer an offer made within the call; without one, make ours anew."""
        self.versions += 1
        host, port = self.address[0], self.rtp_port
        if offered is None:
            return media.offer(host, port, version=self.versions)
        stream = media.stream_of(offered, version=self.ip_version)
        kind = self.stream.payload_type if self.stream else 0
        told = media.answer(offered, host, port, payload_type=kind, version=self.versions)
        if told is None or stream is None:
            return None
        self._move(stream)
        return told

    def _taken(self, answer: SdpMessage) -> None:
        if stream := media.stream_of(answer, version=self.ip_version):
            self._move(stream)

    def _move(self, stream: Stream) -> None:
        self.stream = stream
        self._watch_hold(stream)
        self.moved(stream)

    def _watch_hold(self, stream: Stream) -> None:
        """Let nobody keep us on hold for ever."""
        if self.hold:
            self.hold.cancel()
        loop = asyncio.get_running_loop()
        self.hold = loop.call_later(HOLD_SECONDS, self.over.set) if stream.is_held else None

    # Ending

    def trace(self) -> dict[str, Any]:
        """Return what another process needs to end the call in our name; {} before an answer."""
        if self.call is None or self.call.dialog.state != DialogState.CONFIRMED:
            return {}
        kept = {name: getattr(self.call.dialog, name) for name in KEPT}
        return {"dialog": kept, "hop": list(self.call.remote_addr)}

    async def end_left(self, trace: dict[str, Any]) -> None:
        """End a call that a dead process left open, by its trace. Lets go of the socket."""
        await self.wire.start()
        dialog = Dialog(**trace["dialog"], state=DialogState.CONFIRMED)
        dialog.local_cseq += LEAP
        hop = (str(trace["hop"][0]), int(trace["hop"][1]))
        self._follow(OutgoingCall(dialog, SipRequest(), remote_addr=hop))
        await self.end()

    async def end(self) -> None:
        """Hang up, or cancel what still rings; an ended call stays so. Lets go of the socket."""
        try:
            if self.call:
                await self._end(self.call)
        finally:
            self.over.set()
            if self.hold:
                self.hold.cancel()
            self.wire.close()
            self.uac.close()
            await self.wire.stop()

    async def _end(self, call: OutgoingCall) -> None:
        if call.dialog.state == DialogState.CONFIRMED:
            self.wire.ended.clear()
            call.hangup(self.uac)
        elif not self.final.done():
            heard = await self.wire.hears(LEAST_SECONDS)  # RFC 3261 section 9.1: not before
            self.wire.cancelled = True
            call.cancel(self.uac)
            if not heard:
                return
        else:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(BYE_SECONDS):
                await self.wire.ended.wait()


def _own_address(remote: Address, bind: str) -> str:
    """Return the address that packets to `remote` leave from; nothing is sent."""
    if bind not in ("0.0.0.0", "::", ""):  # noqa: S104 (compared, not bound)
        return bind
    family = socket.AF_INET6 if ":" in remote[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect(remote)
        return str(probe.getsockname()[0])
