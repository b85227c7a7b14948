"""Calling a tool: its arguments checked, its URL filled safely, its answer bounded."""

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx2
from django.conf import settings

from agents import mcp_calling, reaching, recording, schemas
from agents.cleaning import storable
from agents.models import Tool, ToolKind

# Many servers undo escapes before they choose the view, and step up at dots.
LEADS_ELSEWHERE = re.compile(r"[/\\]|^\.{0,2}$")
CUSTOMER_HEADER = "X-Customer"  # of an identified customer, the site's own id, percent-encoded
NOT_IDENTIFIED = "the customer is not identified"
PLACE = re.compile(r"\{[^{}]*\}")


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a call brought; a failure is {"error": sentence}, for the model to read."""

    data: dict[str, Any]
    milliseconds: float

    @property
    def is_failure(self) -> bool:
        """Whether the tool itself failed, rather than refused: the breaker counts these."""
        error = str(self.data.get("error", ""))
        return error.endswith("is not answering") or "not readable (status 5" in error


# Starts a sub-agent's job by name, arguments and key, and says what came of it:
# {"job": "<uuid>", "state": "queued", ...}.
Delegate = Callable[[str, dict[str, Any], str], Awaitable[dict[str, Any]]]


async def call_tool(
    tool: Tool,
    arguments: dict[str, Any],
    *,
    key: str,
    delegate: Delegate | None = None,
    identified: bool = False,
    customer: str = "",
) -> ToolResult:
    """Call `tool` once. `key` goes out as idempotency key: the same key acts once.

    Never raises: whatever goes wrong becomes a result that the model can speak about.
    `delegate` starts the jobs of sub-agents. A tool with personal data is called only for
    an `identified` customer; who that is (`customer`, the site's own id) the business is told,
    so that it can keep to what belongs to them.
    """
    started = time.perf_counter()
    data = _refusal(tool, arguments, identified)
    if data is None:
        data = await _answer(tool, arguments, key, delegate, customer)
    return ToolResult(data, round((time.perf_counter() - started) * 1000, 1))


async def _answer(
    tool: Tool, arguments: dict[str, Any], key: str, delegate: Delegate | None, customer: str
) -> dict[str, Any]:
    if tool.uses_fixtures:
        return await recording.answer(tool, arguments)
    if tool.kind == ToolKind.SUBAGENT:
        return await _delegated(tool, arguments, key, delegate)
    if tool.kind == ToolKind.MCP:
        return await mcp_calling.call_on_server(tool, arguments, key=key, customer=customer)
    return await _request(tool, arguments, key, customer)


def _refusal(tool: Tool, arguments: dict[str, Any], identified: bool) -> dict[str, Any] | None:
    if tool.personal and not identified:
        return {"error": NOT_IDENTIFIED}
    return _wrong_arguments(tool, arguments)


async def _delegated(
    tool: Tool, arguments: dict[str, Any], key: str, delegate: Delegate | None
) -> dict[str, Any]:
    if delegate is None:
        return {"error": f"{tool.name} can't be started here"}
    return await delegate(tool.name, arguments, key)


def _wrong_arguments(tool: Tool, arguments: dict[str, Any]) -> dict[str, Any] | None:
    try:
        wrong = schemas.fault(arguments, tool.parameters)
    except schemas.BadSchema:
        return {"error": f"{tool.name} is not set up correctly"}
    return {"error": f"wrong arguments: {wrong}"} if wrong else None


async def _request(
    tool: Tool, arguments: dict[str, Any], key: str, customer: str
) -> dict[str, Any]:
    headers = {"Idempotency-Key": key, **reaching.bearer(tool.token_setting)}
    if customer:
        headers[CUSTOMER_HEADER] = quote(customer, safe="")
    body = arguments if tool.method == "POST" else None
    try:
        url = fill_url(tool.url, arguments)
        async with (
            asyncio.timeout(tool.timeout_seconds),
            reaching.client(largest=tool.largest_answer, headers=headers) as client,
        ):
            return _read(await client.request(tool.method, url, json=body))
    except (ValueError, httpx2.InvalidURL):
        return {"error": "wrong arguments: they don't fit into an address"}
    except reaching.TooLarge:
        return {"error": "the answer is too large"}
    except reaching.ForbiddenAddress:
        return {"error": f"{tool.name} leads to an address that tools may not reach"}
    except (httpx2.HTTPError, TimeoutError):
        return {"error": f"{tool.name} is not answering"}


def fill_url(url: str, arguments: dict[str, Any]) -> str:
    """Put arguments in the braces of `url`, escaped; a bare path is one of this server.

    What a model or a customer wrote can thus never lead to another path or host.

    Raises:
        ValueError: a value would lead to another path, or one is missing.
    """
    for name, value in arguments.items():
        mark, text = "{" + name + "}", str(value)
        if mark in url.partition("?")[0] and LEADS_ELSEWHERE.search(text):
            raise ValueError(f"{text!r} is not part of a path.")
        url = url.replace(mark, quote(text, safe=""))
    path, asked, query = url.partition("?")
    if PLACE.search(path):
        raise ValueError("A part of the path is missing.")
    url = path + asked + PLACE.sub("", query)
    return settings.PUBLIC_URL + url if url.startswith("/") else url


def _read(answer: httpx2.Response) -> dict[str, Any]:
    try:
        data = storable(json.loads(answer.content))
    except (ValueError, RecursionError):
        return {"error": f"the answer is not readable (status {answer.status_code})"}
    if not isinstance(data, dict):
        return {"error": "the answer is not an object"}
    return data
