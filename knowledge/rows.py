"""The cells of a row to the fields of a rule; what does not fit is said in words."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from knowledge import services
from knowledge.models import Risk
from knowledge.reading import Unreadable, listed

# Other people's names for our columns: the first that is present counts.
ALIASES = {"external_id": ("id",), "scene": ("flow",)}


def value_of(values: dict[str, Any], column: str) -> Any:
    names = (column, *ALIASES.get(column, ()))
    return next((values[name] for name in names if values.get(name) not in (None, "")), None)


def text_of(value: Any) -> str:
    if isinstance(value, Unreadable):
        raise ValidationError(value.why)
    if isinstance(value, dict | list | bool):
        raise ValidationError(f"{str(value)[:80]} is not a text.")
    return "" if value is None else str(value).strip()


def plain(values: dict[str, Any], column: str) -> str:
    """Return a cell's text, and nothing where it has none; the row itself is judged later."""
    value = value_of(values, column)
    # PostgreSQL compares no text with a NUL in it.
    return str(value).strip().replace("\0", "") if isinstance(value, str | int | float) else ""


def fields_of(values: dict[str, Any]) -> dict[str, Any]:
    """Read the columns of a revision; a column that is absent keeps its value."""
    readers: dict[str, Callable[[Any], Any]] = {
        **dict.fromkeys(services.REVISION_FIELDS, text_of),
        **dict.fromkeys(services.AUDIENCE_FIELDS, _names),
        "questions": _questions,
        "priority": _priority,
        "risk": _risk,
        "valid_from": _moment,
        "valid_until": _moment,
    }
    required = dict.fromkeys(("title", "condition", "content"), "")  # empty is reported
    present = [column for column in services.REVISION_FIELDS if column in values]
    return required | {column: readers[column](values[column]) for column in present}


def _risk(value: Any) -> str:
    return text_of(value).lower() or Risk.LOW


def _questions(value: Any) -> list[str]:
    return [text_of(item) for item in value] if isinstance(value, list) else listed(text_of(value))


def _names(value: Any) -> list[str]:
    if isinstance(value, list):
        return [text_of(item) for item in value]
    return listed(text_of(value), ",\n")


def _priority(value: Any) -> int:
    text = text_of(value)
    try:
        return int(text.removesuffix(".0") or 0)  # a sheet's 5 may be 5.0
    except ValueError:
        raise ValidationError({"priority": f"“{text[:40]}” is not a whole number."}) from None


def revision_of(values: dict[str, Any], latest: int) -> int:
    """Return the number of the revision that the row was written from; absent: the latest."""
    text = text_of(values.get("revision")).removesuffix(".0")
    number = int(text) if text.isdecimal() and len(text) < 10 else 0
    if not text:
        return latest
    if not 0 < number <= latest:
        raise ValidationError({"revision": f"The rule has no revision “{text[:40]}”."})
    return number


def _moment(value: Any) -> datetime | None:
    moment = value if isinstance(value, datetime) else _parsed_moment(text_of(value))
    if moment is None:
        return None
    return timezone.make_aware(moment) if timezone.is_naive(moment) else moment


def _parsed_moment(text: str) -> datetime | None:
    try:
        moment = parse_datetime(text) or parse_datetime(f"{text}T00:00")
    except ValueError:
        moment = None
    if text and moment is None:
        raise ValidationError(f"“{text[:40]}” is not a time such as 2026-03-01T09:00+08:00.")
    return moment


def in_words(error: ValidationError) -> str:
    if not hasattr(error, "error_dict"):
        return " ".join(error.messages)
    return " ".join(f"{name}: {' '.join(texts)}" for name, texts in error.message_dict.items())
