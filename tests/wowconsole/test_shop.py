"""The demo business's order system enforces its own limits."""

import json
from urllib.parse import quote

from django.test import TestCase, override_settings

from wowconsole.demo.content import read
from wowconsole.models import DemoCall, DemoOrder


def make_order(order_id="GW0001", **changes):
    order = next(one for one in read("orders.json") if one["order_id"] == "GW1001")
    data = {**order, "status": "preparing", "total": 20.0, "payment": "card", **changes}
    return DemoOrder.objects.create(order_id=order_id, data=data)


TOKEN = "shop-token"


@override_settings(DEMO_SHOP_TOKEN=TOKEN)
class ShopTestCase(TestCase):
    def call(self, method, path, body=None, key="", token=TOKEN, customer=""):
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key}
        if customer:
            headers["X-Customer"] = quote(customer)
        send = getattr(self.client, method)
        raw = body if isinstance(body, str) else json.dumps(body or {})
        extra = {"data": raw, "content_type": "application/json"} if method == "post" else {}
        return send(f"/demo/shop/orders/{path}", headers=headers, **extra)

    def refund(self, key="", order_id="GW0001", body=None):
        return self.call("post", f"{order_id}/refund/", body or {"reason": "late"}, key)


class AccessTests(ShopTestCase):
    def test_the_token_is_wanted(self):
        make_order()
        for path, method in (
            ("GW0001/", "get"),
            ("GW0001/courier/", "get"),
            ("GW0001/refund/", "post"),
            ("GW0001/cancel/", "post"),
        ):
            for token in ("", "wrong", "shop-token2", "é"):
                assert self.call(method, path, token=token).status_code == 401
            assert self.call(method, path).status_code == 200
            assert self.call("get" if method == "post" else "post", path).status_code == 405

    def test_a_known_customer_reaches_their_own_orders_only(self):
        make_order(customer="Zoë Blake")
        paths = (("GW0001/", "get"), ("GW0001/courier/", "get"), ("GW0001/cancel/", "post"))
        for path, method in paths:
            answer = self.call(method, path, customer="Maya Torres")
            assert (answer.status_code, answer.json()) == (404, {"error": "order not found"})
        for path, method in paths:
            assert self.call(method, path, customer="Zoë Blake").status_code == 200

    def test_who_is_not_known_reaches_orders_of_guests_only(self):
        make_order(guest=False)
        before = DemoOrder.objects.get().data
        for path, method in (("GW0001/", "get"), ("GW0001/refund/", "post")):
            answer = self.call(method, path)
            assert answer.status_code == 404
            assert answer.json() == {"error": "please sign in to see this order"}
        assert DemoOrder.objects.get().data == before

    def test_unknown_orders(self):
        assert self.call("get", "GW9999/").json() == {"error": "order not found"}
        assert self.refund("k").status_code == 404
        assert not DemoCall.objects.exists()


class ReadingTests(ShopTestCase):
    def test_an_order(self):
        make_order(items=[{"name": "Pad Thai", "quantity": 2, "price": 11.5}])
        answer = self.call("get", "GW0001/").json()
        assert (answer["items"], answer["status"]) == ("2x Pad Thai", "preparing")
        assert "customer" not in answer

    def test_the_courier(self):
        make_order()
        names = {"order_id", "courier", "status", "eta_minutes"}
        assert set(self.call("get", "GW0001/courier/").json()) == names


class ChangingTests(ShopTestCase):
    def test_a_refund(self):
        order = make_order()
        answer = self.refund("k-1").json()
        assert answer == {"order_id": "GW0001", "refunded": 20.0, "to": "card", "days": "3-5"}
        order.refresh_from_db()
        assert (order.data["status"], order.data["note"]) == ("refunded", "late")

    def test_the_same_key_acts_once_and_answers_the_same(self):
        make_order()
        first = self.refund("k-1").json()
        assert self.refund("k-1").json() == first
        assert self.refund("k-2").json() == {"error": "order is already refunded"}
        assert self.refund().json() == {"error": "order is already refunded"}
        assert DemoCall.objects.count() == 2

    def test_a_refusal_is_remembered_too(self):
        order = make_order(total=50.01)
        assert "colleague" in self.refund("k-1").json()["error"]
        order.data["total"] = 50
        order.save()
        assert "colleague" in self.refund("k-1").json()["error"]
        assert self.refund("k-2").json()["refunded"] == 50

    def test_only_what_is_being_prepared_can_be_cancelled(self):
        make_order()
        make_order("GW0002", status="on the way")
        assert self.call("post", "GW0001/cancel/", key="a").json()["refunded"] == 20.0
        assert self.call("post", "GW0001/cancel/").json()["error"] == "order is already cancelled"
        assert self.call("post", "GW0002/cancel/").json()["error"] == "order is already on the way"
        assert self.refund("b").json() == {"error": "order is already cancelled"}

    def test_bodies_that_are_no_object(self):
        make_order()
        for body in ("{", "[]", '"x"', "null", "5"):
            assert self.call("post", "GW0001/refund/", body, "k").status_code == 400
        assert not DemoCall.objects.exists()
        assert self.refund("k", body={"reason": ["x"] * 99}).status_code == 200
