"""Calling a tool: its arguments checked, its URL filled safely, its answer bounded."""

import json
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
import jsonschema
from django.conf import settings

from agents.models import Tool

LARGEST_ANSWER = 16_384  # bytes


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
    return None


async def _request(tool: Tool, arguments: dict[str, Any], key: str) -> dict[str, Any]:
    headers = {"Idempotency-Key": key}
    if tool.token_setting:
        headers["Authorization"] = f"Bearer {getattr(settings, tool.token_setting)}"
    body = arguments if tool.method == "POST" else None
    try:
        async with httpx.AsyncClient(timeout=tool.timeout_seconds) as client:
            answer = await client.request(
                tool.method, fill_url(tool.url, arguments), json=body, headers=headers
            )
    except httpx.HTTPError:
        return {"error": f"{tool.name} is not answering"}
    return _read(answer)


def fill_url(url: str, arguments: dict[str, Any]) -> str:
    """Put arguments in the braces of `url`, escaped; a bare path is one of this server.

    What a model or a customer wrote can thus never lead to another path or host.
    """
    for name, value in arguments.items():
        url = url.replace("{" + name + "}", quote(str(value), safe=""))
    return settings.PUBLIC_URL + url if url.startswith("/") else url


def _read(answer: httpx.Response) -> dict[str, Any]:
    if len(answer.content) > LARGEST_ANSWER:
        return {"error": "the answer is too large"}
    try:
        data = answer.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        return {"error": f"the answer is not readable (status {answer.status_code})"}
    if not isinstance(data, dict):
        return {"error": "the answer is not an object"}
    return data
