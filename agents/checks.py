"""What `manage.py check` says of the telephone before a call fails on it."""

from ipaddress import ip_address
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from agents.subagents import sip
from agents.telephone import numbers


@register()
def telephone(**_: Any) -> list[CheckMessage]:
    """Check the settings of calls by telephone, where any is made."""
    if not (settings.SIP_TRUNK or settings.SIP_ALLOW):
        return []
    wrong = [*_unreadable(), *_addresses()]
    lacking = [
        Warning(f"Calls by telephone lack: {sentence}", id="agents.W001")
        for sentence in sip.missing()
    ]
    return [*wrong, *lacking]


def _unreadable() -> list[CheckMessage]:
    found: list[CheckMessage] = []
    try:
        sip.ports_of(settings.SIP_PORTS)
    except ValueError:
        found.append(Error("SIP_PORTS is no range of ports such as 40000-40199.", id="agents.E001"))
    try:
        numbers.host_and_port(settings.SIP_TRUNK)
    except numbers.Forbidden as refusal:
        found.append(Error(f"SIP_TRUNK is not readable: {refusal}", id="agents.E002"))
    return found


def _addresses() -> list[CheckMessage]:
    """Check those that must be addresses: a name would be offered to the other side as it is."""
    found: list[CheckMessage] = []
    for name in ("SIP_BIND", "SIP_ADVERTISE"):
        value = getattr(settings, name)
        try:
            ip_address(value or "127.0.0.1")
        except ValueError:
            found.append(Error(f"{name} is {value!r}; give an IP address.", id="agents.E003"))
    return found
