"""The demo business's website: one page with the chat on it, where visitors choose who they are.

What a real site's server does is all here: it knows who is signed in, and signs that with its key.
"""

import time

import jwt
from django.conf import settings
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from agents.prompting import BUSINESS
from dialogues.chat import sites
from dialogues.models import Site, SiteKey
from wowconsole.models import DemoOrder

SLUG = "greenway"

SIGNED_IN_SECONDS = 3600
CUSTOMERS = ("Owen Blake", "Maya Torres", "Priya Nair")  # of orders.json: one may sign in as them


def make_site(by: User) -> None:
    """Register the website and make its key, unless there is one."""
    site, is_new = Site.objects.get_or_create(slug=SLUG, defaults={"name": f"{BUSINESS} website"})
    if is_new:
        sites.add_key(site, by=by)


def proof_of(customer: str) -> str:
    """Return the site's JWT for who is signed in, "" where the site has no key any more."""
    key = SiteKey.objects.live().filter(site__slug=SLUG, site__is_active=True).first()
    if key is None:
        return ""
    until = int(time.time()) + SIGNED_IN_SECONDS
    claims = {"sub": customer, "name": customer, "exp": until}
    return jwt.encode(claims, key.secret, "HS256", {"kid": key.key_id})


@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """A shop's page with the widget on it, for trying and for copying."""
    if not (settings.DEMO or settings.DEBUG):
        raise Http404
    chosen = request.GET.get("customer", "")
    customer = chosen if chosen in CUSTOMERS else ""
    context = {
        "business": BUSINESS,
        "customers": CUSTOMERS,
        "customer": customer,
        "orders": DemoOrder.objects.filter(data__customer=customer) if customer else [],
        "identity": proof_of(customer) if customer else "",
        "site": SLUG if Site.objects.filter(slug=SLUG, is_active=True).exists() else "",
    }
    response = render(request, "demo_site.html", context)
    response["Cache-Control"] = "no-store"  # it holds a proof
    return response
