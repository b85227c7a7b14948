"""Recorded answers: a tool that uses fixtures answers from them, and nothing is called."""

import hashlib
import json
from typing import Any

from agents.models import Tool, ToolFixture


def canonical(value: Any) -> str:
    """Write JSON so that equal values are equal texts: names sorted, no blanks."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def digest(arguments: dict[str, Any]) -> str:
    return hashlib.sha256(canonical(arguments).encode()).hexdigest()


async def answer(tool: Tool, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return what was recorded for exactly these arguments, or an error that says so."""
    fixture = await ToolFixture.objects.filter(tool=tool, digest=digest(arguments)).afirst()
    if fixture is None:
        return {"error": f"{tool.name} has no fixture for these arguments"}
    result: dict[str, Any] = fixture.result
    return result
