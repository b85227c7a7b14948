"""What the other side asks for within a call: holds, refreshes, signs of life, its end.

aiosipua's server answers these on calls that it took itself; on ours it knows no
retransmissions (it refuses them), no offers in an UPDATE, and gives `To` a second tag.
"""

import asyncio
from collections.abc import Callable

from aiosipua import OutgoingCall, SdpMessage, SipRequest, SipResponse, serialize_sdp
from aiosipua.dialog import dialog_matches, remote_cseq_valid
from aiosipua.message import missing_required_headers

from agents.telephone import media, routing

ALLOWED = "INVITE, ACK, CANCEL, BYE, UPDATE, INFO, OPTIONS"
REASONS = {405: "Method Not Allowed", 481: "Call Does Not Exist", 488: "Not Acceptable Here"}

Renew = Callable[[SdpMessage | None], SdpMessage | None]


class Asked:
    """Answers each request once; one that comes again gets the same answer. RFC 3261 section 17.2.

    `renew` is given what is offered (None: we are to offer) and returns what we say to it, None
    if that is no; `taken` hears of an answer to an offer of ours. `over` is set by a BYE.
    """

    def __init__(
        self,
        call: OutgoingCall,
        contact: str,
        renew: Renew,
        taken: Callable[[SdpMessage], None],
        over: asyncio.Event,
    ) -> None:
        self.call, self.contact, self.renew, self.taken = call, contact, renew, taken
        self.over = over
        self.replies: dict[tuple[str, str], SipResponse] = {}

    def reply(self, request: SipRequest) -> SipResponse | None:
        """Do what is asked; return the answer. An ACK gets none, nor does what is no request."""
        if missing_required_headers(request):
            return None
        if request.method == "ACK":
            if told := media.read(request):
                self.taken(told)
            return None
        key = (request.via[0].branch or "", request.method)
        if key not in self.replies:
            self.replies[key] = self._reply(request)
        return self.replies[key]

    def _reply(self, request: SipRequest) -> SipResponse:
        dialog = self.call.dialog
        if not dialog_matches(dialog, request):
            return self._say(request, 481)
        if request.method == "CANCEL":
            return self._say(request, 200)  # of a re-INVITE, which was answered at once
        if not remote_cseq_valid(dialog, request):
            return self._say(request, 500)
        match request.method:
            case "BYE":
                dialog.terminate()
                self.over.set()
            case "INVITE" | "UPDATE":
                return self._renewed(request)
            case "INFO" | "OPTIONS":
                pass
            case _:
                return self._say(request, 405)
        return self._say(request, 200)

    def _renewed(self, request: SipRequest) -> SipResponse:
        """Agree on the sound anew; where nothing is offered, an UPDATE is a sign of life."""
        offered = media.read(request)
        if request.body and offered is None:
            return self._say(request, 488)
        told = None
        if offered or request.method == "INVITE":
            told = self.renew(offered)
            if told is None:
                return self._say(request, 488)
        routing.learn_target(self.call.dialog, request)
        self.call.remote_addr = routing.next_hop(self.call.dialog, self.call.remote_addr)
        if timer := self.call._session_timer:
            timer.refreshed()
        return self._say(request, 200, told)

    def _say(self, request: SipRequest, status: int, told: SdpMessage | None = None) -> SipResponse:
        response = self.call.dialog.create_response(
            request, status, REASONS.get(status, ""), contact=f"<{self.contact}>"
        )
        response.headers.set_single("Allow", ALLOWED)
        if status == 200 and (interval := request.get_header("session-expires")):
            response.headers.set_single("Session-Expires", _refreshed_by(interval))
        if told:
            response.text = serialize_sdp(told)
            response.headers.set_single("Content-Type", "application/sdp")
        return response


def _refreshed_by(interval: str) -> str:
    """Say that who refreshed goes on doing so, unless they said who does. RFC 4028 section 9."""
    return interval if "refresher" in interval else f"{interval};refresher=uac"
