"""Proving who we are to whoever asks: digest authentication of any request. RFC 3261 section 22.

aiosipua answers one challenge of an INVITE. Proxies and what is behind them may ask one after
the other, nonces grow stale, several algorithms may be offered, and a BYE may be asked about.
"""

from aiosipua import (
    SipDigestAuth,
    SipRequest,
    SipResponse,
    build_credentials,
    generate_branch,
    parse_auth,
    stringify_auth,
    stringify_via,
)

ASKED = {401: ("WWW-Authenticate", "Authorization")}
ASKED |= {407: ("Proxy-Authenticate", "Proxy-Authorization")}


def proof(
    request: SipRequest, response: SipResponse, auth: SipDigestAuth
) -> tuple[str, str] | None:
    """Return the header that answers a challenge; None: we can't, or were refused already."""
    asks, answers = ASKED[response.status_code]
    shown = [parse_auth(value) for value in request.headers.get(answers)]
    for value in response.headers.get(asks):
        challenge = parse_auth(value)
        realm = challenge.params.get("realm")
        again = any(past.params.get("realm") == realm for past in shown)
        if again and challenge.params.get("stale", "").lower() != "true":
            continue
        if found := build_credentials(auth, challenge, request.method, request.uri):
            return answers, stringify_auth(found)
    return None


def proved(request: SipRequest, header: tuple[str, str], number: int) -> SipRequest:
    """Return a request anew, with credentials and its next number."""
    again = SipRequest(
        headers=request.headers.copy(), body=request.body, method=request.method, uri=request.uri
    )
    via = request.via[0]
    via.params["branch"] = generate_branch()
    again.headers.set_single("Via", stringify_via(via))
    again.headers.set_single("CSeq", f"{number} {request.method}")
    again.headers.set_single(*header)
    return again
