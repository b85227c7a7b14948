"""Whom the telephone may reach. Nothing a customer or a model says gets here unchecked.

An address comes from a plan of calls, or from the record that the plan's tool looked up; it
must keep to a narrow grammar, and the installation's own list (SIP_ALLOW) must allow it. An
empty list allows nobody: whoever sets a trunk up says whom it may cost money to call.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

SCHEMES = ("sip", "tel")
SIP_PORT = 5060
_NUMBER = re.compile(r"\+?[0-9]{7,15}")  # shorter ones are services, emergency calls for one
_FORMAT = re.compile(r"[\s().\-]")  # how people write numbers
_HOST = r"([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:]{2,39}\])(:\d{1,5})?"
_URI = re.compile(r"[A-Za-z0-9+*#._-]{1,64}@" + _HOST)


class Forbidden(Exception):
    """This address is not called; the message says why, for people."""


@dataclass(frozen=True, slots=True)
class Target:
    """Whom to call: the URI, and where its signalling goes."""

    uri: str
    host: str
    port: int
    by_trunk: bool  # only there our credentials are shown


def target_of(address: str) -> Target:
    """Return whom an address means, if it may be called at all.

    Raises:
        Forbidden: it is no address, no trunk is set up for it, or SIP_ALLOW does not allow it.
    """
    scheme, _, rest = address.partition(":")
    return _number(rest) if scheme == "tel" else _uri(rest)


def _number(text: str) -> Target:
    number = _FORMAT.sub("", text)
    if not _NUMBER.fullmatch(number):
        raise Forbidden("This is no telephone number.")
    if not settings.SIP_TRUNK:
        raise Forbidden("Numbers need a trunk (SIP_TRUNK), and none is set up here.")
    if not is_allowed(number, settings.SIP_ALLOW):
        raise Forbidden("Numbers that begin so are not called from here (SIP_ALLOW).")
    host, port = host_and_port(settings.SIP_TRUNK)
    return Target(f"sip:{number}@{settings.SIP_TRUNK}", host, port, by_trunk=True)


def _uri(text: str) -> Target:
    parts = _URI.fullmatch(text)
    if parts is None:
        raise Forbidden("This is no SIP address.")
    if not is_allowed(text, settings.SIP_ALLOW):
        raise Forbidden("This SIP address is not called from here (SIP_ALLOW).")
    place = text.partition("@")[2]
    host, port = host_and_port(place)
    return Target(f"sip:{text}", host, port, by_trunk=place.lower() == settings.SIP_TRUNK.lower())


def is_allowed(whom: str, allowed: Sequence[str]) -> bool:
    """Say whether a number, or a user@host, is on a list such as SIP_ALLOW."""
    user, at, host = whom.lower().partition("@")
    for entry in allowed:
        if at and entry.lower() in (f"@{host}", f"{user}@{host}"):
            return True
        if not at and _FORMAT.sub("", entry) and whom.startswith(_FORMAT.sub("", entry)):
            return True
    return False


def host_and_port(place: str) -> tuple[str, int]:
    """Split "pbx.example:5080"; without a port it is SIP's own.

    Raises:
        Forbidden: the port is none.
    """
    host, colon, port = place.rpartition(":")
    if not colon or place.endswith("]"):
        return place.strip("[]"), SIP_PORT
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise Forbidden(f"{port} is no port.")
    return host.strip("[]"), int(port)


def key_of(address: str) -> str:
    """Return what a number or SIP address is listed by, however it is written; "" for neither.

    A number is its digits from the country's on, at whatever host; who dials it without the
    country means, as far as we can know, another one.
    """
    scheme, _, rest = address.strip().partition(":")
    text = rest.strip() if scheme.lower() in SCHEMES else address.strip()
    number = _FORMAT.sub("", text.partition("@")[0])
    if _NUMBER.fullmatch(number):
        return number.removeprefix("+").removeprefix("00")
    return text.lower().removesuffix(f":{SIP_PORT}") if _URI.fullmatch(text) else ""


def check_hour(now: datetime) -> None:
    """Refuse calls at night.

    Args:
        now: by the clock of the installation's time zone.

    Raises:
        Forbidden: it is quiet now (QUIET_FROM_HOUR, QUIET_UNTIL_HOUR).
    """
    start, end = settings.QUIET_FROM_HOUR, settings.QUIET_UNTIL_HOUR
    quiet = start <= now.hour < end if start <= end else now.hour >= start or now.hour < end
    if quiet:
        raise Forbidden(f"Nobody is called between {start}:00 and {end}:00.")
