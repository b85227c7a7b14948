"""Pages for the people who keep the rules."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count, F, Q
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from knowledge import conflicts, services
from knowledge.differing import differences
from knowledge.flagging import Flag, flags
from knowledge.forms import UnitFilterForm
from knowledge.forms_publishing import OverrideForm, OwnerForm, ScheduleForm, SubmissionForm
from knowledge.models import (
    OPEN_SUBMISSION,
    KnowledgeUnit,
    Revision,
    Scene,
    SceneQuerySet,
    SubmissionState,
    UnitQuerySet,
    UnitStatus,
    Validity,
)
from wowconsole.http import UserRequest, render_page
from wowconsole.roles import requires

UNITS_PER_PAGE = 50
REVISIONS_SHOWN = 20


def _scenes(request: UserRequest) -> SceneQuerySet:
    return Scene.objects.visible_to(request.user)


def _units(request: UserRequest) -> UnitQuerySet:
    return KnowledgeUnit.objects.visible_to(request.user).with_latest()


def get_unit(request: UserRequest, pk: int) -> KnowledgeUnit:
    unit: KnowledgeUnit = get_object_or_404(_units(request), pk=pk)
    return unit


@require_GET
@requires("knowledge.read")
def unit_list(request: UserRequest) -> HttpResponse:
    form = UnitFilterForm(request.GET, scenes=_scenes(request))
    page = Paginator(form.narrow(_units(request)), UNITS_PER_PAGE).get_page(request.GET.get("page"))
    visible = KnowledgeUnit.objects.visible_to(request.user)
    counts = visible.aggregate(
        all=Count("pk"),
        published=Count("pk", filter=Q(status=UnitStatus.PUBLISHED)),
        drafts=Count("pk", filter=Q(status=UnitStatus.DRAFT)),
        edited=Count("pk", filter=Q(live__isnull=False) & ~Q(live=F("latest"))),
    )
    counts["expiring"] = visible.with_validity(Validity.EXPIRING).count()
    context = {"form": form, "page": page, "counts": counts, "filtered": bool(request.GET)}
    return render_page(request, "knowledge/unit_list.html", "table", context)


@require_GET
@requires("knowledge.read")
def unit_detail(request: UserRequest, pk: int) -> HttpResponse:
    return _detail(request, get_unit(request, pk))


def _detail(request: UserRequest, unit: KnowledgeUnit) -> HttpResponse:
    revisions = list(unit.revisions.select_related("author")[: REVISIONS_SHOWN + 1])
    older = [*revisions[1:], None]
    latest = revisions[0]
    context = {
        "unit": unit,
        "shown": unit.latest,
        "pending": differences(unit.live, latest)
        if unit.live and unit.has_unpublished_edit
        else None,
        "history": [
            (revision, differences(before, revision) if before else None)
            for revision, before in zip(revisions, older, strict=True)
        ][:REVISIONS_SHOWN],
        "publications": unit.publications.select_related("by", "revision")[:REVISIONS_SHOWN],
        "live_since": _live_since(unit),
        "flags": flags_of(latest),
        **publishing_context(request, unit, latest),
    }
    return render_page(request, "knowledge/unit_detail.html", "unit", context)


def publishing_context(
    request: UserRequest, unit: KnowledgeUnit, latest: Revision
) -> dict[str, Any]:
    """Say how the latest revision could go live, and what is on its way."""
    submission = unit.submissions.select_related("revision", "by", "decided_by").first()
    is_open = submission is not None and submission.state in OPEN_SUBMISSION
    is_news = submission is not None and (
        submission.state in (SubmissionState.REJECTED, SubmissionState.FAILED)
        and submission.revision_id == latest.pk  # an edit answers it
    )
    refusal = services.why_not_publish(unit, request.user)
    first = {"revision": latest.number}
    return {
        "refusal": refusal,
        "needs_approval": isinstance(refusal, services.ApprovalNeeded),
        "submission": submission if is_open or is_news else None,
        "has_open_submission": is_open,
        "schedule": ScheduleForm(initial=first, auto_id="schedule_%s"),
        "submit": SubmissionForm(initial=first, auto_id="submit_%s"),
        "override": OverrideForm(initial=first, auto_id="override_%s"),
    }


def flags_of(revision: Revision) -> list[Flag]:
    texts = (revision.title, revision.condition, revision.content, *revision.questions)
    return flags("\n".join(texts))


def _live_since(unit: KnowledgeUnit) -> Any:
    return unit.publications.values_list("at", flat=True).first() if unit.live_id else None


@require_POST
@requires("knowledge.write")
def unit_archive(request: UserRequest, pk: int) -> HttpResponse:
    unit = services.archive_unit(unit=get_unit(request, pk), by=request.user)
    messages.success(request, "Archived. No agent uses it any more; its history stays.")
    return redirect(unit)


@require_POST
@requires("knowledge.write")
def unit_restore(request: UserRequest, pk: int) -> HttpResponse:
    unit = services.restore_unit(unit=get_unit(request, pk))
    conflicts.check_soon(unit)
    messages.success(request, "Restored as a draft. Publish it to make it live.")
    return redirect(unit)


@require_http_methods(["GET", "POST"])
@requires("knowledge.write")
def unit_owner(request: UserRequest, pk: int) -> HttpResponse:
    unit = get_unit(request, pk)
    people = services.possible_owners(unit)
    first = {"owner": unit.owner.username}
    form = OwnerForm(request.POST or None, people=people, initial=first)
    if request.method == "POST" and form.is_valid():
        services.change_owner(unit=unit, owner=form.cleaned_data["owner"])
        messages.success(request, f"{unit.owner} is asked about this rule from now on.")
        return redirect(unit)
    context = {"unit": unit, "form": form}
    status = 422 if form.errors else 200
    return render(request, "knowledge/unit_owner.html", context, status=status)
