"""The retail shop as an MCP server: 16 tools over streamable HTTP, by the official SDK.

Errors of the shop are data ({"error": …}). A changing call that comes again with the same
idempotency key (`_meta` of the request) gets its first answer again.
"""

import json
import os
import secrets
from collections.abc import Awaitable, Callable
from functools import partial, wraps
from pathlib import Path
from typing import Annotated, Any, Literal

from mcp.server.mcpserver import Context, MCPServer
from mcp_types import ToolAnnotations
from pydantic import Field
from starlette.types import ASGIApp, Receive, Scope, Send

from agents.mcp_client import KEY_IN_META
from wowconsole.demo.reckoning import reckon
from wowconsole.demo.retail import Row, Shop, Wrong

MOST_KEYS = 10_000  # answers kept; the oldest goes first

OrderId = Annotated[
    str, Field(pattern=r"^#W[0-9]{7}$", description="The order's number with its #, as #W0000000")
]
ItemIds = Annotated[
    list[str], Field(min_length=1, description="Item ids; one that was ordered twice, twice")
]
NewItemIds = Annotated[
    list[str],
    Field(min_length=1, description="For each item, in the same order, the one to have instead"),
]
MethodId = Annotated[
    str, Field(description="One of the user's payment methods, as gift_card_0000000")
]
Reason = Literal["no longer needed", "ordered by mistake"]


class RetailTools:
    """What agents may ask of the shop; each method is a tool of its name."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop

    def find_user_id_by_email(self, email: str) -> dict[str, Any]:
        """Find a user's id by the email address."""
        return {"user_id": self.shop.user_id_by_email(email)}

    def find_user_id_by_name_zip(
        self,
        first_name: str,
        last_name: str,
        zip: str,
    ) -> dict[str, Any]:
        """Find a user's id by name and zip code, for those who don't remember their email."""
        return {"user_id": self.shop.user_id_by_name_zip(first_name, last_name, zip)}

    def get_user_details(self, user_id: str) -> dict[str, Any]:
        """Show a user: address, payment methods, orders."""
        return self.shop.user(user_id)

    def get_order_details(self, order_id: OrderId) -> dict[str, Any]:
        """Show an order: status, items, payments, parcels."""
        return self.shop.order(order_id)

    def get_product_details(self, product_id: str) -> dict[str, Any]:
        """Show a product with its variants, their prices and whether they are available."""
        return self.shop.product(product_id)

    def list_all_product_types(self) -> dict[str, Any]:
        """List the names of all products with their product ids."""
        return self.shop.product_types()

    def calculate(self, expression: str) -> dict[str, Any]:
        """Work out a sum, such as 2 * (19.99 + 5)."""
        try:
            return {"value": reckon(expression)}
        except ValueError as error:
            raise Wrong(str(error)) from None

    def think(self, thought: str) -> dict[str, Any]:
        """Note a thought. Nothing is looked up or changed."""
        return {"noted": bool(thought)}

    def transfer_to_human_agents(self, summary: str) -> dict[str, Any]:
        """Pass the user to a person, with a summary of what is wanted."""
        return {"transferred": True, "summary": summary}

    def cancel_pending_order(self, order_id: OrderId, reason: Reason) -> dict[str, Any]:
        """Cancel a pending order and refund it: a gift card at once, others in 5 to 7 days."""
        return self.shop.cancel(order_id, reason)

    def modify_pending_order_address(
        self,
        order_id: OrderId,
        address1: str,
        address2: str,
        city: str,
        state: str,
        country: str,
        zip: str,
    ) -> dict[str, Any]:
        """Change where a pending order goes."""
        address = _address(address1, address2, city, state, country, zip)
        return self.shop.change_address(order_id, address)

    def modify_pending_order_payment(
        self, order_id: OrderId, payment_method_id: MethodId
    ) -> dict[str, Any]:
        """Pay a pending order by another of the user's payment methods."""
        return self.shop.change_payment(order_id, payment_method_id)

    def modify_pending_order_items(
        self,
        order_id: OrderId,
        item_ids: ItemIds,
        new_item_ids: NewItemIds,
        payment_method_id: MethodId,
    ) -> dict[str, Any]:
        """Swap items of a pending order for others of the same products. Works once an order."""
        return self.shop.change_items(order_id, item_ids, new_item_ids, payment_method_id)

    def return_delivered_order_items(
        self, order_id: OrderId, item_ids: ItemIds, payment_method_id: MethodId
    ) -> dict[str, Any]:
        """Request the return of items of a delivered order; an email tells the user how."""
        return self.shop.take_back(order_id, item_ids, payment_method_id)

    def exchange_delivered_order_items(
        self,
        order_id: OrderId,
        item_ids: ItemIds,
        new_item_ids: NewItemIds,
        payment_method_id: MethodId,
    ) -> dict[str, Any]:
        """Request the exchange of items of a delivered order for others of the same products."""
        return self.shop.exchange(order_id, item_ids, new_item_ids, payment_method_id)

    def modify_user_address(
        self,
        user_id: str,
        address1: str,
        address2: str,
        city: str,
        state: str,
        country: str,
        zip: str,
    ) -> dict[str, Any]:
        """Change a user's own address."""
        address = _address(address1, address2, city, state, country, zip)
        return self.shop.change_user_address(user_id, address)


def _address(
    address1: str, address2: str, city: str, state: str, country: str, zip_code: str
) -> Row:
    return {
        "address1": address1,
        "address2": address2,
        "city": city,
        "country": country,
        "state": state,
        "zip": zip_code,
    }


READING = (
    "find_user_id_by_email",
    "find_user_id_by_name_zip",
    "get_user_details",
    "get_order_details",
    "get_product_details",
    "list_all_product_types",
    "calculate",
    "think",
    "transfer_to_human_agents",
)
CHANGING = (
    "cancel_pending_order",
    "modify_pending_order_address",
    "modify_pending_order_payment",
    "modify_pending_order_items",
    "return_delivered_order_items",
    "exchange_delivered_order_items",
    "modify_user_address",
)


class Ledger:
    """Answers by idempotency key, and the state file that they and the rows are kept in."""

    def __init__(self, shop: Shop, state: Path | None) -> None:
        self.shop, self.state = shop, state
        self.answers: dict[str, Any] = {}

    def once(self, key: str, act: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        if key and key in self.answers:
            return dict(self.answers[key])
        answer = _answered(act)
        if key:
            # Copied: the rows it is made of change later.
            self.answers[key] = json.loads(json.dumps(answer))
            while len(self.answers) > MOST_KEYS:
                del self.answers[next(iter(self.answers))]
        self._save()
        return answer

    def _save(self) -> None:
        if self.state:
            text = json.dumps({"shop": json.loads(self.shop.as_json()), "answers": self.answers})
            fresh = self.state.with_suffix(".new")
            fresh.write_text(text, encoding="utf-8")
            fresh.replace(self.state)


def _answered(act: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return act()
    except Wrong as error:
        return {"error": str(error)}


def open_shop(folder: Path, state: Path | None = None) -> Ledger:
    """Read `db.json` of a folder, or the state file where there is one already."""
    if state and state.exists():
        kept = json.loads(state.read_text(encoding="utf-8"))
        ledger = Ledger(Shop(kept["shop"]), state)
        ledger.answers = kept["answers"]
        return ledger
    return Ledger(Shop.read(folder / "db.json"), state)


def retail_server(ledger: Ledger) -> MCPServer[Any]:
    """Build the server; its tools' schemas are made from the signatures above."""
    server: MCPServer[Any] = MCPServer("retail", title="Retail shop", log_level="WARNING")
    tools = RetailTools(ledger.shop)
    for name in READING:
        hints = ToolAnnotations(read_only_hint=True)
        server.add_tool(_reading(getattr(tools, name)), name=name, annotations=hints)
    for name in CHANGING:
        hints = ToolAnnotations(read_only_hint=False, idempotent_hint=False)
        server.add_tool(_changing(getattr(tools, name), ledger), name=name, annotations=hints)
    return server


Tool = Callable[..., Awaitable[dict[str, Any]]]


def _reading(method: Callable[..., dict[str, Any]]) -> Tool:
    @wraps(method)
    async def tool(**arguments: Any) -> dict[str, Any]:
        return _answered(partial(method, **arguments))

    return tool


def _changing(method: Callable[..., dict[str, Any]], ledger: Ledger) -> Tool:
    """Coroutines take turns in the event loop; plain functions would run in threads at once."""

    @wraps(method)
    async def tool(**arguments: Any) -> dict[str, Any]:
        meta = arguments.pop("ctx").request_context.meta or {}
        return ledger.once(str(meta.get(KEY_IN_META, "")), partial(method, **arguments))

    # The SDK hands the request over to the parameter of this type, and shows it to nobody.
    tool.__annotations__ = {**method.__annotations__, "ctx": Context}
    return tool


def application(ledger: Ledger) -> ASGIApp:
    """Return the ASGI application; RETAIL_TOKEN, where it is set, is the bearer token wanted."""
    app = retail_server(ledger).streamable_http_app(stateless_http=True, json_response=True)
    token = os.environ.get("RETAIL_TOKEN", "")
    return _Guarded(app, token) if token else app


class _Guarded:
    def __init__(self, app: ASGIApp, token: str) -> None:
        self.app, self.expected = app, f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = dict(scope.get("headers", [])).get(b"authorization", b"")
        if scope["type"] == "http" and not secrets.compare_digest(given, self.expected):
            await send({"type": "http.response.start", "status": 401, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        await self.app(scope, receive, send)
