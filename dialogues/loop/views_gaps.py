"""Pages of gaps: what customers asked that no rule answers, and drafting the rule."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count, Max, Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from dialogues.loop import filling, gaps
from dialogues.loop.forms import GapFilterForm
from dialogues.models import Gap, GapState
from knowledge import jobs
from knowledge.models import UNFINISHED, Job, Scene
from wowconsole.http import UserRequest, render_page
from wowconsole.roles import requires

GAPS_PER_PAGE = 25
EXAMPLES_SHOWN = 20
LIST = "dialogues/gap_list.html"


@require_GET
@requires("knowledge.read")
def gap_list(request: UserRequest) -> HttpResponse:
    form = GapFilterForm(request.GET, user=request.user)
    visible = Gap.objects.visible_to(request.user)
    page = Paginator(_counted(form.filter(visible)), GAPS_PER_PAGE)
    states = visible.order_by().values_list("state").annotate(Count("pk", distinct=True))
    context = {
        "form": form,
        "page": page.get_page(request.GET.get("page")),
        "counts": dict.fromkeys(GapState.values, 0) | dict(states),
        "job": _newest_job(request),
    }
    return render_page(request, LIST, "table", context)


def _counted(found: QuerySet[Gap]) -> QuerySet[Gap]:
    """Add what the list shows of each gap; the largest comes first."""
    talk = "members__turn__conversation"
    bad = Q(**{f"{talk}__rating__lte": filling.DISSATISFIED})
    return (
        found.select_related("scene")
        .annotate(
            size=Count("members", distinct=True),
            conversations=Count(talk, distinct=True),
            unhappy=Count(talk, distinct=True, filter=bad),
            last_asked=Max("members__turn__created_at"),
        )
        .order_by("-size", "-pk")
    )


def _newest_job(request: UserRequest) -> Job | None:
    return Job.objects.filter(task=gaps.TASK, by=request.user).select_related("by").first()


@require_POST
@requires("knowledge.write")
def gap_search(request: UserRequest) -> HttpResponse:
    """Look for gaps now; one search at a time is enough."""
    newest = _newest_job(request)
    if newest is None or newest.state not in UNFINISHED:
        jobs.start(task=gaps.TASK, title="Look for gaps", by=request.user)
    return redirect("dialogues:gap-list")


def _gap(request: UserRequest, public_id: UUID) -> Gap:
    visible = Gap.objects.visible_to(request.user).select_related("scene", "unit", "decided_by")
    return get_object_or_404(visible, public_id=public_id)


@require_GET
@requires("knowledge.read")
def gap_detail(request: UserRequest, public_id: UUID) -> HttpResponse:
    gap = _gap(request, public_id)
    evidence = filling.evidence_of(gap, visible_to=request.user)
    answered = evidence.answered
    context: dict[str, Any] = {
        "gap": gap,
        "evidence": evidence,
        "examples": evidence.examples[:EXAMPLES_SHOWN],
        "wordings": evidence.wordings[: filling.MOST_WORDINGS],
        "answer": answered[0].answer if answered else "",
        "scenes": [] if gap.scene else Scene.objects.visible_to(request.user),
    }
    return render(request, "dialogues/gap_detail.html", context)


@require_POST
@requires("knowledge.write")
def gap_draft(request: UserRequest, public_id: UUID) -> HttpResponse:
    """Draft the rule in one click and go on editing it."""
    scenes = Scene.objects.visible_to(request.user)
    unit = filling.draft_rule(
        gap=_gap(request, public_id),
        by=request.user,
        answer=request.POST.get("answer", ""),
        scene=scenes.filter(slug=request.POST.get("scene", "")).first(),
        link=request.build_absolute_uri,
    )
    messages.success(request, "Drafted from what was asked and answered. Check it, then publish.")
    return redirect(reverse("knowledge:unit-edit", args=[unit.pk]))


@require_POST
@requires("knowledge.write")
def gap_dismiss(request: UserRequest, public_id: UUID) -> HttpResponse:
    filling.dismiss(gap=_gap(request, public_id), by=request.user)
    messages.success(request, "Dismissed. Like questions stay out of the list of open gaps.")
    return redirect("dialogues:gap-list")


@require_POST
@requires("knowledge.write")
def gap_reopen(request: UserRequest, public_id: UUID) -> HttpResponse:
    gap = filling.reopen(gap=_gap(request, public_id))
    messages.success(request, "The gap is open again.")
    return redirect("dialogues:gap-detail", gap.public_id)
