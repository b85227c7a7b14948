"""Pages of releases: what answers now, what answered when, and the one click back."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from agents import services
from agents.forms import ReasonForm, ReleaseForm
from agents.models import ModelVersion, Promotion, Release, Tool, live_release, own_releases
from knowledge.models import Scene
from wowconsole.errors import Invalid
from wowconsole.http import UserRequest
from wowconsole.roles import requires

LEDGER_SHOWN = 20


@require_GET
@requires("agents.read")
def release_list(request: UserRequest) -> HttpResponse:
    live = live_release()
    ledger = Promotion.objects.select_related("release__version", "by", "scene")[:LEDGER_SHOWN]
    context: dict[str, Any] = {
        "live": live,
        "releases": Release.objects.select_related("version", "created_by"),
        "ledger": ledger,
        "can_roll_back": Promotion.objects.filter(scene=None).exclude(release=live).exists(),
        "own": own_releases(request.user),
        "scenes": Scene.objects.visible_to(request.user),
        "decides_for_all": not Scene.objects.hidden_from(request.user).exists(),
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
        initial = {"version": version, "name": name}
        return _form(request, ReleaseForm(initial=initial, user=request.user))
    form = ReleaseForm(request.POST, user=request.user)
    if not form.is_valid():
        return _form(request, form, status=422)
    with transaction.atomic():  # what may not go live is not made either
        release = services.make_release(by=request.user, **form.release())
        if "promote" in request.POST:
            services.promote(release=release, by=request.user)
            messages.success(request, f"{release} is live: it answers every new conversation.")
    return redirect("agents:release-list")


def _form(request: UserRequest, form: ReleaseForm, status: int = 200) -> HttpResponse:
    for_all = not Scene.objects.hidden_from(request.user).exists()
    context = {"form": form, "decides_for_all": for_all}
    return render(request, "agents/release_form.html", context, status=status)


@require_POST
@requires("agents.write")
def release_promote(request: UserRequest, public_id: UUID) -> HttpResponse:
    release = get_object_or_404(Release, public_id=public_id)
    scene, reason = _where_and_why(request)
    services.promote(release=release, by=request.user, reason=reason, scene=scene)
    where = f" in {scene}" if scene else ""
    messages.success(request, f"{release} is live: it answers every new conversation{where}.")
    return redirect("agents:release-list")


@require_POST
@requires("agents.write")
def roll_back(request: UserRequest) -> HttpResponse:
    scene, reason = _where_and_why(request)
    promotion = services.roll_back(by=request.user, reason=reason, scene=scene)
    now = promotion.release or live_release()
    messages.success(request, f"Back on {now}{f' in {scene}' if scene else ''}.")
    return redirect("agents:release-list")


def _where_and_why(request: UserRequest) -> tuple[Scene | None, str]:
    """Return the scene, None for every one, and the reason.

    Raises:
        Invalid: a scene that is not there, or not the user's.
    """
    form = ReasonForm(request.POST, user=request.user)
    if not form.is_valid():
        raise Invalid("Choose one of your scenes, or every scene; a reason has 300 characters.")
    return form.cleaned_data["scene"], form.cleaned_data["reason"]
