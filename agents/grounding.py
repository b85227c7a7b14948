"""Holding a tool's arguments to what the dialogue says.

A parameter with a `pattern` is an identifier (an order number). A model may copy one, never
invent one: the turn's schema allows only those that stand in the dialogue, and a tool whose
identifier nobody has named can't be called yet. Nor can one be called again as it was before in
the same turn: a model that is told "no such order" would ask the same once more, for ever.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from agents import addressing, promising, schemas
from agents.actions import closed
from agents.patterns import runs_away
from agents.sources import Grounds, source
from knowledge.scripts import LETTER, UNSPACED, WORD

# Letters before digits, or a longer number that is no sum of money: not "2 burgers" or "2pm".
_LIKE_ONE = re.compile(
    rf"(?<!{LETTER})(?:[A-Z]{{1,6}}[-_/#]?\d{WORD}+|(?<![$€£¥.,])\d{{4,}}{WORD}*)"
)
_CODE = re.compile(rf"(?<!{LETTER})[A-Za-z]+[-_#]?\d{WORD}*")  # GW1001: its figures are none
_LONG_WORD = re.compile(r"\S{65,}")  # is no identifier, and takes long to look through
_UNSPACED = re.compile(f"[{UNSPACED}]+")
Arguments = Mapping[str, Any]
Known = Callable[[str], list[str]]  # the identifiers that a pattern finds
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
    parameters = tool["parameters"]
    properties = parameters.get("properties", {})
    if made and not properties:
        return None
    [alone] = properties if len(properties) == 1 else [""]
    used = [arguments.get(alone) for arguments in made] if alone else []

    def known(pattern: str) -> list[str]:
        named = dict.fromkeys([*identifiers(pattern, latest)] or identifiers(pattern, dialogue))
        return [identifier for identifier in named if identifier not in used]

    limited = _bound(parameters, known)
    return limited and {**tool, "parameters": limited}


def _bound(schema: Any, known: Known) -> Any:
    """Return a schema that allows known identifiers alone, however deep; None: it needs others."""
    if not isinstance(schema, dict):
        return schema
    if "pattern" in schema:
        named = known(schema["pattern"])
        return {"enum": named} if named else None
    parts = {name: bind(schema[name], known) for name, bind in _PARTS.items() if name in schema}
    if None in parts.values():
        return None
    lacking = schema.get("properties", {}).keys() - parts.get("properties", {}).keys()
    needed: Any = schema.get("required", schema.get("properties", {}))
    return None if lacking & set(needed) else schema | parts


def _bound_properties(properties: dict[str, Any], known: Known) -> dict[str, Any]:
    """Return those that can be given."""
    bound = {name: _bound(schema, known) for name, schema in properties.items()}
    return {name: schema for name, schema in bound.items() if schema is not None}


def _bound_choices(choices: list[Any], known: Known) -> list[Any] | None:
    bound = [_bound(schema, known) for schema in choices]
    return [schema for schema in bound if schema is not None] or None


_PARTS: dict[str, Callable[[Any, Known], Any]] = {
    "properties": _bound_properties,
    "items": _bound,
    "anyOf": _bound_choices,
    "oneOf": _bound_choices,
}


def objection(arguments: dict[str, Any], tool: dict[str, Any]) -> str:
    """Return what breaks the limits that `grounded` put on `tool`, "" for nothing.

    The engine keeps to them by its grammar; one that knows no grammar must not get round them.
    """
    try:
        return schemas.fault(arguments, closed(tool["parameters"])) or ""
    except schemas.BadSchema as error:
        return str(error)


def mistyped(text: str, patterns: Collection[str]) -> bool:
    """Say whether a text names what looks like an identifier, and is none by these patterns.

    Who writes GW10099 or 1O09 means no order that was named before.
    """
    known = {each for pattern in patterns for each in identifiers(pattern, text)}
    alike = _LIKE_ONE.findall(text.upper()) if patterns else []
    return any(not any(word in each for each in known) for word in alike)


def identifiers(pattern: str, dialogue: str) -> Iterator[str]:
    """Yield what matches, newest first; customers write "gw1042" for GW1042."""
    if runs_away(pattern):
        return
    bare = pattern.removeprefix("^").removesuffix("$")
    text = _LONG_WORD.sub(_without_letters, dialogue)
    found = re.finditer(rf"(?<!{WORD})(?:{bare})(?!{WORD})", text, flags=re.IGNORECASE)
    for text in reversed([match[0] for match in found]):
        for written in (text, text.upper()):
            if re.search(pattern, written):
                yield written
                break


def _without_letters(word: re.Match[str]) -> str:
    """Return what is left of a long word without letters that need no spaces between words."""
    return _LONG_WORD.sub(" ", _UNSPACED.sub(" ", word[0]))


def made_up(arguments: dict[str, Any], tool: dict[str, Any], texts: Collection[str]) -> list[str]:
    """Return objections to the figures, promises and addresses in arguments that no text gives.

    What is chosen from a list, as identifiers are, has its source. A customer's own words are one
    here: to what is done with them the customer agrees.
    """
    grounds = Grounds(staff=[source(_CODE.sub(" ", text)) for text in texts])
    return [
        f"nobody said: {each}"
        for value in _free(arguments, tool["parameters"])
        for said in [": " + _CODE.sub(" ", value)]  # 19.6 is no 19th entry of a list
        for each in (*promising.unbacked(said, grounds), *addressing.unsourced(said, grounds))
    ]


def _free(value: Any, schema: Any) -> Iterator[str]:
    """Yield in words what was given where a schema has no list to choose from."""
    schema = schema if isinstance(schema, dict) else {}
    if "enum" in schema or "const" in schema or value in (None, 0, 1):  # "a pizza" is one
        return
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _free(each, schema.get("properties", {}).get(name))
    elif isinstance(value, list):
        for each in value:
            yield from _free(each, schema.get("items"))
    else:
        yield str(value)
