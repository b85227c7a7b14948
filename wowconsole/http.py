"""Request types and the one way a page answers htmx."""

from typing import Any

from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django_htmx.middleware import HtmxDetails


class HtmxRequest(HttpRequest):
    """A request that has been through HtmxMiddleware."""

    htmx: HtmxDetails


class UserRequest(HtmxRequest):
    """A request behind `roles.requires`."""

    user: User


def wants_partial(request: HtmxRequest) -> bool:
    """Say whether htmx will swap the answer into a page it already has."""
    htmx = request.htmx
    return bool(htmx) and not htmx.boosted and not htmx.history_restore_request


def render_page(
    request: HtmxRequest,
    template: str,
    partial: str,
    context: dict[str, Any],
    *,
    status: int = 200,
) -> HttpResponse:
    """Render `template`, or only its `partial` when htmx asks.

    One URL then has two bodies, so the answer varies on HX-Request: without
    that, the browser's Back button can show a bare fragment.
    """
    name = f"{template}#{partial}" if wants_partial(request) else template
    response = render(request, name, context, status=status)
    patch_vary_headers(response, ["HX-Request"])
    return response
