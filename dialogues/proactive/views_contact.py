"""The page of contact rules: quiet hours, caps, holdout shares, and who wants to hear nothing."""

from dataclasses import asdict
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.core.paginator import Page, Paginator
from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from dialogues import arranging
from dialogues.forms_arranging import store
from dialogues.models import (
    Arranged,
    ContactRules,
    OptOut,
    Outcome,
    ProactiveDecision,
    ProactivePolicy,
    Site,
)
from dialogues.proactive import contact as rules
from dialogues.proactive.forms_contact import ContactRulesForm, OptOutFilterForm
from knowledge.models import Scene
from wowconsole.http import UserRequest, render_page
from wowconsole.roles import AnyUser, can, requires, sees_every_scene

OPT_OUTS_PER_PAGE = 25
PERIOD = timedelta(days=30)
PAGE = "dialogues/contact.html"


@require_GET
@requires("dialogues.read")
def contact(request: UserRequest) -> HttpResponse:
    policies = ProactivePolicy.objects.visible_to(request.user).select_related("version__scene")
    context = {
        "scopes": _scopes(request.user),
        "policies": policies,
        "outcomes": _outcomes(request.user),
        **_opt_outs(request),
    }
    return render_page(request, PAGE, "opt-outs", context)


def _scopes(user: AnyUser) -> list[dict[str, Any]]:
    """Return what holds where: for every other scene, then for each scene of the user's."""
    rows = {row.scene_id: row for row in ContactRules.objects.visible_to(user)}
    general: Any = rows.get(None) or rules.usual_rules()
    may = can(user, "dialogues.manage")
    edit = reverse("dialogues:contact-rules") if may and sees_every_scene(user) else ""
    scopes = [_scope("Every other scene", general, own=None in rows, edit=edit)]
    for scene in Scene.objects.visible_to(user):
        held = rows.get(scene.pk) or general
        edit = reverse("dialogues:contact-rules-of", args=[scene.slug]) if may else ""
        scopes.append(_scope(scene.name, held, own=scene.pk in rows, edit=edit))
    return scopes


def _scope(name: str, held: Any, *, own: bool, edit: str) -> dict[str, Any]:
    silent = held.silent_until is not None and held.silent_until > timezone.now()
    return {"name": name, "rules": held, "own": own, "edit": edit, "silent": silent}


def _outcomes(user: AnyUser) -> list[tuple[str, int]]:
    since = timezone.now() - PERIOD
    lately = Q(decided_at__gt=since) | Q(outcome=Outcome.WAITING)
    rows = ProactiveDecision.objects.visible_to(user).filter(lately).order_by()
    counts = dict(rows.values_list("outcome").annotate(Count("pk", distinct=True)))
    return [(outcome.label, counts[outcome]) for outcome in Outcome if counts.get(outcome)]


def opt_outs_of(user: AnyUser, customer: str = "") -> QuerySet[OptOut]:
    """Return the customers who want no news and whom the user may know of."""
    rows = OptOut.objects.visible_to(user).select_related("site", "conversation", "by")
    return rows.filter(customer_ref__startswith=customer) if customer else rows


def _opt_outs(request: UserRequest) -> dict[str, Any]:
    """Return what the list of opt-outs shows; nothing to who does not deal with customers."""
    form = OptOutFilterForm(request.GET)
    page: Page[OptOut] | None = None
    if can(request.user, "dialogues.reply"):
        found = opt_outs_of(request.user, form.value("customer") or "")
        page = Paginator(found, OPT_OUTS_PER_PAGE).get_page(request.GET.get("page"))
    return {"page": page, "form": form, "sites": _sites(request.user)}


def _sites(user: AnyUser) -> QuerySet[Site]:
    """Return of which sites a customer may be, none where there is no choice."""
    others = Site.objects.exclude(pk=OuterRef("pk"))
    sites = Site.objects.visible_to(user).filter(Exists(others))
    return sites.order_by("-is_active", "name", "pk")


@require_POST
@requires("dialogues.reply")
def opt_out_add(request: UserRequest) -> HttpResponse:
    slug = request.POST.get("site", "")
    sites = Site.objects.visible_to(request.user)
    site = get_object_or_404(sites, slug=slug) if slug else None
    row = rules.opt_out(request.POST.get("customer", ""), by=request.user, site=site)
    messages.success(request, f"{row} is told nothing unasked, ever.")
    return redirect(f"{reverse('dialogues:contact')}#opt-outs")


@require_http_methods(["GET", "POST"])
@requires("dialogues.manage")
def rules_edit(request: UserRequest, slug: str = "") -> HttpResponse:
    """Write the rules of a scene, or those of every other scene."""
    scene = _scene(request, slug)
    row = ContactRules.objects.filter(scene=scene).select_related("scene").first()
    fresh = row or ContactRules(scene=scene, **asdict(rules.rules_of(None)))
    data = request.POST if request.method == "POST" else None
    form = ContactRulesForm(data, instance=fresh, revision=arranging.revision_of(fresh))
    if form.is_valid() and store(form, form.instance, request):
        messages.success(request, "Saved. It holds from now on, also for what waits.")
        return redirect("dialogues:contact")
    context = {
        "form": form,
        "row": row,
        "name": str(fresh),
        "scene": scene,
        "history": list(arranging.history(Arranged.CONTACT_RULES, fresh.arranged_as)),
    }
    return render(request, "dialogues/contact_form.html", context, status=form.status)


@require_POST
@requires("dialogues.manage")
def rules_remove(request: UserRequest, slug: str = "") -> HttpResponse:
    row = get_object_or_404(ContactRules, scene=_scene(request, slug))
    arranging.remove(row, by=request.user)
    messages.success(request, "Removed. What holds for every other scene holds here too.")
    return redirect("dialogues:contact")


def _scene(request: UserRequest, slug: str) -> Scene | None:
    """Return the scene whose rules the user may write; None: of every other scene."""
    if slug:
        scene: Scene = get_object_or_404(Scene.objects.visible_to(request.user), slug=slug)
        return scene
    if not sees_every_scene(request.user):
        raise Http404
    return None
