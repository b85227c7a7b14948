"""What RFC 3261 wants of a client over UDP and aiosipua leaves to its user.

Requests are sent again until they are answered, refusals of an INVITE are acknowledged, tag,
Contact and routes of an answer lead on, and a call that is answered while it is cancelled is
ended.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from aiosipua import (
    DialogState,
    OutgoingCall,
    SipRequest,
    SipResponse,
    SipTransport,
    generate_branch,
    stringify_uri,
    stringify_via,
)

T1, T2, LONGEST = 0.5, 4.0, 32.0  # seconds, RFC 3261 section 17.1.1.1 (64 times T1)

Address = tuple[str, int]
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

    def __init__(self, bound: socket.socket) -> None:
        super().__init__(bound)
        self.call: OutgoingCall | None = None
        self.cancelled = False
        self.heard = asyncio.Event()  # the other side answered anything
        self.ended = asyncio.Event()  # it confirmed our BYE, or the end of our INVITE
        self.handler: Callable[[Message, Address], None] | None = None
        self.requests: dict[tuple[str, str], SipRequest] = {}
        self.resending: dict[tuple[str, str], asyncio.Task[None]] = {}

    def follow(self, call: OutgoingCall) -> None:
        """Stand between the socket and the user agents, for this call alone."""
        self.call = call
        self.handler, self.on_message = self.on_message, self._receive

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
        if isinstance(message, SipResponse):
            self._take(message, addr)
        if self.handler is not None:
            self.handler(message, addr)

    def _take(self, response: SipResponse, addr: Address) -> None:
        """Do for an answer what has to be done before aiosipua sees it."""
        self.heard.set()
        method = response.cseq.method if response.cseq else ""
        key = (response.via[0].branch or "" if response.via else "", method)
        request = self.requests.get(key)
        if request is None:
            return
        is_final = response.status_code >= 200
        if (is_final or method == "INVITE") and key in self.resending:
            self.resending.pop(key).cancel()
        if method == "INVITE":
            self._take_of_invite(request, response, addr)
        elif method == "BYE" and is_final:
            self.ended.set()

    def _take_of_invite(self, invite: SipRequest, response: SipResponse, addr: Address) -> None:
        if response.status_code >= 300:
            super().send(acknowledgement(invite, response), addr)
            self.ended.set()
        elif response.status_code > 100:
            self._learn(response)
        if 200 <= response.status_code < 300 and self.cancelled:
            self._end_after_all(invite, response, addr)

    def _learn(self, response: SipResponse) -> None:
        """Take over who answered, and the way to them, RFC 3261 section 12.1.2."""
        assert self.call is not None  # noqa: S101 (narrows the type)
        dialog = self.call.dialog
        if response.to_addr and response.to_addr.tag:
            dialog.remote_tag = response.to_addr.tag
        if response.contact:
            dialog.remote_target = stringify_uri(response.contact[0].uri)
        if routes := response.headers.get("record-route"):
            dialog.route_set = list(reversed(routes))

    def _end_after_all(self, invite: SipRequest, response: SipResponse, addr: Address) -> None:
        """End a call that was answered before our CANCEL arrived."""
        assert self.call is not None  # noqa: S101 (narrows the type)
        dialog = self.call.dialog
        super().send(acknowledgement(invite, response, target=dialog.remote_target), addr)
        if dialog.state != DialogState.CONFIRMED:
            dialog.state = DialogState.CONFIRMED
            host, port = invite.via[0].host, invite.via[0].port or 5060
            self.send(dialog.create_request("BYE", via_host=host, via_port=port), addr)


def acknowledgement(invite: SipRequest, response: SipResponse, *, target: str = "") -> SipRequest:
    """Build the ACK to a final answer: a refusal's is part of the INVITE's own transaction.

    Args:
        target: of the dialog, for a 2xx. RFC 3261 sections 17.1.1.3 and 13.2.2.4.
    """
    ack = SipRequest(method="ACK", uri=target or invite.uri)
    via = invite.via[0]
    if target:
        via.params["branch"] = generate_branch()
    ack.headers.append("Via", stringify_via(via))
    for name in ("From", "Call-ID", "Max-Forwards"):
        ack.headers.set_single(name, invite.headers.get_first(name) or "")
    ack.headers.set_single("To", response.headers.get_first("To") or "")
    number = invite.cseq.seq if invite.cseq else 1
    ack.headers.set_single("CSeq", f"{number} ACK")
    for route in invite.headers.get("route"):
        ack.headers.append("Route", route)
    return ack
