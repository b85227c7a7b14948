"""Holding a tool's arguments to what the dialogue says.

A parameter with a `pattern` is an identifier (an order number). A model may copy one, never
invent one: the turn's schema allows only those that stand in the dialogue, and a tool whose
identifier nobody has named can't be called yet. Nor can one be called again as it was before in
the same turn: a model that is told "no such order" would ask the same once more, for ever.
"""

import re
import string
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import lru_cache
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
_SIGNS = re.compile(r"[-_/#]")
_BEGINS = re.compile(r"\^?#?([A-Za-z]{1,6})([-_#]?)(?![?*+{])")
# Numbers of other things: "my card ending 4242", "at 1930", "in 2026", "call me at 5551234".
_OF_OTHERS = re.compile(
    r"\b(?:in|at|by|since|until|till|before|after|end(?:ing|s)?|card|year|room|flat|apartment|pin"
    r"|zip|phone|tel|call(?: me)?|dial)\b(?:\W+(?:in|with|on|at|is|number))?\W{1,3}\d+\b"
    r"|(?:尾号|卡号|电话|手机号?)\W{0,3}\d+",
    re.IGNORECASE,
)
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
    known = {_bare(each) for pattern in patterns for each in identifiers(pattern, text)}
    alike = [_bare(word) for word in _LIKE_ONE.findall(_OF_OTHERS.sub(" ", text).upper())]
    unknown = [word for word in alike if not any(word in each for each in known)]
    return any(_resembles(word, pattern) for word in unknown for pattern in patterns)


def _bare(word: str) -> str:
    return _SIGNS.sub("", word)


def _resembles(word: str, pattern: str) -> bool:
    """Say whether a word has an identifier's letters, or its length but for a sign."""
    letters = _beginning(pattern)[0].upper()
    widths = re._parser.parse(pattern).getwidth()  # type: ignore[attr-defined]
    begins = word[: len(word) - len(word.lstrip(string.ascii_uppercase))]
    if begins and begins == letters:
        return True
    shortest, most = (width - (0 if begins else len(letters)) for width in widths)
    return bool(shortest - 1 <= len(word) <= most + 1)


def identifiers(pattern: str, dialogue: str) -> Iterator[str]:
    """Yield what matches, newest first; customers write "gw1042" for GW1042."""
    if runs_away(pattern):
        return
    bare = pattern.removeprefix("^").removesuffix("$")
    text = _LONG_WORD.sub(_without_letters, _spelt(pattern, dialogue))
    found = re.finditer(rf"(?<!{WORD})(?:{bare})(?!{WORD})", text, flags=re.IGNORECASE)
    for text in reversed([match[0] for match in found]):
        for written in (text, text.upper()):
            if re.search(pattern, written):
                yield written
                break


def words_beside(patterns: Collection[str], text: str) -> set[str]:
    """Return the words of a text but for the identifiers in it."""
    named: set[str] = set()
    for pattern in patterns:
        text = _spelt(pattern, text)
        named.update(identifiers(pattern, text))
    return words_in(text) - {word for each in named for word in words_in(each)}


def _spelt(pattern: str, text: str) -> str:
    """Return a text with identifiers as the pattern has them: "gw 1042" is GW1042."""
    letters, sign = _beginning(pattern)
    if not letters:
        return text
    spaced = rf"(?<!{WORD})({letters})[-_\s#]{{0,2}}(?=\d)"
    return re.sub(spaced, rf"\g<1>{sign}", text, flags=re.IGNORECASE)


@lru_cache(maxsize=256)
def _beginning(pattern: str) -> tuple[str, str]:
    """Return the letters with which every identifier of a pattern begins, and the sign behind."""
    begins = _BEGINS.match(pattern)
    return (begins[1], begins[2]) if begins and "|" not in pattern else ("", "")


def words_in(text: str) -> set[str]:
    """Return the words of a text, of one without spaces its letters."""
    return {word.lower() for word in re.findall(rf"{WORD}+|[{UNSPACED}]", text)}


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
