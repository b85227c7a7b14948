"""Who may do what: roles are groups, and each grants capabilities.

The same capability names are the scopes of API keys, so pages, endpoints and
sockets ask one question: `can(user, "knowledge.write")`.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse

READ = frozenset({"knowledge.read", "dialogues.read", "agents.read", "training.read"})

CAPABILITIES: dict[str, frozenset[str]] = {
    "operator": READ | {"knowledge.write", "dialogues.reply", "dialogues.manage"},
    "reviewer": READ | {"dialogues.judge", "dialogues.reply"},
    "ml_engineer": READ | {"dialogues.judge", "training.write", "agents.write"},
    "approver": READ | {"knowledge.write", "knowledge.approve", "dialogues.reply", "agents.write"},
    "auditor": READ,
    "admin": READ
    | {
        "knowledge.write",
        "knowledge.approve",
        "dialogues.judge",
        "dialogues.reply",
        "dialogues.manage",
        "training.write",
        "agents.write",
        "admin",
    },
}
ALL_CAPABILITIES = sorted(CAPABILITIES["admin"])

AnyUser = User | AbstractBaseUser | AnonymousUser


def roles_of(user: AnyUser) -> frozenset[str]:
    """Return the roles of a user; superusers are admins. One query per user object."""
    if not isinstance(user, User) or not user.is_active:
        return frozenset()
    known: frozenset[str] | None = getattr(user, "_roles", None)
    if known is None:
        names = set(user.groups.values_list("name", flat=True)) & set(CAPABILITIES)
        known = frozenset(names | ({"admin"} if user.is_superuser else set()))
        user._roles = known  # type: ignore[attr-defined]  # remembered for this request
    return known


def can(user: AnyUser, capability: str) -> bool:
    """Say whether one of the user's roles grants `capability`."""
    return any(capability in CAPABILITIES[role] for role in roles_of(user))


def sees_every_scene(user: AnyUser) -> bool:
    """Admins and auditors are not limited to the scenes they are members of."""
    return bool(roles_of(user) & {"admin", "auditor"})


def requires(capability: str) -> Callable[[Callable[..., HttpResponse]], Callable[..., Any]]:
    """Let a view pass for signed-in users with `capability`; others get the login page or 403."""

    def decorate(view: Callable[..., HttpResponse]) -> Callable[..., Any]:
        @login_required
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if not can(request.user, capability):
                raise PermissionDenied(f"Your role does not include {capability}.")
            return view(request, *args, **kwargs)

        return guarded

    return decorate
