"""Pages of releases: what answers now, what answered when, and the one click back."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from agents import services
from agents.forms import ReasonForm, ReleaseForm
from agents.models import ModelVersion, Promotion, Release, Tool, live_release
from wowconsole.http import UserRequest
from wowconsole.roles import requires

LEDGER_SHOWN = 20


@require_GET
@requires("agents.read")
def release_list(request: UserRequest) -> HttpResponse:
    live = live_release()
    ledger = Promotion.objects.select_related("release__version", "by")[:LEDGER_SHOWN]
    context: dict[str, Any] = {
        "live": live,
        "releases": Release.objects.select_related("version", "created_by"),
        "ledger": ledger,
        "can_roll_back": Promotion.objects.exclude(release=live).exists(),
        "tools": Tool.objects.visible_to(request.user).prefetch_related("scenes"),
        "versions": ModelVersion.objects.select_related("base"),
    }
    return render(request, "agents/release_list.html", context)


@require_http_methods(["GET", "POST"])
@requires("agents.write")
def release_create(request: UserRequest) -> HttpResponse:
    """Show the form (?version=<name> chooses the weights), or make the release."""
    if request.method == "GET":
        name = request.GET.get("version", "").replace("\0", "")
        version = ModelVersion.objects.filter(name=name).first()
        name = f"{version.name}-release" if version else ""
        return _form(request, ReleaseForm(initial={"version": version, "name": name}))
    form = ReleaseForm(request.POST)
    if not form.is_valid():
        return _form(request, form, status=422)
    release = services.make_release(by=request.user, **form.cleaned_data)
    if "promote" in request.POST:
        services.promote(release=release, by=request.user)
        messages.success(request, f"{release} is live: it answers every new conversation.")
    return redirect("agents:release-list")


def _form(request: UserRequest, form: ReleaseForm, status: int = 200) -> HttpResponse:
    return render(request, "agents/release_form.html", {"form": form}, status=status)


@require_POST
@requires("agents.write")
def release_promote(request: UserRequest, public_id: UUID) -> HttpResponse:
    release = get_object_or_404(Release, public_id=public_id)
    services.promote(release=release, by=request.user, reason=_reason(request))
    messages.success(request, f"{release} is live: it answers every new conversation.")
    return redirect("agents:release-list")


@require_POST
@requires("agents.write")
def roll_back(request: UserRequest) -> HttpResponse:
    promotion = services.roll_back(by=request.user, reason=_reason(request))
    messages.success(request, f"Back on {promotion.release}.")
    return redirect("agents:release-list")


def _reason(request: UserRequest) -> str:
    form = ReasonForm(request.POST)
    return str(form.cleaned_data["reason"]) if form.is_valid() else ""
