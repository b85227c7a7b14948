"""Calling a tool: its arguments checked, its URL filled safely, its answer bounded."""

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

import httpx2
from django.conf import settings

from agents import mcp_calling, mcp_client, reaching, recording, schemas
from agents.cleaning import storable
from agents.models import Tool, ToolKind

# Many servers undo escapes before they choose the view, and step up at dots.
LEADS_ELSEWHERE = re.compile(r"[/\\]|^\.{0,2}$")
CUSTOMER_HEADER = "X-Customer"  # of an identified customer, the site's own id, percent-encoded
NOT_IDENTIFIED = "the customer is not identified"
UNDER_WAY = "{name} was under way: what came of it is not known yet"
WRONG_ARGUMENTS = "wrong arguments"  # how an error begins that a model may mend by another call
# What is said here and in mcp_calling of a tool that did not work, behind its name.
_BROKEN = re.compile(
    r" (is not answering|leads to an|can't be started|is not set up|refused \(|failed \("
    r"|is switched off|is held back|was under way)"
)
PLACE = re.compile(r"\{[^{}]*\}")
# Where businesses say why they refuse; "detail" and "title" are those of RFC 9457.
REASONS = ("error", "detail", "message", "title")
LONGEST_REASON = 200  # characters; more than that is no sentence for a customer


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a call brought: an answer, or {"error": sentence}, for the model to read."""

    data: dict[str, Any]
    milliseconds: float = 0.0
    status: int | None = None  # of the HTTP answer; None: there was none
    is_failure: bool = False  # the tool itself failed, rather than refused: the breaker counts it
    is_priced: bool = False  # a business was asked, which has its price, whatever came of it


def failed(result: dict[str, Any]) -> bool:
    """Say whether a result is an error; `"error": null` is how many a business says it is none."""
    return bool(result.get("error"))


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
    refusal = _refusal(tool, arguments, identified)
    if refusal is None:
        result = await _answer(tool, arguments, key, delegate, customer)
    else:
        result = ToolResult(refusal)
    return replace(result, milliseconds=round((time.perf_counter() - started) * 1000, 1))


async def _answer(
    tool: Tool, arguments: dict[str, Any], key: str, delegate: Delegate | None, customer: str
) -> ToolResult:
    if tool.uses_fixtures:
        return ToolResult(await recording.answer(tool, arguments))
    if tool.kind == ToolKind.SUBAGENT:
        return ToolResult(await _delegated(tool, arguments, key, delegate))
    try:
        if tool.kind == ToolKind.MCP:
            data = await mcp_calling.call_on_server(tool, arguments, key=key, customer=customer)
            return ToolResult(data, is_priced=mcp_calling.was_made(tool, data))
        return await _request(tool, arguments, key, customer)
    except reaching.ForbiddenAddress:
        return ToolResult({"error": f"{tool.name} leads to an address that tools may not reach"})
    except (httpx2.HTTPError, TimeoutError, mcp_client.ServerUnavailable):
        silent = {"error": f"{tool.name} is not answering"}
        return ToolResult(silent, is_failure=True, is_priced=True)


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
    return {"error": f"{WRONG_ARGUMENTS}: {wrong}"} if wrong else None


def is_broken(name: str, error: str) -> bool:
    """Say whether an error of the tool with this name says that it did not work.

    Not that the business refused, or that nobody could know what was asked.
    """
    ours = error.removeprefix(name) if error.startswith(name) else ""
    return _BROKEN.match(ours) is not None or error.startswith("the answer ")


async def _request(tool: Tool, arguments: dict[str, Any], key: str, customer: str) -> ToolResult:
    """Ask an HTTP endpoint.

    Raises:
        ForbiddenAddress: tools, or this tool's token, may not go there.
        HTTPError: no whole answer came.
        TimeoutError: it took too long.
    """
    body = arguments if tool.method == "POST" else None
    try:
        url = fill_url(tool.url, arguments)
        headers = {"Idempotency-Key": key, **reaching.bearer(tool.token_setting, url)}
        if customer:
            headers[CUSTOMER_HEADER] = quote(customer, safe="")
        async with (
            asyncio.timeout(tool.timeout_seconds),
            reaching.client(largest=tool.largest_answer, headers=headers) as client,
            client.stream(tool.method, url, json=body) as answer,
        ):
            return await _read(tool, answer)
    except (ValueError, httpx2.InvalidURL):
        return ToolResult({"error": f"{WRONG_ARGUMENTS}: they don't fit into an address"})


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


async def _read(tool: Tool, answer: httpx2.Response) -> ToolResult:
    """Read an answer; only a status of 2xx says that the business did what it was asked."""
    status = answer.status_code
    try:
        content = await answer.aread()
    except reaching.TooLarge:
        content = None
    if answer.is_success:
        return ToolResult(_object_in(content, status), status=status, is_priced=True)
    error = {"error": _why_refused(tool, status, _reason_in(content or b""))}
    return ToolResult(error, status=status, is_failure=answer.is_server_error, is_priced=True)


def _object_in(content: bytes | None, status: int) -> dict[str, Any]:
    if content is None:
        return {"error": "the answer is too large"}
    if not content.strip():
        return {}  # done, and nothing to say of it: 204
    try:
        data = storable(json.loads(content))
    except (ValueError, RecursionError):
        return {"error": f"the answer is not readable (status {status})"}
    if not isinstance(data, dict):
        return {"error": "the answer is not an object"}
    return data


def _why_refused(tool: Tool, status: int, reason: str) -> str:
    """Word a refusal. A reason of the business may be told to customers; a breakdown has none."""
    if status < 500:
        return reason or f"{tool.name} refused (status {status})"
    return f"{tool.name} failed (status {status})" + (f": {reason}" if reason else "")


def _reason_in(content: bytes) -> str:
    """Return the sentence in which a body says why, "" if there is none or only a long text."""
    try:
        body = storable(json.loads(content))
    except (ValueError, RecursionError):
        return ""
    said = [body.get(name) for name in REASONS] if isinstance(body, dict) else []
    texts = [" ".join(each.split()) for each in said if isinstance(each, str)]
    return next((text for text in texts if 0 < len(text) <= LONGEST_REASON), "")
