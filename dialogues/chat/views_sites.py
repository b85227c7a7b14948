"""Pages of the sites that embed the chat: their pages, look and keys."""

from typing import Any
from urllib.parse import urlencode

from csp.decorators import csp_replace
from django.contrib import messages
from django.db.models import Count, Max, Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from agents.prompting import BUSINESS
from dialogues import arranging
from dialogues.chat import sites
from dialogues.chat.forms_sites import LOOK, LookForm, SiteForm, SiteKeyForm
from dialogues.forms_arranging import store
from dialogues.models import Arranged, Site, SiteKey
from dialogues.models.sites import origin_of
from wowconsole.http import UserRequest
from wowconsole.roles import can, requires

KEYS_SHOWN = 20


def _sites(request: UserRequest) -> QuerySet[Site]:
    return Site.objects.visible_to(request.user).select_related("scene")


def _editable(request: UserRequest, slug: str) -> Site:
    found = Site.objects.editable_by(request.user).select_related("scene")
    return get_object_or_404(found, slug=slug)


@require_GET
@requires("dialogues.read")
def site_list(request: UserRequest) -> HttpResponse:
    live = Q(keys__expires_at=None) | Q(keys__expires_at__gt=timezone.now())
    rows = _sites(request).annotate(
        live_keys=Count("keys", filter=live, distinct=True), used_at=Max("keys__last_used_at")
    )
    return render(request, "dialogues/site_list.html", {"sites": rows})


@require_http_methods(["GET", "POST"])
@requires("dialogues.manage")
def site_new(request: UserRequest) -> HttpResponse:
    return _edit(request, None)


@require_http_methods(["GET", "POST"])
@requires("dialogues.manage")
def site_edit(request: UserRequest, slug: str) -> HttpResponse:
    return _edit(request, _editable(request, slug))


def _edit(request: UserRequest, site: Site | None) -> HttpResponse:
    data = request.POST if request.method == "POST" else None
    revision = arranging.revision_of(site) if site else 0
    form = SiteForm(data, instance=site, user=request.user, revision=revision)
    if form.is_valid() and store(form, form.instance, request):
        messages.success(request, "Saved. Paste the snippet again if its look changed.")
        return redirect(form.instance)
    look = {name: form[name].value() or "" for name in LOOK}
    context = {"form": form, "site": site, "preview": _preview(LookForm(look).look(), site)}
    return render(request, "dialogues/site_form.html", context, status=form.status)


@require_POST
@requires("dialogues.manage")
def site_look(request: UserRequest) -> HttpResponse:
    """Return the frame that shows a look while it is chosen."""
    site = _sites(request).filter(slug=request.POST.get("site", "").replace("\0", "")).first()
    context = {"preview": _preview(LookForm(request.POST).look(), site)}
    return render(request, "dialogues/site_preview.html", context)


def _preview(look: dict[str, Any], site: Site | None) -> str:
    """Return the address of a page that shows the widget with this look."""
    said = {"site": site.slug if site else "", **look}
    return f"{reverse('dialogues:site-preview')}?{urlencode(said)}"


@require_GET
@xframe_options_sameorigin
@csp_replace({"frame-ancestors": "'self'"})
@requires("dialogues.read")
def site_preview(request: UserRequest) -> HttpResponse:
    """A page of nobody's shop with the widget on it, for the frames of our own pages."""
    site = _sites(request).filter(slug=request.GET.get("site", "").replace("\0", "")).first()
    context = {"look": LookForm(request.GET).look(), "site": site, "business": BUSINESS}
    return render(request, "dialogues/site_shop.html", context)


@require_GET
@requires("dialogues.read")
def site_detail(request: UserRequest, slug: str) -> HttpResponse:
    return _detail(request, get_object_or_404(_sites(request), slug=slug))


def _detail(request: UserRequest, site: Site, *, status: int = 200, **shown: Any) -> HttpResponse:
    page = request.GET.get("page", "").strip()[:300]
    may_edit = can(request.user, "dialogues.manage")
    context = {
        "site": site,
        "may_edit": may_edit and Site.objects.editable_by(request.user).contains(site),
        "preview": _preview({name: getattr(site, name) for name in LOOK}, site),
        "snippet": sites.snippet_of(site),
        "keys": site.keys.all()[:KEYS_SHOWN],
        "key_form": SiteKeyForm(),
        "hanging": sites.consequences_of(site),
        "page": page,
        "origin": origin_of(page),
        "history": list(arranging.history(Arranged.SITE, site.slug)),
        "key_history": arranging.changes_of(Arranged.SITE_KEYS, site.slug).select_related("by")[
            :KEYS_SHOWN
        ],
        **shown,
    }
    return render(request, "dialogues/site_detail.html", context, status=status)


@require_POST
@requires("dialogues.manage")
def site_switch(request: UserRequest, slug: str) -> HttpResponse:
    site = _editable(request, slug)
    site.is_active = request.POST.get("on") == "true"
    arranging.save(site, by=request.user, note="Switched on" if site.is_active else "Switched off")
    told = "Chats begin here again." if site.is_active else "No new chat begins here."
    messages.success(request, told)
    return redirect(site)


@require_POST
@requires("dialogues.manage")
def site_remove(request: UserRequest, slug: str) -> HttpResponse:
    sites.remove_site(_editable(request, slug), by=request.user)
    messages.success(request, f"{slug} is removed, and its keys.")
    return redirect("dialogues:site-list")


@require_POST
@requires("admin")
def key_add(request: UserRequest, slug: str) -> HttpResponse:
    """Make a key and show its secret in the answer itself: it is stored nowhere else."""
    site = _editable(request, slug)
    form = SiteKeyForm(request.POST)
    if not form.is_valid():
        return _detail(request, site, status=422, key_form=form)
    key, secret = sites.add_key(site, by=request.user, **form.cleaned_data)
    response = _detail(request, site, made=key, secret=secret)
    response["Cache-Control"] = "no-store"
    return response


@require_POST
@requires("admin")
def key_end(request: UserRequest, slug: str, key_id: str) -> HttpResponse:
    site = _editable(request, slug)
    key: SiteKey = get_object_or_404(site.keys, key_id=key_id)
    sites.end_key(key, by=request.user)
    messages.success(request, f"{key} proves nothing from now on.")
    return redirect(f"{site.get_absolute_url()}#site-keys")
