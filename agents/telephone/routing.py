"""Who answered an INVITE and which way leads to them. RFC 3261 section 12."""

from contextlib import suppress
from dataclasses import replace
from ipaddress import ip_address

from aiosipua import (
    DialogState,
    SipRequest,
    SipResponse,
    generate_branch,
    parse_address,
    parse_uri,
    stringify_uri,
    stringify_via,
)
from aiosipua.dialog import Dialog

SIP_PORT = 5060

Address = tuple[str, int]


def learn(dialog: Dialog, response: SipResponse) -> None:
    """Take over tag, Contact and routes of an answer, section 12.1.2."""
    if response.to_addr and response.to_addr.tag:
        dialog.remote_tag = response.to_addr.tag
    learn_target(dialog, response)
    dialog.route_set = list(reversed(response.headers.get("record-route")))


def learn_target(dialog: Dialog, message: SipRequest | SipResponse) -> None:
    """Take over where they want to be reached from now on, section 12.2."""
    if message.contact:
        dialog.remote_target = stringify_uri(message.contact[0].uri)


def answered_by(dialog: Dialog, response: SipResponse) -> Dialog:
    """Return the dialog with somebody else who answered the same INVITE."""
    other = replace(dialog, route_set=[], state=DialogState.CONFIRMED)
    learn(other, response)
    return other


def next_hop(dialog: Dialog, usual: Address) -> Address:
    """Return where requests within a call go: to the first route, else to who answered.

    Names are not looked up, and who names an address of a network that `usual` is not in sits
    behind a router: both are reached as before.
    """
    routes = dialog.route_set
    uri = parse_address(routes[0]).uri if routes else parse_uri(dialog.remote_target)
    with suppress(ValueError):
        named, known = ip_address(uri.host.strip("[]")), ip_address(usual[0])
        hidden = named.is_unspecified or (named.is_private and not known.is_private)
        if named.version == known.version and not hidden:
            return str(named), uri.port or SIP_PORT
    return usual


def acknowledgement(
    invite: SipRequest, response: SipResponse, dialog: Dialog | None = None
) -> SipRequest:
    """Build the ACK to a final answer: a refusal's is part of the INVITE's own transaction.

    Args:
        dialog: for a 2xx. RFC 3261 sections 17.1.1.3 and 13.2.2.4.
    """
    ack = SipRequest(method="ACK", uri=dialog.remote_target if dialog else invite.uri)
    via = invite.via[0]
    if dialog:
        via.params["branch"] = generate_branch()
    ack.headers.append("Via", stringify_via(via))
    for name in ("From", "Call-ID", "Max-Forwards"):
        ack.headers.set_single(name, invite.headers.get_first(name) or "")
    ack.headers.set_single("To", response.headers.get_first("To") or "")
    number = invite.cseq.seq if invite.cseq else 1
    ack.headers.set_single("CSeq", f"{number} ACK")
    for route in dialog.route_set if dialog else invite.headers.get("route"):
        ack.headers.append("Route", route)
    return ack
