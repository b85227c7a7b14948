"""What a policy asks of an event's data, and the message made of it. Plain data, no Django.

Deliberately small: rows of field, operator and value that must all hold. Nothing is run.
"""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z0-9_]+)*")
BLANK = re.compile(r"\{([^{}]*)\}")
LONGEST_VALUE = 80  # characters of one that goes into a message
MISSING = object()

Condition = dict[str, Any]


class MissingField(ValueError):
    """The template names what the event does not tell."""


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """Compare numbers with numbers and texts with texts; else it does not hold."""

    def holds(left: Any, right: Any) -> bool:
        numbers = all(isinstance(x, int | float) and not isinstance(x, bool) for x in (left, right))
        texts = isinstance(left, str) and isinstance(right, str)
        return (numbers or texts) and compare(left, right)

    return holds


OPERATORS: dict[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "eq": ("is", lambda left, right: left == right),
    "ne": ("is not", lambda left, right: left != right),
    "gt": ("is more than", _ordered(lambda left, right: left > right)),
    "gte": ("is at least", _ordered(lambda left, right: left >= right)),
    "lt": ("is less than", _ordered(lambda left, right: left < right)),
    "lte": ("is at most", _ordered(lambda left, right: left <= right)),
    "in": ("is one of", lambda left, right: isinstance(right, list) and left in right),
    "contains": (
        "contains",
        lambda left, right: isinstance(left, str | list) and (
            right in left if isinstance(left, list) else str(right) in left
        ),
    ),
    "exists": ("is told", lambda left, right: (left is not MISSING) is (right is not False)),
}  # fmt: skip


def read_value(text: str) -> Any:
    """Return what somebody typed as a value: JSON where it is that, else the text itself."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text.strip()


def wrong(conditions: Any) -> str:
    """Return why these are no conditions, "" if they are."""
    if not isinstance(conditions, list) or not all(isinstance(row, dict) for row in conditions):
        return "Conditions are a list of objects."
    for row in conditions:
        if set(row) != {"field", "op", "value"}:
            return "A condition has field, op and value."
        if not isinstance(row["field"], str) or not FIELD.fullmatch(row["field"]):
            return f"{row['field']!r} is no field; write order.minutes_late."
        if row["op"] not in OPERATORS:
            return f"Unknown operator; known are {', '.join(OPERATORS)}."
    return ""


def lookup(data: Any, field: str) -> Any:
    """Return the value at a dotted path of objects, or MISSING."""
    for name in field.split("."):
        if not isinstance(data, dict) or name not in data:
            return MISSING
        data = data[name]
    return data


def unmet(conditions: Sequence[Condition], data: dict[str, Any]) -> str:
    """Return the first condition that does not hold, in words; "" if all do."""
    for row in conditions:
        value = lookup(data, row["field"])
        _, holds = OPERATORS[row["op"]]
        if (value is MISSING and row["op"] != "exists") or not holds(value, row["value"]):
            was = "missing" if value is MISSING else json.dumps(value, ensure_ascii=False)[:60]
            return f"{in_words(row)}: it is {was}"
    return ""


def in_words(row: Condition) -> str:
    words, _ = OPERATORS[row["op"]]
    value = "" if row["op"] == "exists" else " " + json.dumps(row["value"], ensure_ascii=False)
    return f"{row['field']} {words}{value}"


def blanks_of(template: str) -> list[str]:
    """Return the fields a template names.

    Raises:
        ValueError: something in braces is no field.
    """
    fields = [match.strip() for match in BLANK.findall(template)]
    for field in fields:
        if not FIELD.fullmatch(field):
            raise ValueError(f"{{{field}}} is no field of an event.")
    return fields


def fill(template: str, data: dict[str, Any]) -> str:
    """Put the event's values in the blanks, each as one short line of plain text.

    Raises:
        MissingField: a value is not told, or is no text or number.
    """

    def value_of(match: re.Match[str]) -> str:
        value = lookup(data, match[1].strip())
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise MissingField(f"The event does not tell {match[1].strip()}.")
        return " ".join(str(value).split())[:LONGEST_VALUE]

    return BLANK.sub(value_of, template).strip()
