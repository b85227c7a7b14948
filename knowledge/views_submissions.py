"""Pages on the way of a rule to customers: publish, schedule, review, override."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from knowledge import services, submitting
from knowledge.differing import differences
from knowledge.forms_publishing import (
    OverrideForm,
    RejectionForm,
    ScheduleForm,
    SubmissionForm,
)
from knowledge.models import Publication, Scene, Submission, SubmissionState
from knowledge.views import flags_of, get_unit
from knowledge.views_editing import said_of
from wowconsole.errors import Invalid
from wowconsole.http import UserRequest, render_page
from wowconsole.roles import can, requires

OPEN_SHOWN = 100  # of each kind; who has more waiting needs no longer list
ROWS_PER_PAGE = 25
RELATED = ("unit__scene", "unit__live", "unit__latest", "revision__author", "by", "decided_by")


def _submission(request: UserRequest, public_id: str) -> Submission:
    rows = Submission.objects.visible_to(request.user).select_related(*RELATED)
    submission: Submission = get_object_or_404(rows, public_id=public_id)
    return submission


@require_POST
@requires("knowledge.write")
def unit_publish(request: UserRequest, pk: int) -> HttpResponse:
    unit = get_unit(request, pk)
    seen = request.POST.get("revision", "")
    if seen != str(services.latest_of(unit).number):
        raise services.StaleEdit("This rule was edited meanwhile. Read the new text, then publish.")
    services.publish_unit(unit=unit, by=request.user, seen=int(seen))
    messages.success(request, said_of(""))
    return redirect(unit)


@require_POST
@requires("knowledge.write")
def unit_submit(request: UserRequest, pk: int) -> HttpResponse:
    """Ask an approver, or schedule what needs none."""
    unit = get_unit(request, pk)
    kind = ScheduleForm if "schedule" in request.POST else SubmissionForm
    asked = _valid(kind(request.POST))
    submission = submitting.submit(
        unit=unit,
        by=request.user,
        seen=asked["revision"],
        publish_at=asked["publish_at"],
        comment=asked.get("comment", ""),
    )
    messages.success(request, said_of(submission.state))
    return redirect(unit)


@require_POST
@requires("knowledge.approve")
def unit_override(request: UserRequest, pk: int) -> HttpResponse:
    unit = get_unit(request, pk)
    asked = _valid(OverrideForm(request.POST))
    if asked["revision"] != services.latest_of(unit).number:
        raise services.StaleEdit("This rule was edited meanwhile. Read the new text, then publish.")
    services.publish_unit(
        unit=unit, by=request.user, override_reason=asked["reason"], seen=asked["revision"]
    )
    messages.warning(request, "Live now, over the checks. The ledger keeps your reason.")
    return redirect(unit)


@require_GET
@requires("knowledge.read")
def submission_list(request: UserRequest) -> HttpResponse:
    rows = Submission.objects.visible_to(request.user).select_related(*RELATED)
    over = rows.exclude(state__in=[SubmissionState.WAITING, SubmissionState.SCHEDULED])
    waiting = list(rows.filter(state=SubmissionState.WAITING)[:OPEN_SHOWN])
    mine = [row for row in waiting if submitting.may_decide(row, request.user)]
    context = {
        "mine": mine,
        "others": [row for row in waiting if row not in mine],
        "scheduled": rows.filter(state=SubmissionState.SCHEDULED).order_by("publish_at", "pk")[
            :OPEN_SHOWN
        ],
        "page": Paginator(over, ROWS_PER_PAGE).get_page(request.GET.get("page")),
    }
    return render_page(request, "knowledge/submission_list.html", "history", context)


@require_GET
@requires("knowledge.read")
def submission_detail(request: UserRequest, public_id: str) -> HttpResponse:
    return _detail(request, _submission(request, public_id), RejectionForm())


def _detail(request: UserRequest, submission: Submission, rejection: RejectionForm) -> HttpResponse:
    live, revision = submission.unit.live, submission.revision
    is_waiting = submission.state == SubmissionState.WAITING
    refusal = submitting.why_not_approve(submission, request.user) if is_waiting else None
    context = {
        "submission": submission,
        "unit": submission.unit,
        "changes": differences(live, revision) if live and live != revision else None,
        "flags": flags_of(revision),
        "refusal": refusal,
        "may_decide": submitting.may_decide(submission, request.user),
        "may_withdraw": submitting.may_withdraw(submission, request.user),
        "may_approve": can(request.user, "knowledge.approve"),
        "has_later_edit": submission.unit.latest_id != revision.pk,
        "rejection": rejection,
        "override": OverrideForm(initial={"revision": revision.number}),
    }
    status = 422 if rejection.errors else 200
    return render(request, "knowledge/submission_detail.html", context, status=status)


@require_POST
@requires("knowledge.approve")
def submission_approve(request: UserRequest, public_id: str) -> HttpResponse:
    submission = submitting.approve(
        submission=_submission(request, public_id),
        by=request.user,
        at_once="at_once" in request.POST,
    )
    messages.success(request, said_of(submission.state))
    return redirect("knowledge:submission-list")


@require_POST
@requires("knowledge.approve")
def submission_reject(request: UserRequest, public_id: str) -> HttpResponse:
    submission = _submission(request, public_id)
    form = RejectionForm(request.POST)
    if not form.is_valid():
        return _detail(request, submission, form)
    submitting.reject(submission=submission, by=request.user, reason=form.cleaned_data["reason"])
    messages.success(request, "Sent back. The author sees your reason on the rule's page.")
    return redirect("knowledge:submission-list")


@require_POST
@requires("knowledge.write")
def submission_withdraw(request: UserRequest, public_id: str) -> HttpResponse:
    submission = submitting.withdraw(submission=_submission(request, public_id), by=request.user)
    messages.success(request, "Taken back: it will not be published.")
    return redirect(submission.unit)


@require_GET
@requires("knowledge.read")
def override_list(request: UserRequest) -> HttpResponse:
    """The audit: what went live over a check, by whom and why."""
    scenes = Scene.objects.visible_to(request.user)
    rows = Publication.objects.filter(unit__scene__in=scenes).exclude(override_reason="")
    rows = rows.select_related("unit__scene", "revision__author", "by")
    page = Paginator(rows, ROWS_PER_PAGE).get_page(request.GET.get("page"))
    return render_page(request, "knowledge/override_list.html", "overrides", {"page": page})


def _valid(form: SubmissionForm | ScheduleForm | OverrideForm) -> dict[str, Any]:
    """Return what a small form of a page holds; a fault is told in a notice."""
    if not form.is_valid():
        raise Invalid(" ".join(str(text) for texts in form.errors.values() for text in texts))
    return form.cleaned_data
