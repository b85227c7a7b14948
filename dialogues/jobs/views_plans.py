"""Pages of the plans of calls: written, previewed, and tried on somebody simulated."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.db.models import Count, Max, OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from agents.models import Release, Tool
from dialogues import arranging
from dialogues.forms_arranging import store
from dialogues.jobs import planning, trying
from dialogues.jobs.forms_plans import PlanForms, TrialForm
from dialogues.jobs.presenting import line_of
from dialogues.models import Arranged, CallPlan, CallTrial, SubagentJob
from wowconsole.http import UserRequest
from wowconsole.roles import requires

RELEASES_SHOWN = TRIALS_SHOWN = CALLS_SHOWN = 10


def _plan(name: str) -> CallPlan:
    return get_object_or_404(CallPlan, name=name)


@require_GET
@requires("dialogues.read")
def plan_list(request: UserRequest) -> HttpResponse:
    calls = SubagentJob.objects.visible_to(request.user).filter(name=OuterRef("name")).order_by()
    counted = calls.values("name").annotate(calls=Count("pk"), newest=Max("created_at"))
    plans = CallPlan.objects.annotate(
        calls=Coalesce(Subquery(counted.values("calls")), 0),
        called_at=Subquery(counted.values("newest")),
    )
    return render(request, "dialogues/plan_list.html", {"plans": plans})


@require_GET
@requires("dialogues.read")
def plan_detail(request: UserRequest, name: str) -> HttpResponse:
    plan = _plan(name)
    return _detail(request, plan, TrialForm(plan=plan))


def _detail(
    request: UserRequest, plan: CallPlan, form: TrialForm, status: int = 200
) -> HttpResponse:
    calls = SubagentJob.objects.visible_to(request.user).filter(name=plan.name)
    tools = Tool.objects.visible_to(request.user).filter(name=plan.name)
    context = {
        "plan": plan,
        "preview": planning.preview(plan),
        "callees": planning.callees_of(plan),
        "allowed": settings.SIP_ALLOW,
        "tool": tools.prefetch_related("scenes").first(),
        "releases": Release.objects.filter(tools__contains=[plan.name])[:RELEASES_SHOWN],
        "calls": calls.select_related("conversation")[:CALLS_SHOWN],
        "trials": plan.trials.select_related("job__by")[:TRIALS_SHOWN],
        "trial_form": form,
        "history": list(arranging.history(Arranged.CALL_PLAN, plan.name)),
    }
    return render(request, "dialogues/plan_detail.html", context, status=status)


@require_http_methods(["GET", "POST"])
@requires("admin")
def plan_new(request: UserRequest) -> HttpResponse:
    return _edit(request, None)


@require_http_methods(["GET", "POST"])
@requires("admin")
def plan_edit(request: UserRequest, name: str) -> HttpResponse:
    return _edit(request, _plan(name))


def _edit(request: UserRequest, plan: CallPlan | None) -> HttpResponse:
    sent = request.POST if request.method == "POST" else None
    revision = arranging.revision_of(plan) if plan else 0
    shown = planning.preview(plan) if plan else planning.Preview()
    forms = PlanForms(sent, plan=plan, revision=revision)
    if sent is not None and forms.is_filled:
        written = forms.written()
        if "preview" not in sent and store(forms.form, written, request, planning.save_plan):
            messages.success(request, f"{written} is saved, and its tool is brought up to it.")
            return redirect(written)
        shown = planning.preview(written)
    context = {"plan": plan, "forms": forms, "form": forms.form, "preview": shown}
    status = forms.form.status if sent is None or forms.is_filled else 422
    return render(request, "dialogues/plan_form.html", context, status=status)


@require_POST
@requires("admin")
def plan_preview(request: UserRequest) -> HttpResponse:
    """Return the preview of what stands in the form now."""
    plan = CallPlan.objects.filter(name=request.POST.get("plan", "").replace("\0", "")).first()
    forms = PlanForms(request.POST, plan=plan)
    shown = planning.preview(forms.written()) if forms.is_filled else _unready()
    return render(request, "dialogues/plan_preview.html", {"preview": shown})


def _unready() -> planning.Preview:
    return planning.Preview(problem="Fill in what is needed; then the call is shown here.")


@require_POST
@requires("dialogues.manage")
def plan_try(request: UserRequest, name: str) -> HttpResponse:
    plan = _plan(name)
    form = TrialForm(request.POST, plan=plan)
    if not form.is_valid():
        return _detail(request, plan, form, status=422)
    trial = trying.try_plan(plan, by=request.user, values=form.values(), **form.chosen())
    return redirect(trial)


@require_GET
@requires("dialogues.read")
def trial_detail(request: UserRequest, name: str, public_id: UUID) -> HttpResponse:
    trials = CallTrial.objects.select_related("plan", "job__by").filter(plan__name=name)
    trial = get_object_or_404(trials, public_id=public_id)
    context: dict[str, Any] = {
        "trial": trial,
        "job": trial.job,
        "lines": [line_of(line) for line in trial.lines],
        "score": trial.report.get("score"),
        "facts": list(trial.result.get("facts", {}).items()),
    }
    return render(request, "dialogues/trial_detail.html", context)
