"""The goal card of a call: whom, why, what to find out, what may be offered, when to stop."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jsonschema
from jsonschema.exceptions import best_match

from agents.prompting import BUSINESS
from agents.subagents import GaveUp

KINDS = ("yes_no", "number", "duration", "money", "date", "time", "choice", "text")
MOST_EXCHANGES = 12  # unless the card says otherwise
REFUSALS, SILENCES = 2, 2  # after so many the agent thanks and hangs up

_TEXT = {"type": "string", "minLength": 1, "maxLength": 300}
_FACT = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "pattern": "^[a-z][a-z0-9_]{0,29}$"},
        "question": _TEXT,
        "kind": {"enum": list(KINDS)},
        "choices": {"type": "array", "items": _TEXT, "minItems": 2, "maxItems": 9},
        "required": {"type": "boolean"},
    },
    "required": ["name", "question", "kind"],
    "if": {"properties": {"kind": {"const": "choice"}}},
    "then": {"required": ["choices"]},
    "additionalProperties": False,
}
_OFFER = {
    "type": "object",
    "properties": {"name": {"type": "string", "pattern": "^[a-z][a-z0-9_]{0,29}$"}, "words": _TEXT},
    "required": ["name", "words"],
    "additionalProperties": False,
}
CARD: dict[str, Any] = {
    "type": "object",
    "properties": {
        "whom": {
            "type": "object",
            "properties": {"name": _TEXT, "address": {"type": "string", "maxLength": 200}},
            "required": ["name"],
            "additionalProperties": False,
        },
        "why": _TEXT,
        "for_whom": _TEXT,  # the business that calls
        "facts": {"type": "array", "items": _FACT, "minItems": 1, "maxItems": 8},
        "offers": {"type": "array", "items": _OFFER, "maxItems": 5},
        "stop": {
            "type": "object",
            "properties": {
                "refusals": {"type": "integer", "minimum": 1, "maximum": 5},
                "silences": {"type": "integer", "minimum": 1, "maximum": 5},
            },
            "additionalProperties": False,
        },
        "most_exchanges": {"type": "integer", "minimum": 2, "maximum": 40},
        "language": {"enum": ["en", "zh"]},
    },
    "required": ["whom", "why", "facts"],
    "additionalProperties": False,
}
_CHECKED = jsonschema.Draft202012Validator(CARD)  # made once: checking the schema takes longest
_BLANK = re.compile(r"\{([a-z_]+)\}")


@dataclass(frozen=True, slots=True)
class Fact:
    """Something to find out; `kind` decides how it is read from what the callee says."""

    name: str
    question: str
    kind: str
    choices: tuple[str, ...] = ()
    required: bool = True


@dataclass(frozen=True, slots=True)
class Offer:
    """Something the agent may offer, in these very words."""

    name: str
    words: str


@dataclass(frozen=True, slots=True)
class Card:
    """What a call is for, and how far the agent may go in it."""

    whom: str
    address: str
    why: str
    facts: tuple[Fact, ...]
    offers: tuple[Offer, ...] = ()
    for_whom: str = BUSINESS
    refusals: int = REFUSALS
    silences: int = SILENCES
    most_exchanges: int = MOST_EXCHANGES
    language: str = "en"
    data: dict[str, Any] = field(default_factory=dict)  # as it was given

    def fact(self, name: str) -> Fact | None:
        return next((fact for fact in self.facts if fact.name == name), None)

    @property
    def required(self) -> list[Fact]:
        return [fact for fact in self.facts if fact.required]


def read_card(data: dict[str, Any]) -> Card:
    """Read a card from JSON.

    Raises:
        GaveUp: it breaks the schema.
    """
    if error := best_match(_CHECKED.iter_errors(data)):
        raise GaveUp(f"The goal card is not usable: {error.message[:200]}")
    facts = [Fact(**{**fact, "choices": tuple(fact.get("choices", ()))}) for fact in data["facts"]]
    rest = {name: data[name] for name in ("for_whom", "most_exchanges", "language") if name in data}
    return Card(
        whom=data["whom"]["name"],
        address=data["whom"].get("address", ""),
        why=data["why"],
        facts=tuple(facts),
        offers=tuple(Offer(**offer) for offer in data.get("offers", [])),
        data=data,
        **rest,
        **data.get("stop", {}),
    )


def fill(card: dict[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """Return a plan's card with its {blanks} filled; one that nothing is known for stays empty.

    What is filled in is cut short and can't open a blank of its own.
    """

    def filled(value: Any) -> Any:
        match value:
            case str():
                text = _BLANK.sub(lambda blank: _short(known.get(blank[1], "")), value)
                return " ".join(text.split())[:300]
            case list():
                return [filled(item) for item in value]
            case dict():
                return {name: filled(item) for name, item in value.items()}
        return value

    return dict(filled(card))


def blanks(card: Any) -> set[str]:
    """Return the names of a card's {blanks}."""
    match card:
        case str():
            return set(_BLANK.findall(card))
        case list():
            return set().union(*(blanks(item) for item in card))
        case dict():
            return blanks(list(card.values()))
    return set()


def _short(value: Any) -> str:
    return " ".join(str(value).split())[:120]
