"""The overview, and what probes and monitoring ask."""

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_safe
from prometheus_client import CONTENT_TYPE_LATEST
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from wowconsole import overview as numbers
from wowconsole import probes
from wowconsole.apikeys import ApiKeyAuthentication
from wowconsole.http import UserRequest
from wowconsole.roles import can

LOOPBACK = ("127.0.0.1", "::1")


@require_GET
@login_required
def overview(request: UserRequest) -> HttpResponse:
    return render(request, "overview.html", numbers.summary(request.user))


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok", content_type="text/plain")


@require_safe
@never_cache
def readyz(request: HttpRequest) -> HttpResponse:
    """Answer 200 when every part is there, 503 with what is missing otherwise."""
    parts = probes.readiness()
    ready = all(state == "ok" for state in parts.values())
    return JsonResponse(parts, status=200 if ready else 503)


@require_GET
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """Show the figures to this machine, to staff and to API keys with `agents.read`."""
    if not _may_see_metrics(request):
        raise PermissionDenied("Metrics need a sign-in or an API key with agents.read.")
    return HttpResponse(probes.metrics_text(), content_type=CONTENT_TYPE_LATEST)


def _may_see_metrics(request: HttpRequest) -> bool:
    if can(request.user, "agents.read") or _is_local(request):
        return True
    try:
        found = ApiKeyAuthentication().authenticate(Request(request))
    except AuthenticationFailed:
        return False
    if found is None:
        return False
    user, key = found
    return can(user, "agents.read") and "agents.read" in key.scopes


def _is_local(request: HttpRequest) -> bool:
    """A proxy on this machine is no reader of its own: it says for whom it asks."""
    forwarded = "HTTP_X_FORWARDED_FOR" in request.META or "HTTP_FORWARDED" in request.META
    return request.META.get("REMOTE_ADDR") in LOOPBACK and not forwarded
