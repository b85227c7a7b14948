"""What every page shows: the menu, limited to what the user's roles let them open."""

from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from wowconsole.roles import CAPABILITIES, can, roles_of

# What it is called, the letter that goes there from the list under "?", its page, who may see it.
MENU = [
    ("Overview", "o", "overview", None),
    ("Knowledge", "k", "knowledge:unit-list", "knowledge.read"),
    ("Inbox", "i", "dialogues:inbox", "dialogues.reply"),
    ("Dialogues", "d", "dialogues:conversation-list", "dialogues.read"),
    ("Channels", "h", "dialogues:site-list", "dialogues.read"),
    ("Cases", "c", "dialogues:case-list", "dialogues.read"),
    ("Agents", "a", "agents:release-list", "agents.read"),
    ("Training", "t", "training:run-list", "training.read"),
]


def navigation(request: HttpRequest) -> dict[str, Any]:
    """Add `menu` and the user's `may` (capability → bool, dots as underscores)."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {}
    return {"menu": _menu(request), "may": _may(request), "roles": sorted(roles_of(user))}


def _menu(request: HttpRequest) -> list[dict[str, Any]]:
    items = [(label, key, reverse(name), capability) for label, key, name, capability in MENU]
    current = _current(request.path, [url for _, _, url, _ in items])
    return [
        {"label": label, "key": key, "url": url, "current": url == current}
        for label, key, url, capability in items
        if capability is None or can(request.user, capability)
    ]


def _current(path: str, urls: list[str]) -> str:
    """Return the address of the menu under which a page stands: the longest that fits."""
    fitting = [url for url in urls if path == url or (url != "/" and path.startswith(url))]
    return max(fitting, key=len, default="")


def _may(request: HttpRequest) -> dict[str, bool]:
    granted = {c for role in roles_of(request.user) for c in CAPABILITIES[role]}
    return {capability.replace(".", "_"): True for capability in granted}
