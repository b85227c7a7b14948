"""Pages of speaking first: policies, a dry run, the ledger of decisions, the effect."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count, Q
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from dialogues.models import FollowUp, Outcome, ProactivePolicy
from dialogues.models.proactive import ProactivePolicyQuerySet
from dialogues.proactive import charts, contact, policies
from dialogues.proactive.conditions import in_words
from dialogues.proactive.effect import effect_of
from dialogues.proactive.forms import (
    FIELDS,
    ConditionFormSet,
    LedgerFilterForm,
    PolicyForm,
    rows_of,
)
from dialogues.proactive.rehearsing import Rehearsal, rehearse
from wowconsole.http import UserRequest, render_page
from wowconsole.roles import requires, sees_every_scene

DECISIONS_PER_PAGE = 25
PROMISES_SHOWN = 20
FORM = "dialogues/proactive_form.html"


def _policies(request: UserRequest) -> ProactivePolicyQuerySet:
    visible = ProactivePolicy.objects.visible_to(request.user)
    return visible.select_related("version__scene", "version__created_by")


def _editable(request: UserRequest, public_id: UUID) -> ProactivePolicy:
    return get_object_or_404(_policies(request).editable_by(request.user), public_id=public_id)


@require_GET
@requires("dialogues.read")
def proactive_list(request: UserRequest) -> HttpResponse:
    counts = {
        outcome.value: Count("decisions", filter=Q(decisions__outcome=outcome), distinct=True)
        for outcome in (Outcome.SENT, Outcome.HELD_OUT, Outcome.WAITING)
    }
    promises = FollowUp.objects.visible_to(request.user).select_related("conversation")
    context = {
        "policies": _policies(request).annotate(**counts),
        "promises": promises[:PROMISES_SHOWN],
    }
    return render(request, "dialogues/proactive_list.html", context)


@require_GET
@requires("dialogues.read")
def proactive_detail(request: UserRequest, public_id: UUID) -> HttpResponse:
    policy = get_object_or_404(_policies(request), public_id=public_id)
    version = policy.version
    form = LedgerFilterForm(request.GET)
    seen = policy.decisions.visible_to(request.user)
    rows = seen.select_related("event", "version", "conversation")
    page = Paginator(form.filter(rows), DECISIONS_PER_PAGE).get_page(request.GET.get("page"))
    measures = effect_of(policy)
    context = {
        "policy": policy,
        "version": version,
        "is_own": sees_every_scene(request.user) or bool(version and version.scene_id),
        "conditions": [in_words(row) for row in version.conditions] if version else [],
        "form": form,
        "page": page,
        "measures": measures,
        "chart": charts.effect(measures),
    }
    return render_page(request, "dialogues/proactive_detail.html", "ledger", context)


@require_http_methods(["GET", "POST"])
@requires("agents.write")
def proactive_new(request: UserRequest) -> HttpResponse:
    return _edit(request, None)


@require_http_methods(["GET", "POST"])
@requires("agents.write")
def proactive_edit(request: UserRequest, public_id: UUID) -> HttpResponse:
    return _edit(request, _editable(request, public_id))


def _edit(request: UserRequest, policy: ProactivePolicy | None) -> HttpResponse:
    """Show the form, try what it holds on past events, or save it."""
    version = policy.version if policy else None
    rows = rows_of(version.conditions) if version else []
    sent = request.POST if request.method == "POST" else None
    initial: dict[str, Any] = {"name": policy.name if policy else ""}
    initial["expected"] = version.number if version else None
    if version is None:
        initial["holdout_percent"] = contact.rules_of(None).holdout_percent
    form = PolicyForm(sent, instance=version, initial=initial, user=request.user, policy=policy)
    conditions = ConditionFormSet(sent, initial=rows, prefix="conditions")
    trial: Rehearsal | None = None
    if sent is not None and form.is_valid() and conditions.is_valid():
        wanted = [row for one in conditions if (row := one.row)]
        draft = form.version(wanted)
        if draft and "try" not in sent:
            return _save(request, policy, form, wanted)
        trial = rehearse(policy, draft, visible_to=request.user) if draft else None
    context = {"form": form, "conditions": conditions, "policy": policy, "trial": trial}
    refused = sent is not None and trial is None
    return render(request, FORM, context, status=422 if refused else 200)


def _save(
    request: UserRequest,
    policy: ProactivePolicy | None,
    form: PolicyForm,
    conditions: list[dict[str, Any]],
) -> HttpResponse:
    saved = policies.save_policy(
        by=request.user,
        name=form.cleaned_data["name"],
        policy=policy,
        expected=form.cleaned_data["expected"] if policy else None,
        conditions=conditions,
        **{name: form.cleaned_data[name] for name in FIELDS},
    )
    number = saved.version.number if saved.version else 1
    told = "It is paused until you let it speak." if policy is None else "It holds from now on."
    messages.success(request, f"Saved as version {number}. {told}")
    return redirect(saved)


@require_POST
@requires("agents.write")
def proactive_switch(request: UserRequest, public_id: UUID) -> HttpResponse:
    """Let a policy speak, or pause it."""
    policy = _editable(request, public_id)
    active = request.POST.get("active") == "true"
    policies.set_active(policy, active=active)
    messages.success(request, "It speaks from now on." if active else "Paused.")
    return redirect(policy)
