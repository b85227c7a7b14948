"""Pages of why a turn was answered as it was, and what else could have been answered."""

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from agents.finding import wordings
from agents.models import Release
from dialogues import nearing, supposing, tracing
from dialogues.forms_whatifs import WhatIfForm
from dialogues.models import Turn, TurnUnit, WhatIf
from knowledge.models import Revision
from wowconsole.errors import Invalid
from wowconsole.http import UserRequest
from wowconsole.roles import requires

WHAT_IFS_SHOWN = 10
VERSIONS_SHOWN = 6
PARTS = ("conversation__scene", "release__version")


@require_GET
@requires("dialogues.read")
def turn_why(request: UserRequest, public_id: UUID) -> HttpResponse:
    """The story of a turn, its rules and near misses, times, budget and what-ifs."""
    visible = Turn.objects.visible_to(request.user).select_related(*PARTS)
    turn = get_object_or_404(visible, public_id=public_id)
    asked = tracing.asked_of(turn)
    found = tracing.found_for(turn, asked)
    question = wordings(asked.said)[0] if asked.said and tracing.was_searched(turn) else ""
    context = {
        "turn": turn,
        "asked": asked,
        "question": question,
        "found": _with_versions(found),
        "reads": tracing.rules_read(turn),
        "was_searched": tracing.was_searched(turn),
        "story": tracing.story(turn, found, asked),
        "near": nearing.near_misses(turn, question, request.user) if turn.output else [],
        "latencies": tracing.latencies(turn),
        "budget": tracing.budget_rows(turn),
        **_what_ifs(turn),
    }
    return render(request, "dialogues/turn_why.html", context)


def _with_versions(found: list[TurnUnit]) -> list[tuple[TurnUnit, list[Revision]]]:
    """Return each rule with its other versions, newest first; one query for all."""
    units = [row.unit_id for row in found]
    others = Revision.objects.filter(unit__in=units).order_by("-number")
    others = others.exclude(pk__in=[row.revision_id for row in found])
    by_unit: dict[int, list[Revision]] = {}
    for revision in others:
        by_unit.setdefault(revision.unit_id, []).append(revision)
    return [(row, by_unit.get(row.unit_id, [])[:VERSIONS_SHOWN]) for row in found]


def _what_ifs(turn: Turn) -> dict[str, Any]:
    parts = ("job__by", "revision", "release__version")
    rows = list(turn.what_ifs.select_related(*parts)[:WHAT_IFS_SHOWN])
    releases = Release.objects.select_related("version")
    if turn.release is not None:
        releases = releases.exclude(pk=turn.release.pk)
    return {
        "what_ifs": rows,
        "why_no_rule": supposing.why_no_rule(turn),
        "releases": releases,
        "is_waiting": any(not row.job.is_finished for row in rows),
    }


@require_POST
@requires("dialogues.judge")
def what_if_start(request: UserRequest, public_id: UUID) -> HttpResponse:
    turn = get_object_or_404(Turn.objects.visible_to(request.user), public_id=public_id)
    form = WhatIfForm(request.POST, turn=turn)
    if not form.is_valid():
        raise Invalid("Choose a rule of this turn, one of its versions, or a release.")
    supposing.suppose(turn=turn, by=request.user, **form.cleaned_data)
    return redirect(f"{_why(turn)}#what-ifs")


@require_GET
@requires("dialogues.read")
def what_if_detail(request: UserRequest, public_id: UUID) -> HttpResponse:
    """A what-if stands on its turn's page; a stranger's turn is no page."""
    visible = WhatIf.objects.visible_to(request.user).select_related("turn")
    return redirect(f"{_why(get_object_or_404(visible, public_id=public_id).turn)}#what-ifs")


def _why(turn: Turn) -> str:
    return str(redirect("dialogues:turn-why", turn.public_id).url)
