"""What SDP says of a call's sound: what we offer, and where theirs is to go. RFC 3264, RFC 8866.

The other side's SDP is a stranger's: whatever can't be used, or read, is None here.
"""

from dataclasses import dataclass
from email import message_from_bytes
from ipaddress import ip_address
from typing import Any

from aiosipua import (
    MediaDescription,
    Origin,
    SdpMessage,
    SdpNegotiationError,
    SipRequest,
    SipResponse,
    negotiate_sdp,
    parse_sdp,
)
from aiosipua.sdp import ConnectionData, TimingField

CODECS = {0: "PCMU", 8: "PCMA"}
LARGEST_BODY = 16_384  # bytes; an answer about one stream has a few hundred
MUTE = ("sendonly", "inactive")  # they will not listen: the call is on hold
SESSION = "1"  # the id of our descriptions; their version grows

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Stream:
    """Where our sound goes, as which payload type, and whether anybody listens."""

    remote: Address
    payload_type: int
    is_held: bool = False


def read(message: SipRequest | SipResponse) -> SdpMessage | None:
    """Return the SDP that a message carries, alone or among other parts."""
    if not message.body or len(message.body) > LARGEST_BODY:
        return None
    kind = (message.content_type or "").encode("ascii", "replace")
    whole = message_from_bytes(b"Content-Type: " + kind + b"\r\n\r\n" + message.body)
    try:
        for part in whole.walk():
            if part.get_content_type() == "application/sdp":
                body: Any = part.get_payload(decode=True)
                return parse_sdp(body.decode(errors="replace"))
    except ValueError:
        pass
    return None


def stream_of(sdp: SdpMessage | None, *, version: int) -> Stream | None:
    """Return the stream that a description asks for.

    Args:
        version: of IP, that our sockets speak. Names are not looked up: the sound would wait.
    """
    audio = sdp.audio if sdp else None
    if sdp is None or audio is None or not 0 < audio.port < 65536:
        return None
    usable = [codec.payload_type for codec in audio.codecs if codec.payload_type in CODECS]
    where = audio.connection or sdp.connection
    try:
        ip = ip_address(where.address if where else "")
    except ValueError:
        return None
    if not usable or ip.version != version or ip.is_multicast:
        return None
    directions = [*audio.attributes, *sdp.attributes]
    is_held = ip.is_unspecified or any(mute in directions for mute in MUTE)
    return Stream((str(ip), audio.port), usable[0], is_held)


def offer(host: str, port: int, *, version: int = 1) -> SdpMessage:
    """Offer G.711 in both forms."""
    kind = "IP6" if ":" in host else "IP4"
    audio = MediaDescription(
        media="audio",
        port=port,
        formats=[str(number) for number in CODECS],
        attributes={
            "rtpmap": [f"{number} {name}/8000" for number, name in CODECS.items()],
            "ptime": ["20"],
            "sendrecv": [],
        },
    )
    return SdpMessage(
        origin=Origin(
            session_id=SESSION, session_version=str(version), addr_type=kind, address=host
        ),
        session_name="-",
        connection=ConnectionData(addr_type=kind, address=host),
        timing=TimingField(),
        media=[audio],
    )


def answer(
    offered: SdpMessage, host: str, port: int, *, payload_type: int, version: int
) -> SdpMessage | None:
    """Answer an offer made within the call: the codec in use stays."""
    try:
        told, _ = negotiate_sdp(
            offered, host, port, [payload_type], dtmf_payload_type=0, session_id=SESSION
        )
    except SdpNegotiationError:
        return None
    told.origin.session_version = str(version)
    return told
