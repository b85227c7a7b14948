"""The test search: what a question finds and why, and the thresholds that decide it."""

from time import perf_counter
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_GET, require_POST

from knowledge import tuning
from knowledge.explaining import filtered_out
from knowledge.forms_search import THRESHOLDS, SearchForm, SettingsForm
from knowledge.models import RetrievalSettings, Scene
from knowledge.searching import current_settings, search, shown_of
from wowconsole.errors import Invalid
from wowconsole.http import UserRequest, render_page
from wowconsole.roles import can, requires

SEARCH_LIMIT = 20  # rules that the page tells of
VERSIONS_SHOWN = 10


@require_GET
@requires("knowledge.read")
def search_test(request: UserRequest) -> HttpResponse:
    form = SearchForm(request.GET, scenes=Scene.objects.visible_to(request.user))
    current = current_settings()
    asked = form.cleaned_data["q"].replace("\0", " ").strip() if form.is_valid() else ""
    tried = form.tried(current)
    context = {
        "form": form,
        "asked": asked,
        "thresholds": form.thresholds_beside(current),
        "tried": tried,
        "values": {name: getattr(tried, name) for name in THRESHOLDS},
        "changed": any(getattr(tried, name) != getattr(current, name) for name in THRESHOLDS),
        "may_use": can(request.user, "knowledge.approve"),
        "versions": RetrievalSettings.objects.select_related("by")[:VERSIONS_SHOWN],
        **(_found(request, form, asked, tried) if asked else {}),
    }
    return render_page(request, "knowledge/search.html", "results", context)


def _found(
    request: UserRequest, form: SearchForm, asked: str, tried: RetrievalSettings
) -> dict[str, Any]:
    narrowed: dict[str, Any] = {
        "scene": form.cleaned_data["scene"],
        "audience": form.audience(),
        "visible_to": request.user,
        "settings": tried,
    }
    started = perf_counter()
    results = search([asked], limit=SEARCH_LIMIT, near_misses=True, **narrowed)
    took_ms = round((perf_counter() - started) * 1000)
    [found] = results
    passing = [hit for hit in found if hit.passes]
    shown = shown_of(passing[: tried.rules_shown], tried)
    return {
        "took_ms": took_ms,
        "degraded": results.degraded,
        "shown": shown,
        "left_out": [hit for hit in passing if hit not in shown],
        "near_misses": [hit for hit in found if not hit.passes],
        "filtered_out": filtered_out(asked, found, **narrowed),
    }


@require_POST
@requires("knowledge.approve")
def settings_use(request: UserRequest) -> HttpResponse:
    form = SettingsForm(request.POST)
    if not form.is_valid():
        raise Invalid(" ".join(f"{name}: {texts[0]}" for name, texts in form.errors.items()))
    version = tuning.use_settings(
        settings=form.tried(current_settings()),
        by=request.user,
        comment=form.cleaned_data["comment"],
    )
    messages.success(request, f"{version} is in use: the next question is searched with it.")
    return redirect("knowledge:search")


@require_POST
@requires("knowledge.approve")
def settings_reuse(request: UserRequest, pk: int) -> HttpResponse:
    again = get_object_or_404(RetrievalSettings, pk=pk)
    version = tuning.use_again(version=again, by=request.user)
    messages.success(request, f"{version} is in use, with the thresholds of version {pk}.")
    return redirect("knowledge:search")
