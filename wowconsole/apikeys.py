"""How programs get in: bearer keys with scopes, and the permission check of every endpoint."""

import hashlib
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import User
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.pagination import CursorPagination
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from wowconsole.models import ApiKey
from wowconsole.roles import can

if TYPE_CHECKING:  # at run time it would import the settings that name this module
    from rest_framework.views import APIView

USED_AT_PRECISION = timedelta(minutes=1)  # not a write per request
READING = ("GET", "HEAD", "OPTIONS")


def issue_key(*, user: User, name: str, scopes: list[str]) -> tuple[ApiKey, str]:
    """Make a key and return it with its secret, which is not stored and never shown again.

    Raises:
        ValidationError: a scope is unknown.
    """
    secret = f"wow_{secrets.token_urlsafe(32)}"
    key = ApiKey(
        user=user, name=name, prefix=secret[:12], sha256=_digest(secret), scopes=sorted(scopes)
    )
    key.full_clean()
    key.save()
    return key, secret


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer wow_…`. The key acts for its user, within its scopes."""

    def authenticate(self, request: Request) -> tuple[User, ApiKey] | None:
        scheme, _, secret = get_authorization_header(request).partition(b" ")
        if scheme.lower() != b"bearer":
            return None
        keys = ApiKey.objects.filter(revoked_at__isnull=True, user__is_active=True)
        sha256 = _digest(secret.decode("latin-1").strip())
        key = keys.select_related("user").filter(sha256=sha256).first()
        if key is None:
            raise AuthenticationFailed("This API key is unknown or revoked.")
        self._note_use(key)
        return key.user, key

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"

    def _note_use(self, key: ApiKey) -> None:
        now = timezone.now()
        if key.last_used_at is None or now - key.last_used_at > USED_AT_PRECISION:
            ApiKey.objects.filter(pk=key.pk).update(last_used_at=now)


class HasScope(BasePermission):
    """The user's role, and the key's scopes if it is a key, must include the view's scope.

    A view names `scopes = {"read": …, "write": …}`; an action may name its own in
    `scope`. A view that names none is open to nobody.
    """

    def has_permission(self, request: Request, view: "APIView") -> bool:
        scope = self._scope(request, view)
        if scope is None or not can(request.user, scope):
            return False
        return not isinstance(request.auth, ApiKey) or scope in request.auth.scopes

    def _scope(self, request: Request, view: "APIView") -> str | None:
        own = getattr(view, "scope", None)
        if isinstance(own, str):
            return own
        scopes: dict[str, str] = getattr(view, "scopes", {})
        return scopes.get("read" if request.method in READING else "write")


class NewestFirst(CursorPagination):
    """Pages by cursor, so that rows added meanwhile neither repeat nor hide others."""

    ordering: Any = "-pk"
    page_size_query_param = "page_size"
    max_page_size = 200
