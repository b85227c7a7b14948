"""One outgoing call's signalling: SIP over UDP, by aiosipua.

aiosipua builds, reads and answers messages and keeps the dialog; `agents.telephone.wire` sends
again what is lost.
"""

import asyncio
import socket
from contextlib import suppress
from dataclasses import dataclass

from aiosipua import (
    DialogState,
    IncomingCall,
    MediaDescription,
    Origin,
    OutgoingCall,
    SdpMessage,
    SdpNegotiationError,
    SipDigestAuth,
    SipUAC,
    SipUAS,
    negotiate_sdp,
)
from aiosipua.sdp import ConnectionData, TimingField

from agents.telephone.wire import Address, Wire

FIRST_SECONDS = 10.0  # until the other side says anything at all
LEAST_SECONDS = 1.0  # a call that nothing is known of is cancelled after that
BYE_SECONDS = 2.0  # that we wait for the answer to a BYE or CANCEL
CODECS = {0: "PCMU", 8: "PCMA"}
NO_ANSWER = 0  # as a status: it rang long enough
OK, UNUSABLE, UNREACHABLE = 200, 488, 503


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
        return f"sip:{self.name}@{self.domain or address}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an INVITE: a final status, and for 200 where the sound goes and how."""

    status: int
    remote: Address = ("", 0)
    payload_type: int = 0


class Signalling:
    """One call, from INVITE to BYE. `over` is set when it has ended, by whomever."""

    def __init__(
        self, caller: Caller, bound: socket.socket, rtp_port: int, remote: Address
    ) -> None:
        self.caller, self.remote = caller, remote
        host = caller.advertise or _own_address(remote, caller.bind)
        self.address = (host, int(bound.getsockname()[1]))
        self.rtp_port = rtp_port
        self.over = asyncio.Event()
        self.final: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.wire = Wire(bound)
        self.uac = SipUAC(self.wire, advertised_addr=self.address)
        self.uas = SipUAS(self.wire, uac=self.uac, advertised_addr=self.address)
        self.uas.on_bye = lambda *_: self.over.set()
        self.uas.on_reinvite = self._renew
        self.call: OutgoingCall | None = None

    async def invite(self, uri: str, seconds: float) -> Answer:
        """Call, and wait until they answer, refuse, or have let it ring for so long."""
        await self.uas.start()
        has_password = self.caller.user and self.caller.password
        self.call = self.uac.send_invite(
            self.caller.uri(self.address[0]),
            uri,
            self.remote,
            self._offer(),
            auth=SipDigestAuth(self.caller.user, self.caller.password) if has_password else None,
        )
        self.call.on_answer = lambda _: self._settle(OK)
        self.call.on_rejected = lambda _, status, __: self._settle(status)
        self.wire.follow(self.call)
        if not await self.wire.hears(min(FIRST_SECONDS, seconds)):
            return Answer(UNREACHABLE)
        try:
            status = await asyncio.wait_for(asyncio.shield(self.final), seconds)
        except TimeoutError:
            return Answer(NO_ANSWER)
        return self._answered() if status == OK else Answer(status)

    def _settle(self, status: int) -> None:
        if not self.final.done():
            self.final.set_result(status)

    def _answered(self) -> Answer:
        assert self.call is not None  # noqa: S101 (narrows the type)
        sdp = self.call.sdp_answer
        media = sdp.audio if sdp else None
        remote = sdp.rtp_address if sdp else None
        chosen = [codec.payload_type for codec in media.codecs] if media else []
        usable = [number for number in chosen if number in CODECS]
        if not usable or remote is None or not remote[1]:
            return Answer(UNUSABLE)
        return Answer(OK, remote, usable[0])

    def _offer(self) -> SdpMessage:
        """Offer G.711 in both forms, RFC 3264."""
        host = self.address[0]
        kind = "IP6" if ":" in host else "IP4"
        audio = MediaDescription(
            media="audio",
            port=self.rtp_port,
            formats=[str(number) for number in CODECS],
            attributes={
                "rtpmap": [f"{number} {name}/8000" for number, name in CODECS.items()],
                "ptime": ["20"],
                "sendrecv": [],
            },
        )
        return SdpMessage(
            origin=Origin(session_id="1", session_version="1", addr_type=kind, address=host),
            session_name="-",
            connection=ConnectionData(addr_type=kind, address=host),
            timing=TimingField(),
            media=[audio],
        )

    def _renew(self, call: IncomingCall) -> None:
        """Answer a re-INVITE, for a hold or a refresh, with what we have."""
        try:
            offer = call.sdp_offer or self._offer()
            answer, _ = negotiate_sdp(offer, self.address[0], self.rtp_port, dtmf_payload_type=0)
        except SdpNegotiationError:
            call.reject(UNUSABLE)
            return
        call.accept(answer)

    async def end(self) -> None:
        """Hang up, or cancel what still rings; an ended call stays so. Lets go of the socket."""
        try:
            if self.call and not self.over.is_set():
                await self._end(self.call)
        finally:
            self.over.set()
            self.wire.close()
            await self.uas.stop()

    async def _end(self, call: OutgoingCall) -> None:
        if call.dialog.state == DialogState.CONFIRMED:
            call.hangup(self.uac)
        elif not self.final.done():
            heard = await self.wire.hears(LEAST_SECONDS)  # RFC 3261 section 9.1: not before
            self.wire.cancelled = True
            call.cancel(self.uac)
            if not heard:
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
