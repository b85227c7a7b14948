"""Where tools may go: no address inside the network but those that a setting names.

An address is checked twice: as text when a tool is saved, and as what its name resolves to
when it is called; the connection then goes to the very address that was checked, so that a
name which changes its answer in between leads nowhere (DNS rebinding). Redirects are not
followed, and compressed answers are refused, since they may grow without limit.

A token goes to the hosts that its own variable names, TOOL_SHOP_TOKEN_HOSTS for TOOL_SHOP_TOKEN,
and to any host where there is none; the demo shop's goes to this server alone.
"""

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncIterator, Iterable
from functools import cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

import httpx2
from django.conf import settings

from wowconsole.env import env_list, env_secret

OWN_PATH = "/demo/shop/"  # the only part of this server that a tool may name by a bare path
# Other variables of this process are nobody's business, the secret key for one.
# Nor is what says where a secret is, or may go.
DEMO_TOKEN = "DEMO_SHOP_TOKEN"  # noqa: S105 (its name)
TOKEN_NAME = re.compile(rf"{DEMO_TOKEN}|TOOL_(?!(?:.*_)?(?:HOSTS|FILE)$)[A-Z0-9_]{{1,70}}")
# How programs write IPv4 addresses besides 1.2.3.4: resolvers read 0x7f000001 and 127.1 as well.
_NUMBER = re.compile(r"(^|\.)(\d+|0x[0-9a-f]*)\.?$", re.IGNORECASE)
_TRANSLATED = IPv6Network("64:ff9b::/96")  # IPv4 addresses behind NAT64, RFC 6052
_INSIDE = re.compile(r"(^|\.)(localhost|local|internal|home\.arpa)\.?$", re.IGNORECASE)


class ForbiddenAddress(httpx2.RequestError):
    """A tool may not go there; the message says why, for the person who sets it up."""


def check_url(url: str) -> None:
    """Check an address as text; names in braces may stand in its path and query only.

    Raises:
        ForbiddenAddress: it leads, or may lead, where tools must not go.
    """
    if url.startswith("/"):
        if not url.startswith(OWN_PATH) or ".." in url or not settings.DEMO:
            raise ForbiddenAddress(f"Of this server only {OWN_PATH} can be named by a path.")
        return
    scheme, host, port = _parts(url)
    if is_named(host, port):
        return
    if scheme != "https":
        raise ForbiddenAddress("Only https://, but for hosts that TOOL_HOSTS names.")
    if _is_odd_number(host):
        raise ForbiddenAddress("Give the number of a host as in 203.0.113.7.")
    if _INSIDE.search(host) or _is_inside(host):
        raise ForbiddenAddress(f"{host} is inside the network, and TOOL_HOSTS does not name it.")


def check_token(name: str, url: str) -> None:
    """Check that a token may be sent to an address; braces may stand in its path and query.

    Raises:
        ForbiddenAddress: the token is for other hosts.
    """
    scheme, host, port = _parts(f"{settings.PUBLIC_URL}{url}" if url.startswith("/") else url)
    if name == DEMO_TOKEN:
        if (scheme, host, port) != _parts(settings.PUBLIC_URL):
            raise ForbiddenAddress(f"{name} is for this server alone.")
        return
    named = f"{name}_HOSTS"
    hosts = env_list(named, default="") if TOKEN_NAME.fullmatch(name) else []
    if hosts and not _is_among(host, port, hosts):
        raise ForbiddenAddress(f"{name} is not for {host}: {named} does not name it.")


def _parts(url: str) -> tuple[str, str, int]:
    try:
        parts = urlsplit(url)
        port = parts.port or _usual_port(parts.scheme)
    except ValueError:
        raise ForbiddenAddress("This is no address.") from None
    host = parts.hostname or ""
    if parts.scheme not in {"http", "https"} or not re.fullmatch(r"[\w.:-]+", host):
        raise ForbiddenAddress("Give an address that begins with https:// and a host.")
    if parts.username is not None or re.search(r"\s", url):
        raise ForbiddenAddress("No names, passwords or blanks in an address.")
    return parts.scheme, host, port


def _usual_port(scheme: str) -> int:
    return 443 if scheme == "https" else 80


def is_named(host: str, port: int) -> bool:
    """Say whether TOOL_HOSTS names this host, with this port or with none."""
    return _is_among(host, port, settings.TOOL_HOSTS)


def _is_among(host: str, port: int, names: Iterable[str]) -> bool:
    return not {host.lower(), f"{host.lower()}:{port}"}.isdisjoint(map(str.lower, names))


def _is_own(url: httpx2.URL) -> bool:
    own = httpx2.URL(settings.PUBLIC_URL)
    return (url.scheme, url.host, url.port) == (own.scheme, own.host, own.port)


def _is_inside(text: str) -> bool:
    """Say whether text is an address that does not belong to the public internet."""
    try:
        address = ip_address(text)
    except ValueError:
        return False  # a name: it is looked at again once it is resolved
    return not all(each.is_global and not each.is_multicast for each in _meant(address))


def _is_odd_number(host: str) -> bool:
    """Say whether it is a number that resolvers take for an address, and `ip_address` does not."""
    try:
        ip_address(host)
    except ValueError:
        return _NUMBER.search(host) is not None
    return False


def _meant(address: IPv4Address | IPv6Address) -> list[IPv4Address | IPv6Address]:
    """Return the address and what is wrapped in it."""
    if isinstance(address, IPv4Address):
        return [address]
    if address in _TRANSLATED:
        return [IPv4Address(address.packed[-4:])]
    if address.ipv4_mapped:
        return [address.ipv4_mapped]
    if address.sixtofour:
        return [address, address.sixtofour]
    return [address, *(address.teredo or ())]


async def resolve(url: httpx2.URL) -> str:
    """Return the address of a host, checked.

    Raises:
        ForbiddenAddress: it is inside the network, and no setting names it.
        ConnectError: the name is unknown.
    """
    port = url.port or _usual_port(url.scheme)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            url.host, port, type=socket.SOCK_STREAM
        )
    except (OSError, UnicodeError):
        raise httpx2.ConnectError(f"{url.host} is unknown.") from None
    addresses = [str(entry[4][0]).partition("%")[0] for entry in found]
    if not (is_named(url.host, port) or _is_own(url)):
        if url.scheme != "https":
            raise ForbiddenAddress(f"{url.host} may be asked by https:// only.")
        if any(map(_is_inside, addresses)):
            raise ForbiddenAddress(f"{url.host} is inside the network.")
    return addresses[0]


def bearer(token_setting: str, url: str) -> dict[str, str]:
    """Return the header that a server wants; the secret is read now and kept nowhere.

    Raises:
        ForbiddenAddress: the token is for other hosts.
    """
    if not TOKEN_NAME.fullmatch(token_setting):
        return {}
    check_token(token_setting, url)
    secret = getattr(settings, token_setting, "") or env_secret(token_setting)
    return {"Authorization": f"Bearer {secret}"} if secret else {}


@cache
def _tls() -> ssl.SSLContext:
    """Read the certificates once: it takes as long as a call."""
    return httpx2.create_ssl_context()


def client(*, largest: int, headers: dict[str, str]) -> httpx2.AsyncClient:
    """Return a client that goes only where tools may, and reads at most `largest` bytes.

    It has no time limit: put one around it.
    """
    return httpx2.AsyncClient(
        transport=_Guarded(largest),
        headers={"Accept-Encoding": "identity", **headers},
        timeout=None,
        trust_env=False,
    )


class _Guarded(httpx2.AsyncBaseTransport):
    def __init__(self, largest: int) -> None:
        self._largest = largest
        self._inner = httpx2.AsyncHTTPTransport(verify=_tls())

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        address = await resolve(request.url)
        response = await self._inner.handle_async_request(
            httpx2.Request(
                request.method,
                request.url.copy_with(host=address),
                headers=request.headers,  # Host is among them
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": request.url.host},
            )
        )
        if response.headers.get("Content-Encoding", "identity") != "identity":
            await response.aclose()
            raise httpx2.ReadError("The answer is compressed.")
        assert isinstance(response.stream, httpx2.AsyncByteStream)  # noqa: S101 (for the types)
        response.stream = _Bounded(response.stream, self._largest)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class TooLarge(httpx2.ReadError):
    """An answer went on after its limit."""


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream, largest: int) -> None:
        self._stream, self._left = stream, largest

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._stream:
            self._left -= len(piece)
            if self._left < 0:
                raise TooLarge("The answer is too large.")
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()
