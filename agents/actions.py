"""The dialogue action: what the model writes each turn, its schema, and reading it back.

One JSON object carries what is said and what is done (the unified dialogue-action model of
the WOWService report, arXiv 2510.13291; the fields are ours). `reply` comes last, so that
it streams once the rest is known.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from agents.cleaning import storable

REPLY, CLARIFY, HANDOFF, CLOSE = "reply", "clarify", "handoff", "close"
BUILT_IN = (REPLY, CLARIFY, HANDOFF, CLOSE)
LONGEST_THOUGHT = 120  # characters; a longer one costs the customer a second
LONGEST_REPLY = 500


class UnreadableAction(ValueError):
    """The model's output is not a dialogue action."""


@dataclass(frozen=True, slots=True)
class DialogueAction:
    """What the model decided: why, by which rules, what to do, what to say."""

    name: str
    reply: str
    thought: str = ""
    knowledge: list[int] = field(default_factory=list)  # unit ids, as shown in the prompt
    arguments: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the object in the order in which the model writes it."""
        return {
            "thought": self.thought,
            "knowledge": list(self.knowledge),
            "action": {"name": self.name, "arguments": self.arguments},
            "reply": self.reply,
        }

    def as_json(self) -> str:
        """Return the exact text that the model is trained to write."""
        return json.dumps(self.as_dict(), ensure_ascii=False)

    @property
    def calls_a_tool(self) -> bool:
        return self.name not in BUILT_IN


def read_action(data: dict[str, Any]) -> DialogueAction:
    """Turn a stored or parsed object into an action.

    Raises:
        UnreadableAction: a part is missing or of another type.
    """
    try:
        action = data["action"]
        parsed = DialogueAction(
            thought=str(data.get("thought", "")),
            knowledge=[int(number) for number in data.get("knowledge", [])],
            name=_text(action["name"]),
            arguments=dict(action.get("arguments") or {}),
            reply=_text(data["reply"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UnreadableAction(f"Not a dialogue action: {error!r}") from None
    return parsed


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("Name and reply must be text.")
    return value


def parse_action(text: str) -> DialogueAction:
    """Read the model's output.

    Raises:
        UnreadableAction: it is not JSON, was cut off, or is no dialogue action.
    """
    try:
        data = storable(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise UnreadableAction(f"Not JSON: {error}") from None
    if not isinstance(data, dict):
        raise UnreadableAction("Not a JSON object.")
    return read_action(data)


def action_schema(*, tools: Sequence[dict[str, Any]], unit_ids: Sequence[int]) -> dict[str, Any]:
    """Build the JSON schema of what is allowed in one turn.

    Only rules that were found may be cited, and only the release's tools be called.
    `tools` are {"name", "description", "parameters": JSON schema}.
    """
    nothing = {"type": "object", "properties": {}, "additionalProperties": False}
    choices = [(name, nothing) for name in BUILT_IN]
    choices += [(tool["name"], closed(tool["parameters"])) for tool in tools]
    cited: dict[str, Any] = {"type": "array", "maxItems": 0}
    if unit_ids:
        cited = {"type": "array", "items": {"enum": list(unit_ids)}, "maxItems": 3}
    return _object(
        thought={"type": "string", "maxLength": LONGEST_THOUGHT},
        knowledge=cited,
        action={
            "anyOf": [
                _object(name={"const": name}, arguments=arguments) for name, arguments in choices
            ]
        },
        reply={"type": "string", "maxLength": LONGEST_REPLY},
    )


def _object(**properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def closed(parameters: dict[str, Any]) -> dict[str, Any]:
    """Return a schema of arguments that allows those it names alone."""
    properties = parameters.get("properties", {})
    return {
        "type": "object",
        "properties": properties,
        "required": parameters.get("required", list(properties)),
        "additionalProperties": False,
    }
