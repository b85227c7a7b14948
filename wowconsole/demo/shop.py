"""The demo business's own order system, an HTTP service like those of a real business.

The agent reaches it only through its tools. It wants a bearer token, answers a repeated
Idempotency-Key as before, and enforces the limits itself whatever a model asks. Whom a chat
knows to be a customer of the shop (by name: the demo has no other id), it shows their orders only;
whom it does not know, those that were placed by guests, who have nothing but a number.
"""

import json
import secrets
from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import unquote

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from agents.calling import CUSTOMER_HEADER
from wowconsole.models import DemoCall, DemoOrder

REFUND_LIMIT = 50  # dollars; above it a colleague decides

Order = dict[str, Any]


def _trusted(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    @wraps(view)
    def guarded(request: HttpRequest, **arguments: str) -> HttpResponse:
        expected = f"Bearer {settings.DEMO_SHOP_TOKEN}"
        given = request.headers.get("Authorization", "")
        if not secrets.compare_digest(given.encode(), expected.encode()):
            return JsonResponse({"error": "not authorised"}, status=401)
        return view(request, **arguments)

    return guarded


class _Refused(Exception):
    """The order is not shown; the message says why."""


def _order(rows: QuerySet[DemoOrder], request: HttpRequest, order_id: str) -> DemoOrder:
    """Return the order, if it is that of the customer who asks.

    Raises:
        _Refused: it is not theirs, or nobody knows who asks for what is no guest's.
    """
    order = rows.filter(order_id=order_id).first()
    customer = unquote(request.headers.get(CUSTOMER_HEADER, ""))
    if order and customer == "" and not order.data.get("guest"):
        raise _Refused("please sign in to see this order")
    if order is None or customer not in {"", order.data["customer"]}:
        raise _Refused("order not found")
    return order


def _changing(act: Callable[[DemoOrder, dict[str, Any]], Order]) -> Callable[..., HttpResponse]:
    """Make a view of `act`: one transaction, the order locked, each key acted on once."""

    @csrf_exempt
    @require_POST
    @_trusted
    @transaction.atomic
    def view(request: HttpRequest, order_id: str) -> HttpResponse:
        try:
            order = _order(DemoOrder.objects.select_for_update(), request, order_id)
        except _Refused as error:
            return JsonResponse({"error": str(error)}, status=404)
        key = request.headers.get("Idempotency-Key", "")[:100]
        if known := DemoCall.objects.filter(key=key).first():
            return JsonResponse(known.answer)
        try:
            asked = json.loads(request.body or "{}")
        except ValueError:
            asked = None
        if not isinstance(asked, dict):
            return JsonResponse({"error": "send a JSON object"}, status=400)
        answer = act(order, asked)
        if key:
            DemoCall.objects.create(key=key, answer=answer)
        return JsonResponse(answer)

    return view


def _refund(order: DemoOrder, asked: dict[str, Any]) -> Order:
    data = order.data
    if data["status"] in {"refunded", "cancelled"}:
        return {"error": f"order is already {data['status']}"}
    if data["total"] > REFUND_LIMIT:
        return {"error": f"refunds above ${REFUND_LIMIT} need a colleague"}
    _set_status(order, "refunded", note=str(asked.get("reason", ""))[:80])
    answer = {"order_id": order.order_id, "refunded": data["total"]}
    if data["payment"] == "card":
        return answer | {"to": "card", "days": "3-5"}
    return answer | {"to": "wallet"}  # at once


def _cancel(order: DemoOrder, asked: dict[str, Any]) -> Order:
    if order.data["status"] != "preparing":
        return {"error": f"order is already {order.data['status']}"}
    _set_status(order, "cancelled")
    return {"order_id": order.order_id, "status": "cancelled", "refunded": order.data["total"]}


def _set_status(order: DemoOrder, status: str, note: str = "") -> None:
    changed = {"status": status, "note": note or order.data["note"], "eta_minutes": None}
    order.data = {**order.data, **changed}
    order.save(update_fields=["data"])


def _look_up(order: DemoOrder) -> Order:
    data = order.data
    items = [f"{item['quantity']}x {item['name']}" for item in data["items"]]
    return {
        "order_id": order.order_id,
        "status": data["status"],
        "total": data["total"],
        "shop": data["shop"],
        "items": ", ".join(items),
        "eta_minutes": data["eta_minutes"],
    }


def _track(order: DemoOrder) -> Order:
    names = ("courier", "status", "eta_minutes")
    return {"order_id": order.order_id, **{name: order.data[name] for name in names}}


def _showing(show: Callable[[DemoOrder], Order]) -> Callable[..., HttpResponse]:
    @require_GET
    @_trusted
    def view(request: HttpRequest, order_id: str) -> HttpResponse:
        try:
            order = _order(DemoOrder.objects.all(), request, order_id)
        except _Refused as error:
            return JsonResponse({"error": str(error)}, status=404)
        return JsonResponse(show(order))

    return view


urlpatterns = [
    path("orders/<str:order_id>/", _showing(_look_up)),
    path("orders/<str:order_id>/courier/", _showing(_track)),
    path("orders/<str:order_id>/refund/", _changing(_refund)),
    path("orders/<str:order_id>/cancel/", _changing(_cancel)),
]
