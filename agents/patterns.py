"""Which patterns may be searched for in what customers write: those that are done in a while.

Python's `re` tries every way to match. One repeat inside another has as many ways as there are
parts of a text: `^([A-Z0-9]+-?)+$` takes minutes over thirty letters, and nothing else is done
meanwhile.
"""

import re
from functools import lru_cache
from typing import Any

REPEATS = 8  # from so many on a repeat counts as one without end
_REPEATING = {"MAX_REPEAT", "MIN_REPEAT"}


@lru_cache(maxsize=256)
def runs_away(pattern: str) -> bool:
    """Say whether a search for the pattern may take longer than anybody waits.

    Raises:
        re.error: it can't be read.
    """
    return _runs_away(re._parser.parse(pattern))  # type: ignore[attr-defined]


def _runs_away(parts: Any) -> bool:
    return any(
        (_is_endless(name, value) and _varies(value[2])) or any(map(_runs_away, _inside(value)))
        for name, value in _named(parts)
    )


def _is_endless(name: str, value: Any) -> bool:
    return name in _REPEATING and int(value[1]) >= REPEATS


def _varies(parts: Any) -> bool:
    """Say whether a repeated part has several ways to match the same text.

    A sign that can't be part of the one thing that varies marks where each begins:
    `[a-z0-9]+(-[a-z0-9]+)*`.
    """
    found = list(_named(parts))
    if found and found[0][0] == "LITERAL" and _is_apart(found[0][1], found[1:]):
        return False
    return any(
        name == "BRANCH"
        or (name in _REPEATING and value[0] != value[1])
        or any(map(_varies, _inside(value)))
        for name, value in found
    )


def _is_apart(sign: int, rest: list[tuple[str, Any]]) -> bool:
    """Say whether the rest is one repeated set of letters or digits, and the sign is neither."""
    if chr(sign).isalnum() or len(rest) != 1 or rest[0][0] not in _REPEATING:
        return False
    repeated = _named(rest[0][1][2])
    return len(repeated) == 1 and repeated[0][0] == "IN" and _lacks(sign, repeated[0][1])


def _lacks(sign: int, letters: Any) -> bool:
    return all(
        (name == "LITERAL" and value != sign)
        or (name == "RANGE" and not value[0] <= sign <= value[1])
        or (name == "CATEGORY" and str(value) == "CATEGORY_DIGIT")
        for name, value in _named(letters)
    )


def _named(parts: Any) -> list[tuple[str, Any]]:
    return [(str(name), value) for name, value in parts]


def _inside(value: Any) -> list[Any]:
    """Return the parts within what one step of a pattern holds: groups, branches, repeats."""
    if isinstance(value, re._parser.SubPattern):  # type: ignore[attr-defined]
        return [value]
    if isinstance(value, tuple | list):
        return [part for each in value for part in _inside(each)]
    return []
