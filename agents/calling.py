"""Calling a tool: its arguments checked, its URL filled safely, its answer bounded."""

import asyncio
import json
import re
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
import jsonschema
from django.conf import settings

from agents.cleaning import storable
from agents.models import Tool
from wowconsole.env import env_secret

LARGEST_ANSWER = 16_384  # bytes
# Many servers undo escapes before they choose the view, and step up at dots.
LEADS_ELSEWHERE = re.compile(r"[/\\]|^\.{0,2}$")


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a call brought; a failure is {"error": sentence}, for the model to read."""

    data: dict[str, Any]
    milliseconds: float


async def call_tool(tool: Tool, arguments: dict[str, Any], *, key: str) -> ToolResult:
    """Call `tool` once. `key` goes out as Idempotency-Key: the same key acts once.

    Never raises: whatever goes wrong becomes a result that the model can speak about.
    """
    started = time.perf_counter()
    data = _wrong_arguments(tool, arguments) or await _request(tool, arguments, key)
    return ToolResult(data, round((time.perf_counter() - started) * 1000, 1))


def _wrong_arguments(tool: Tool, arguments: dict[str, Any]) -> dict[str, Any] | None:
    try:
        jsonschema.validate(arguments, tool.parameters)
    except jsonschema.ValidationError as error:
        return {"error": f"wrong arguments: {error.message[:200]}"}
    except jsonschema.SchemaError:
        return {"error": f"{tool.name} is not set up correctly"}
    return None


async def _request(tool: Tool, arguments: dict[str, Any], key: str) -> dict[str, Any]:
    headers = {"Idempotency-Key": key}
    if name := tool.token_setting:
        headers["Authorization"] = f"Bearer {getattr(settings, name, '') or env_secret(name)}"
    body = arguments if tool.method == "POST" else None
    try:
        url = fill_url(tool.url, arguments)
        async with (
            asyncio.timeout(tool.timeout_seconds),  # httpx's own is for each read alone
            httpx.AsyncClient(timeout=None) as client,  # noqa: S113 (the line above)
            client.stream(tool.method, url, json=body, headers=headers) as answer,
        ):
            return await _read(answer)
    except (ValueError, httpx.InvalidURL):
        return {"error": "wrong arguments: they don't fit into an address"}
    except (httpx.HTTPError, TimeoutError):
        return {"error": f"{tool.name} is not answering"}


def fill_url(url: str, arguments: dict[str, Any]) -> str:
    """Put arguments in the braces of `url`, escaped; a bare path is one of this server.

    What a model or a customer wrote can thus never lead to another path or host.

    Raises:
        ValueError: a value would lead to another path.
    """
    for name, value in arguments.items():
        mark, text = "{" + name + "}", str(value)
        if mark in url.partition("?")[0] and LEADS_ELSEWHERE.search(text):
            raise ValueError(f"{text!r} is not part of a path.")
        url = url.replace(mark, quote(text, safe=""))
    return settings.PUBLIC_URL + url if url.startswith("/") else url


async def _read(answer: httpx.Response) -> dict[str, Any]:
    body = b""
    async for piece in answer.aiter_bytes():
        body += piece
        if len(body) > LARGEST_ANSWER:
            return {"error": "the answer is too large"}
    try:
        data = storable(json.loads(body))
    except (ValueError, RecursionError):
        return {"error": f"the answer is not readable (status {answer.status_code})"}
    if not isinstance(data, dict):
        return {"error": "the answer is not an object"}
    return data
