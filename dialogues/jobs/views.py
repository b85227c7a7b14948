"""Staff's pages of sub-agents' jobs: what is under way, how each went, and stopping it."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from dialogues.jobs import delegating, dialling
from dialogues.jobs.forms import CallForm, JobFilterForm
from dialogues.jobs.listing import listed
from dialogues.jobs.presenting import shown
from dialogues.models import CallPlan, Conversation, SubagentJob
from wowconsole.http import UserRequest, render_page
from wowconsole.roles import can, requires

JOBS_PER_PAGE = 25


@require_GET
@requires("dialogues.read")
def job_list(request: UserRequest) -> HttpResponse:
    form = JobFilterForm(request.GET)
    jobs = form.filter(SubagentJob.objects.visible_to(request.user))
    rows = jobs.select_related("conversation__scene")
    page = Paginator(rows, JOBS_PER_PAGE).get_page(request.GET.get("page"))
    context = {"form": form, "page": page, "subagents": listed()}
    return render_page(request, "dialogues/job_list.html", "job-table", context)


@require_GET
@requires("dialogues.read")
def job_detail(request: UserRequest, public_id: UUID) -> HttpResponse:
    job = _job(request, public_id)
    context: dict[str, Any] = {"job": job, **shown(job)}
    link = getattr(job, "link", None)
    is_open = link and link.state != "ended" and not job.is_finished
    if is_open and can(request.user, "dialogues.reply"):  # who opens it first is the callee
        context |= {"link": link, "address": dialling.address_of(job)}
    return render_page(request, "dialogues/job_detail.html", "job", context)


@require_http_methods(["GET", "POST"])
@requires("dialogues.reply")
def call_start(request: UserRequest, public_id: UUID) -> HttpResponse:
    """Have somebody called about a conversation, by one of the plans."""
    visible = Conversation.objects.visible_to(request.user)
    conversation = get_object_or_404(visible, public_id=public_id)
    plans = CallPlan.objects.filter(is_active=True)
    if request.method == "GET":
        forms = [CallForm(plan) for plan in plans]
        context = {"conversation": conversation, "forms": forms}
        return render(request, "dialogues/call_start.html", context)
    form = CallForm(get_object_or_404(plans, name=request.POST.get("plan")), request.POST)
    if not form.is_valid():
        context = {"conversation": conversation, "forms": [form]}
        return render(request, "dialogues/call_start.html", context, status=422)
    job = delegating.start(
        conversation=conversation,
        name=form.plan.name,
        arguments=form.arguments(),
        key=f"staff-{form.cleaned_data['nonce']}",
    )
    return redirect(job)


@require_POST
@requires("dialogues.reply")
def job_cancel(request: UserRequest, public_id: UUID) -> HttpResponse:
    job = _job(request, public_id)
    by = request.user.get_short_name() or request.user.get_username()
    delegating.cancel(conversation=job.conversation, job=job.public_id, by=by)
    messages.success(request, "Cancelled. The customer has been told.")
    return redirect(job)


def _job(request: UserRequest, public_id: UUID) -> SubagentJob:
    visible = SubagentJob.objects.visible_to(request.user)
    parts = ("conversation__scene", "turn", "link")
    job: SubagentJob = get_object_or_404(visible.select_related(*parts), public_id=public_id)
    return job
