"""What RFC 3261 wants of a client over UDP and aiosipua leaves to its user.

Requests are sent again until they are answered, refusals of an INVITE are acknowledged,
challenges answered, and tag, Contact and routes of an answer lead on. A call that is answered
while it is cancelled, or by a second telephone, is ended.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any

from aiosipua import (
    OutgoingCall,
    SdpMessage,
    SipDigestAuth,
    SipRequest,
    SipResponse,
    SipTransport,
)

from agents.telephone import media, proving, routing

logger = logging.getLogger(__name__)

T1, T2, LONGEST = 0.5, 4.0, 32.0  # seconds, RFC 3261 section 17.1.1.1 (64 times T1)

GONE = (408, 481)  # in answer to what is asked within a call: it is no more

Address = tuple[str, int]
Key = tuple[str, str]  # branch and method
Message = SipRequest | SipResponse


class Datagrams(asyncio.DatagramProtocol):
    """Hands on what arrives. (aiosipua's own insists on a class that Python 3.11 has not.)"""

    def __init__(self, take: Callable[[bytes, Address], None]) -> None:
        self.take = take

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        self.take(data, (str(addr[0]), int(addr[1])))


class Udp(SipTransport):
    """aiosipua's transport over a bound socket of ours."""

    def __init__(self, bound: socket.socket) -> None:
        host, port = bound.getsockname()[:2]
        super().__init__(local_addr=(host, port))
        self.bound = bound
        self.open: asyncio.DatagramTransport | None = None

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self.open, _ = await loop.create_datagram_endpoint(
            lambda: Datagrams(self._dispatch), sock=self.bound
        )

    def send(self, message: Message, addr: Address) -> None:
        if self.open:
            self.open.sendto(bytes(message), addr)

    async def stop(self) -> None:
        if self.open:
            self.open.close()
        self.bound.close()


class Wire(Udp):
    """The socket of one outgoing call."""

    def __init__(self, bound: socket.socket, auth: SipDigestAuth | None = None) -> None:
        super().__init__(bound)
        self.auth = auth
        self.call: OutgoingCall | None = None
        self.cancelled = False
        self.heard = asyncio.Event()  # the other side answered anything
        self.ended = asyncio.Event()  # it confirmed our BYE, or the end of our INVITE
        self.gone = asyncio.Event()  # it knows nothing of this call any more
        self.sdp: SdpMessage | None = None  # of who answered
        self.on_response: Callable[[SipResponse, Address], None] = lambda *_: None
        self.on_request: Callable[[SipRequest], SipResponse | None] = lambda _: None
        self.requests: dict[Key, SipRequest] = {}
        self.refused: set[Key] = set()  # INVITEs
        self.tags: list[str] = []  # of who answered, the first of them is whom we talk to
        self.resending: dict[Key, asyncio.Task[None]] = {}

    async def start(self) -> None:
        self.on_message = self._receive
        await super().start()

    async def hears(self, seconds: float) -> bool:
        """Wait for any answer; say whether one came."""
        try:
            async with asyncio.timeout(seconds):
                await self.heard.wait()
        except TimeoutError:
            return False
        return True

    def send(self, message: Message, addr: Address) -> None:
        """Send; a request is sent again until it is answered."""
        super().send(message, addr)
        if isinstance(message, SipRequest) and message.method != "ACK":
            key = (message.via[0].branch or "", message.method)
            self.requests[key] = message
            self.resending[key] = asyncio.create_task(self._resend(message, addr))

    async def _resend(self, request: SipRequest, addr: Address) -> None:
        wait, waited = T1, 0.0
        while waited < LONGEST:
            await asyncio.sleep(wait)
            super().send(request, addr)
            waited += wait
            wait = wait * 2 if request.method == "INVITE" else min(wait * 2, T2)

    def close(self) -> None:
        """Send nothing again."""
        for task in self.resending.values():
            task.cancel()
        self.resending.clear()

    def _receive(self, message: Message, addr: Address) -> None:
        if self.call is None or message.call_id != self.call.call_id:
            return  # strangers knock at open ports
        try:
            if isinstance(message, SipResponse):
                self._take(self.call, message, addr)
            elif (reply := self.on_request(message)) is not None:
                self.send_reply(reply)
        except ValueError as error:  # of a header
            logger.info("Not understood, from %s: %s", addr, error)

    def _take(self, call: OutgoingCall, response: SipResponse, addr: Address) -> None:
        """Do for an answer what has to be done before aiosipua sees it."""
        key = _key_of(response)
        request = self.requests.get(key)
        if request is None:
            return  # the end of something that has ended, once more
        self.heard.set()
        is_final = response.status_code >= 200
        if (is_final or request.method == "INVITE") and key in self.resending:
            self.resending.pop(key).cancel()
        if request.method == "INVITE":
            self._take_of_invite(call, request, response, addr)
        elif is_final:
            del self.requests[key]
            if not self._proves(call, request, response):
                self._take_end(request, response)

    def _take_end(self, request: SipRequest, response: SipResponse) -> None:
        if request.method == "BYE":
            self.ended.set()
        elif request.method == "UPDATE" and response.status_code in GONE:
            self.gone.set()

    def _take_of_invite(
        self, call: OutgoingCall, invite: SipRequest, response: SipResponse, addr: Address
    ) -> None:
        if response.status_code >= 300:
            self._take_refusal(call, invite, response, addr)
        elif response.status_code >= 200:
            self._take_answer(call, invite, response, addr)
        else:
            if response.status_code > 100 and not self.tags:
                routing.learn(call.dialog, response)
            self.on_response(response, addr)

    def _take_refusal(
        self, call: OutgoingCall, invite: SipRequest, response: SipResponse, addr: Address
    ) -> None:
        """Acknowledge it. One that comes again, or refuses a refresh, ends nothing."""
        super().send(routing.acknowledgement(invite, response), addr)
        key = _key_of(response)
        known = key in self.refused
        self.refused.add(key)
        if self.tags and response.status_code in GONE:
            self.gone.set()
        if known or self.tags or (not self.cancelled and self._proves(call, invite, response)):
            return
        self.ended.set()
        self.on_response(response, addr)

    def _proves(self, call: OutgoingCall, request: SipRequest, response: SipResponse) -> bool:
        """Send a request again with credentials, where they are asked for and can help."""
        if self.auth is None or response.status_code not in proving.ASKED:
            return False
        header = proving.proof(request, response, self.auth)
        if header is None:
            return False
        again = proving.proved(request, header, call.dialog.next_cseq())
        if request.method == "INVITE":
            call.invite = again
        self.send(again, call.remote_addr)
        return True

    def _take_answer(
        self, call: OutgoingCall, invite: SipRequest, response: SipResponse, addr: Address
    ) -> None:
        """Let the first who answers have the call; nobody, if it was cancelled meanwhile."""
        tag = (response.to_addr.tag if response.to_addr else "") or ""
        is_new = tag not in self.tags
        if is_new:
            self.tags.append(tag)
        if self.cancelled or tag != self.tags[0]:
            self._decline(call, invite, response, is_new=is_new)
            return
        if is_new:
            routing.learn(call.dialog, response)
            call.remote_addr = routing.next_hop(call.dialog, call.remote_addr)
            self.sdp = media.read(response)
        response.body = b""  # aiosipua would stumble over what can't be read
        self.on_response(response, addr)

    def _decline(
        self, call: OutgoingCall, invite: SipRequest, response: SipResponse, *, is_new: bool
    ) -> None:
        """End a call that somebody else answered, or too late."""
        dialog = routing.answered_by(call.dialog, response)
        hop = routing.next_hop(dialog, call.remote_addr)
        super().send(routing.acknowledgement(invite, response, dialog), hop)
        if is_new:
            via = invite.via[0]
            host, port = via.host.strip("[]"), via.port or routing.SIP_PORT
            self.send(dialog.create_request("BYE", via_host=host, via_port=port), hop)


def _key_of(response: SipResponse) -> Key:
    branch = response.via[0].branch if response.via else ""
    return branch or "", response.cseq.method if response.cseq else ""
