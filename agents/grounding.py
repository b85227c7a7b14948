"""Holding a tool's arguments to what the dialogue says.

A parameter with a `pattern` is an identifier (an order number). A model may copy one, never
invent one: the turn's schema allows only those that stand in the dialogue, and a tool whose
identifier nobody has named can't be called yet. Nor can one be called again as it was before in
the same turn: a model that is told "no such order" would ask the same once more, for ever.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from agents.patterns import runs_away

_LONG_WORD = re.compile(r"\S{65,}")  # is no identifier, and takes long to look through
Arguments = Mapping[str, Any]
Made = Mapping[str, Collection[Arguments]]  # the arguments of calls already made, by tool


def grounded(
    tools: Sequence[dict[str, Any]],
    dialogue: str,
    made: Made = MappingProxyType({}),
    *,
    latest: str = "",
) -> list[dict[str, Any]]:
    """Return the tools that can be called now, their identifiers limited to those in `dialogue`.

    `tools` are {"name", "description", "parameters": JSON schema}; the order is kept. What was
    `made` is left out where the schema can say so: of tools with one parameter or none.

    Args:
        latest: the end of the dialogue; where it names identifiers, only those count.
    """
    limited = [_limited(tool, dialogue, latest, made.get(tool["name"], ())) for tool in tools]
    return [tool for tool in limited if tool is not None]


def _limited(
    tool: dict[str, Any], dialogue: str, latest: str, made: Collection[Arguments]
) -> dict[str, Any] | None:
    properties = dict(tool["parameters"].get("properties", {}))
    if made and not properties:
        return None
    for name, schema in properties.items():
        if "pattern" not in schema:
            continue
        used = [arguments.get(name) for arguments in made] if len(properties) == 1 else []
        pattern = schema["pattern"]
        named = dict.fromkeys([*identifiers(pattern, latest)] or identifiers(pattern, dialogue))
        known = [identifier for identifier in named if identifier not in used]
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


def identifiers(pattern: str, dialogue: str) -> Iterator[str]:
    """Yield what matches, newest first; customers write "gw1042" for GW1042."""
    if runs_away(pattern):
        return
    bare = pattern.removeprefix("^").removesuffix("$")
    text = _LONG_WORD.sub(" ", dialogue)
    found = re.finditer(rf"(?<!\w)(?:{bare})(?!\w)", text, flags=re.IGNORECASE)
    for text in reversed([match[0] for match in found]):
        for written in (text, text.upper()):
            if re.search(pattern, written):
                yield written
                break
