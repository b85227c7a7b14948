"""Pages of conflicts: beside the rule that was saved, and of the whole base."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_GET, require_POST

from knowledge import conflicts, jobs
from knowledge.differing import Piece, pieces
from knowledge.forms_conflicts import ConflictFilterForm
from knowledge.models import Conflict, Job, KnowledgeUnit, Revision, Scene
from wowconsole.http import UserRequest, render_page
from wowconsole.roles import requires

CONFLICTS_PER_PAGE = 20
CONFLICTS_IN_BOX = 20


@dataclass(frozen=True)
class Shown:
    """A conflict as seen from one of its rules; `pieces` lead from our sentence to the other."""

    conflict: Conflict
    ours: Revision
    other: Revision
    pieces: list[Piece]


def _visible(request: UserRequest) -> QuerySet[Conflict]:
    rows = Conflict.objects.visible_to(request.user)
    return rows.select_related("left__unit__scene", "right__unit", "decided_by")


def _shown(rows: Iterable[Conflict], unit: KnowledgeUnit | None = None) -> list[Shown]:
    return [_from_side(row, bool(unit and row.right.unit_id == unit.pk)) for row in rows]


def _from_side(row: Conflict, is_right: bool) -> Shown:
    if is_right:
        return Shown(row, row.right, row.left, list(pieces(row.right_text, row.left_text)))
    return Shown(row, row.left, row.right, list(pieces(row.left_text, row.right_text)))


@require_GET
@requires("knowledge.read")
def unit_conflicts(request: UserRequest, pk: int) -> HttpResponse:
    unit = get_object_or_404(KnowledgeUnit.objects.visible_to(request.user).with_latest(), pk=pk)
    rows = conflicts.open_of(unit).select_related("left__unit", "right__unit", "decided_by")
    context = {"unit": unit, "rows": _shown(rows[:CONFLICTS_IN_BOX], unit)}
    return render_page(request, "knowledge/unit_conflicts.html", "box", context)


@require_GET
@requires("knowledge.read")
def conflict_list(request: UserRequest) -> HttpResponse:
    form = ConflictFilterForm(request.GET, scenes=Scene.objects.visible_to(request.user))
    rows = form.narrow(conflicts.current(_visible(request))).order_by("kind", "state", "-pk")
    page = Paginator(rows, CONFLICTS_PER_PAGE).get_page(request.GET.get("page"))
    checks = Job.objects.visible_to(request.user).filter(task=conflicts.BASE_TASK)
    context = {
        "form": form,
        "page": page,
        "rows": _shown(page),
        "filtered": any(request.GET.get(name) for name in form.fields),
        "job": checks.first(),
    }
    return render_page(request, "knowledge/conflict_list.html", "table", context)


@require_POST
@requires("knowledge.write")
def conflict_check(request: UserRequest) -> HttpResponse:
    """Have every rule of the user's scenes checked; a check that is under way goes on."""
    title = "Check every rule for conflicts"
    if not conflicts.is_checking(request.user):
        jobs.start(task=conflicts.BASE_TASK, title=title, by=request.user)
    return redirect("knowledge:conflict-list")


@require_POST
@requires("knowledge.write")
def conflict_dismiss(request: UserRequest, public_id: str) -> HttpResponse:
    conflict = get_object_or_404(_visible(request), public_id=public_id)
    conflicts.dismiss(conflict=conflict, by=request.user)
    messages.success(request, "Dismissed. It does not come back for these two sentences.")
    return _back(request, conflict)


@require_POST
@requires("knowledge.approve")
def conflict_override(request: UserRequest, public_id: str) -> HttpResponse:
    conflict = get_object_or_404(_visible(request), public_id=public_id)
    reason = request.POST.get("reason", "")
    conflicts.override(conflict=conflict, by=request.user, reason=reason)
    messages.success(request, "Overridden: it stops no publication any more.")
    return _back(request, conflict)


def _back(request: UserRequest, conflict: Conflict) -> HttpResponse:
    """Return to the rule that was looked at, or to the list."""
    for revision in (conflict.left, conflict.right):
        if request.POST.get("unit") == str(revision.unit_id):
            return redirect("knowledge:unit-detail", revision.unit_id)
    return redirect("knowledge:conflict-list")
