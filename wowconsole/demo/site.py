"""The demo business's website: one page with the chat on it, where visitors choose who they are.

What a real site's server does is all here: it knows who is signed in, and signs that with its key.
"""

import time
from datetime import datetime
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import jwt
from django.conf import settings
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from agents.prompting import BUSINESS
from dialogues.chat import sites
from dialogues.models import Site, SiteKey
from dialogues.proactive import receiving
from wowconsole.models import DemoOrder

SLUG = "greenway"

SIGNED_IN_SECONDS = 3600
MINUTES_LATE = 35
ZONES = ("Europe/Paris", "America/New_York", "Asia/Tokyo", "America/Los_Angeles", "Asia/Kolkata")
DAY = range(9, 20)  # hours at which nobody is asleep (QUIET_FROM_HOUR)
UNDER_WAY = ("preparing", "on the way")
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


def _customer(asked: QueryDict) -> str:
    chosen = asked.get("customer", "")
    return chosen if chosen in CUSTOMERS else ""


@require_POST
def run_late(request: HttpRequest) -> HttpResponse:
    """Tell the console that a customer's order is late, as the shop's server would by webhook."""
    if not (settings.DEMO or settings.DEBUG):
        raise Http404
    customer = _customer(request.POST)
    orders = DemoOrder.objects.filter(data__customer=customer, data__status__in=UNDER_WAY)
    order = get_object_or_404(orders, order_id=request.POST.get("order", ""))
    now = timezone.now()
    receiving.receive(
        event_id=f"demo-{order.order_id}-{now:%d%H%M}",  # pressed twice, told once
        type="order_late",
        customer_ref=customer,
        data={"order_id": order.order_id, "minutes_late": MINUTES_LATE},
        time_zone=where_it_is_day(now),
        site=Site.objects.filter(slug=SLUG).first(),
    )
    asked = urlencode({"customer": customer, "told": order.order_id})
    return redirect(f"{reverse('embed-demo')}?{asked}")


def where_it_is_day(now: datetime) -> str:
    """Return where the demo's customers live: nobody is woken, whenever the button is tried."""
    return next(zone for zone in ZONES if now.astimezone(ZoneInfo(zone)).hour in DAY)


@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """A shop's page with the widget on it, for trying and for copying."""
    if not (settings.DEMO or settings.DEBUG):
        raise Http404
    customer = _customer(request.GET)
    orders = DemoOrder.objects.filter(data__customer=customer)  # "" has none
    context = {
        "told": orders.filter(order_id=request.GET.get("told", "")).first(),
        "under_way": UNDER_WAY,
        "minutes_late": MINUTES_LATE,
        "business": BUSINESS,
        "customers": CUSTOMERS,
        "customer": customer,
        "orders": orders,
        "identity": proof_of(customer) if customer else "",
        "site": SLUG if Site.objects.filter(slug=SLUG, is_active=True).exists() else "",
    }
    response = render(request, "demo_site.html", context)
    response["Cache-Control"] = "no-store"  # it holds a proof
    return response
