"""A second demo business: a retail shop with users, orders and products, kept in memory.

The data has the form of tau-bench's retail domain (Yao et al., arXiv 2406.12045; Barres et
al., arXiv 2506.07982): {"users", "orders", "products"} by id. What its tools do is written
anew from their schemas and the shop's policy. The shop holds to the policy itself: whatever
an agent asks, an order that is not pending is not cancelled.
"""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]
REASONS = ("no longer needed", "ordered by mistake")
PENDING, MODIFIED, DELIVERED = "pending", "pending (items modified)", "delivered"


class Wrong(Exception):
    """The shop says no; the message says why, for whoever asked."""


class Shop:
    """The rows of one shop. Each change is checked whole before anything is touched."""

    def __init__(self, rows: Row) -> None:
        self.users: dict[str, Row] = rows["users"]
        self.orders: dict[str, Row] = rows["orders"]
        self.products: dict[str, Row] = rows["products"]

    @classmethod
    def read(cls, path: Path) -> "Shop":
        return cls(json.loads(path.read_text(encoding="utf-8")))

    def as_json(self) -> str:
        rows = {"users": self.users, "orders": self.orders, "products": self.products}
        return json.dumps(rows, sort_keys=True)

    # Looking up

    def user(self, user_id: str) -> Row:
        return _of(self.users, user_id, "user")

    def order(self, order_id: str) -> Row:
        return _of(self.orders, order_id, "order")

    def product(self, product_id: str) -> Row:
        return _of(self.products, product_id, "product")

    def product_types(self) -> Row:
        """Return product ids by name, in the order of names."""
        pairs = [(product["name"], number) for number, product in self.products.items()]
        return dict(sorted(pairs))

    def user_id_by_email(self, email: str) -> str:
        for user_id, user in self.users.items():
            if user["email"].lower() == email.strip().lower():
                return user_id
        raise Wrong("user not found")

    def user_id_by_name_zip(self, first_name: str, last_name: str, zip_code: str) -> str:
        wanted = (first_name.strip().lower(), last_name.strip().lower(), zip_code.strip())
        for user_id, user in self.users.items():
            name = user["name"]
            found = (name["first_name"].lower(), name["last_name"].lower(), user["address"]["zip"])
            if found == wanted:
                return user_id
        raise Wrong("user not found")

    # Pending orders

    def cancel(self, order_id: str, reason: str) -> Row:
        """Cancel a pending order; what was paid goes back the way it came."""
        order = self._in(order_id, PENDING)
        if reason not in REASONS:
            raise Wrong(f"the reason must be one of: {', '.join(REASONS)}")
        refunds = [
            _transaction("refund", paid["amount"], paid["payment_method_id"])
            for paid in order["payment_history"]
        ]
        user = self.user(order["user_id"])
        for refund in refunds:
            self._credit(user, refund["payment_method_id"], refund["amount"])
        order["payment_history"] += refunds
        return _changed(order, status="cancelled", cancel_reason=reason)

    def change_address(self, order_id: str, address: Row) -> Row:
        return _changed(self._in(order_id, PENDING), address=dict(address))

    def change_payment(self, order_id: str, method_id: str) -> Row:
        """Pay a pending order by another method; the first one gets its money back."""
        order = self._in(order_id, PENDING)
        method = self._method(order, method_id)
        history = order["payment_history"]
        if len(history) != 1 or history[0]["transaction_type"] != "payment":
            raise Wrong("the order must have exactly one payment")
        paid, earlier = history[0]["amount"], history[0]["payment_method_id"]
        if earlier == method_id:
            raise Wrong("the new payment method must differ from the present one")
        _must_cover(method, paid)
        user = self.user(order["user_id"])
        self._credit(user, method_id, -paid)
        self._credit(user, earlier, paid)
        history += [
            _transaction("payment", paid, method_id),
            _transaction("refund", paid, earlier),
        ]
        return order

    def change_items(
        self, order_id: str, old: Sequence[str], new: Sequence[str], method_id: str
    ) -> Row:
        """Swap items of a pending order, once; the difference in price is settled at once."""
        order = self._in(order_id, PENDING)
        swaps = self._swaps(order, old, new)
        difference = _difference(swaps)
        _must_cover(self._method(order, method_id), difference)
        kind = "payment" if difference > 0 else "refund"
        order["payment_history"].append(_transaction(kind, abs(difference), method_id))
        self._credit(self.user(order["user_id"]), method_id, -difference)
        for item, variant in swaps:
            item.update({name: variant[name] for name in ("item_id", "price", "options")})
        return _changed(order, status=MODIFIED)

    # Delivered orders

    def take_back(self, order_id: str, items: Sequence[str], method_id: str) -> Row:
        """Note a return; the refund goes to the first payment method or to a gift card."""
        order = self._in(order_id, DELIVERED)
        method = self._method(order, method_id)
        _picked(order, items)
        first = order["payment_history"][0]["payment_method_id"]
        if method_id != first and method["source"] != "gift_card":
            raise Wrong("the refund goes to the original payment method or to a gift card")
        return _changed(
            order,
            status="return requested",
            return_items=sorted(items),
            return_payment_method_id=method_id,
        )

    def exchange(
        self, order_id: str, old: Sequence[str], new: Sequence[str], method_id: str
    ) -> Row:
        """Note an exchange; money moves when the items have come back."""
        order = self._in(order_id, DELIVERED)
        difference = _difference(self._swaps(order, old, new))
        _must_cover(self._method(order, method_id), difference)
        return _changed(
            order,
            status="exchange requested",
            exchange_items=sorted(old),
            exchange_new_items=sorted(new),
            exchange_payment_method_id=method_id,
            exchange_price_difference=difference,
        )

    def change_user_address(self, user_id: str, address: Row) -> Row:
        return _changed(self.user(user_id), address=dict(address))

    def _in(self, order_id: str, status: str) -> Row:
        order = self.order(order_id)
        if order["status"] != status:
            raise Wrong(f"the order is {order['status']}, not {status}")
        return order

    def _method(self, order: Row, method_id: str) -> Row:
        return _of(self.user(order["user_id"])["payment_methods"], method_id, "payment method")

    def _swaps(self, order: Row, old: Sequence[str], new: Sequence[str]) -> list[tuple[Row, Row]]:
        """Pair the items given up with the variants wanted, of the same product each."""
        if len(old) != len(new):
            raise Wrong("name as many new items as old ones")
        return [
            (item, self._variant(item, wanted))
            for item, wanted in zip(_picked(order, old), new, strict=True)
        ]

    def _variant(self, item: Row, wanted: str) -> Row:
        variant: Row | None = self.product(item["product_id"])["variants"].get(wanted)
        if variant is None:
            raise Wrong(f"item {wanted} is not of the same product")
        if not variant["available"]:
            raise Wrong(f"item {wanted} is not available")
        return variant

    def _credit(self, user: Row, method_id: str, amount: float) -> None:
        """Move money to a gift card (from it, if negative); others are settled by their bank."""
        method = user["payment_methods"].get(method_id, {})
        if method.get("source") == "gift_card":
            method["balance"] = round(method["balance"] + amount, 2)


def _of(rows: dict[str, Row], key: str, what: str) -> Row:
    if key not in rows:
        raise Wrong(f"{what} not found")
    return rows[key]


def _changed(row: Row, **fields: Any) -> Row:
    row.update(fields)
    return row


def _picked(order: Row, items: Sequence[str]) -> list[Row]:
    """Return the order's items that are meant; an item ordered twice can be named twice."""
    if not items:
        raise Wrong("name at least one item")
    rest = list(order["items"])
    picked = []
    for item_id, count in Counter(items).items():
        if sum(item["item_id"] == item_id for item in rest) < count:
            raise Wrong(f"item {item_id} is not in the order")
    for item_id in items:
        found = next(item for item in rest if item["item_id"] == item_id)
        rest.remove(found)
        picked.append(found)
    return picked


def _difference(swaps: Sequence[tuple[Row, Row]]) -> float:
    """Return what is to be paid on top; negative: what comes back."""
    difference: float = sum(new["price"] - old["price"] for old, new in swaps)
    return round(difference, 2)


def _must_cover(method: Row, amount: float) -> None:
    if method["source"] == "gift_card" and method["balance"] < amount:
        raise Wrong("the balance of the gift card does not cover it")


def _transaction(kind: str, amount: float, method_id: str) -> Row:
    return {"transaction_type": kind, "amount": amount, "payment_method_id": method_id}
