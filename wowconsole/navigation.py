"""What every page shows: the menu, limited to what the user's roles let them open."""

from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from wowconsole.roles import CAPABILITIES, can, roles_of

MENU = [
    ("Overview", "overview", None),
    ("Knowledge", "knowledge:unit-list", "knowledge.read"),
    ("Dialogues", "dialogues:conversation-list", "dialogues.read"),
    ("Cases", "dialogues:case-list", "dialogues.read"),
    ("Agents", "agents:release-list", "agents.read"),
    ("Training", "training:run-list", "training.read"),
]


def navigation(request: HttpRequest) -> dict[str, Any]:
    """Add `menu` and the user's `may` (capability → bool, dots as underscores)."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {}
    return {"menu": _menu(request), "may": _may(request), "roles": sorted(roles_of(user))}


def _menu(request: HttpRequest) -> list[dict[str, Any]]:
    items = [(label, reverse(name), capability) for label, name, capability in MENU]
    return [
        {"label": label, "url": url, "current": _is_current(request.path, url)}
        for label, url, capability in items
        if capability is None or can(request.user, capability)
    ]


def _is_current(path: str, url: str) -> bool:
    return path == url if url == "/" else path.startswith(url)


def _may(request: HttpRequest) -> dict[str, bool]:
    granted = {c for role in roles_of(request.user) for c in CAPABILITIES[role]}
    return {capability.replace(".", "_"): True for capability in granted}
