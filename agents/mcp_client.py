"""Speaking the Model Context Protocol to a server over streamable HTTP, by the official SDK.

The SDK is imported on the first use, in a thread: it takes a second. Servers are asked for
their tools and to call one; what they would ask of us (sampling, elicitation, roots) is
refused. Servers started as a process (stdio) are left out: they would run with our rights.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

import anyio
import httpx2

from agents import reaching
from agents.cleaning import storable

if TYPE_CHECKING:
    from mcp import Client
    from mcp_types import CallToolResult, RequestParamsMeta

LARGEST_MESSAGE = 1_048_576  # bytes of one HTTP answer; a listing is one
MOST_TOOLS = 200
MOST_PAGES = 20
KEY_IN_META = "wowconsole/idempotency-key"
CUSTOMER_IN_META = "wowconsole/customer"  # who was identified, by the id of their site
FIELDS = ("name", "title", "description", "inputSchema", "outputSchema", "annotations")

Definition = dict[str, Any]  # a tool as its server describes it: FIELDS as far as given


class ServerUnavailable(Exception):
    """A server does not answer, or not as the protocol wants; the message says how."""


class AnswerTooLarge(ServerUnavailable):
    """A server's answer went on after LARGEST_MESSAGE."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server is, what it wants to be told, and how long a whole exchange may take."""

    url: str
    token_setting: str
    timeout_seconds: float


@asynccontextmanager
async def connected(endpoint: Endpoint) -> AsyncIterator["Client"]:
    """Open a session; all that happens in it must end within the endpoint's time.

    Raises:
        ServerUnavailable: it does not answer, or not as the protocol wants.
        ForbiddenAddress: tools, or the token, may not go there.
    """
    mcp = await asyncio.to_thread(import_module, "mcp")
    transport = await asyncio.to_thread(import_module, "mcp.client.streamable_http")
    failures: tuple[type[Exception], ...] = (
        *(mcp.MCPError, transport.StreamableHTTPError, httpx2.HTTPError, OSError, TimeoutError),
        *(RuntimeError, ValueError, LookupError),  # what does not keep to the protocol
        *(anyio.ClosedResourceError, anyio.BrokenResourceError, ServerUnavailable),
    )
    try:
        # Asked first, since the SDK hides why a request failed.
        async with asyncio.timeout(endpoint.timeout_seconds):
            headers = reaching.bearer(endpoint.token_setting, endpoint.url)
            await reaching.resolve(httpx2.URL(endpoint.url))
            async with (
                reaching.client(largest=LARGEST_MESSAGE, headers=headers) as http,
                mcp.Client(transport.streamable_http_client(endpoint.url, http_client=http)) as it,
            ):
                yield it
    except* reaching.ForbiddenAddress as group:
        raise _first(group) from None
    except* failures as group:
        raise _as_unavailable(_first(group)) from None


def _first(group: BaseExceptionGroup[Any]) -> Exception:
    error: Any = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error  # type: ignore[no-any-return]  # a leaf of the group


def _as_unavailable(error: Exception) -> ServerUnavailable:
    if isinstance(error, ServerUnavailable):
        return error
    if isinstance(error, reaching.TooLarge):
        return AnswerTooLarge(f"An answer has at most {LARGEST_MESSAGE} bytes.")
    if isinstance(error, TimeoutError):
        return ServerUnavailable("The time is up.")
    return ServerUnavailable(f"{type(error).__name__}: {str(error)[:200]}")


async def listed(client: "Client") -> dict[str, Definition]:
    """Return what the server offers, by name.

    Raises:
        ServerUnavailable: the list is endless, or names a tool twice.
    """
    offers: dict[str, Definition] = {}
    cursor: str | None = None
    for _ in range(MOST_PAGES):
        page = await client.list_tools(cursor=cursor)
        for tool in page.tools:
            if tool.name in offers or len(offers) >= MOST_TOOLS:
                raise ServerUnavailable(f"It offers {tool.name} twice, or over {MOST_TOOLS} tools.")
            plain = tool.model_dump(mode="json", by_alias=True, exclude_none=True)
            offers[tool.name] = storable({name: plain[name] for name in FIELDS if name in plain})
        cursor = page.next_cursor
        if not cursor:
            return offers
    raise ServerUnavailable(f"Its list of tools has over {MOST_PAGES} pages.")


async def call(
    client: "Client", name: str, arguments: dict[str, Any], *, key: str, customer: str = ""
) -> dict[str, Any]:
    """Call a tool; key and customer go into the request's _meta. Returns its answer as a dict."""
    told = {KEY_IN_META: key} | ({CUSTOMER_IN_META: customer} if customer else {})
    meta = cast("RequestParamsMeta", told)  # a TypedDict that may hold more
    result = await client.call_tool(name, arguments, meta=meta)
    data: dict[str, Any] = storable(as_dict(result))
    return data


def as_dict(result: "CallToolResult") -> dict[str, Any]:
    """Turn structured or text content into a dict; other content is left out with a note."""
    text = "\n".join(block.text for block in result.content if block.type == "text")
    if result.is_error:
        return {"error": text[:500] or "the tool failed"}
    if result.structured_content is not None:
        data = _as_object(result.structured_content)
    else:
        data = _read(text)
    others = [block.type for block in result.content if block.type != "text"]
    if others:
        data.setdefault("note", f"left out of the answer: {', '.join(others)}")
    return data


def _as_object(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        # Servers wrap what is no object by itself.
        inner = value.get("result")
        return dict(inner) if len(value) == 1 and isinstance(inner, dict) else dict(value)
    return {"result": value}


def _read(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {"text": text}
    return _as_object(value) if isinstance(value, dict | list) else {"text": text}
