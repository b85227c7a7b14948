"""Holding a tool's arguments to what the dialogue says.

A parameter with a `pattern` is an identifier (an order number). A model may copy one, never
invent one: the turn's schema allows only those that stand in the dialogue, and a tool whose
identifier nobody has named can't be called yet.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any


def grounded(tools: Sequence[dict[str, Any]], dialogue: str) -> list[dict[str, Any]]:
    """Return the tools that can be called now, their identifiers limited to those in `dialogue`.

    `tools` are {"name", "description", "parameters": JSON schema}; the order is kept.
    """
    return [limited for tool in tools if (limited := _limited(tool, dialogue)) is not None]


def _limited(tool: dict[str, Any], dialogue: str) -> dict[str, Any] | None:
    properties = dict(tool["parameters"].get("properties", {}))
    for name, schema in properties.items():
        if "pattern" not in schema:
            continue
        known = list(dict.fromkeys(_identifiers(schema["pattern"], dialogue)))
        if not known:
            return None
        properties[name] = {"enum": known}
    return {**tool, "parameters": {**tool["parameters"], "properties": properties}}


def invents(arguments: dict[str, Any], tool: dict[str, Any]) -> bool:
    """Say whether `arguments` break the limits that `grounded` put on `tool`.

    The engine keeps to them by its grammar; one that knows no grammar must not get round them.
    """
    properties = tool["parameters"].get("properties", {})
    return any(
        "enum" in schema and name in arguments and arguments[name] not in schema["enum"]
        for name, schema in properties.items()
    )


def _identifiers(pattern: str, dialogue: str) -> Iterator[str]:
    """Yield what matches, newest first; customers write "gw1042" for GW1042."""
    bare = pattern.removeprefix("^").removesuffix("$")
    found = re.finditer(rf"(?<!\w)(?:{bare})(?!\w)", dialogue, flags=re.IGNORECASE)
    for text in reversed([match[0] for match in found]):
        for written in (text, text.upper()):
            if re.search(pattern, written):
                yield written
                break
