"""Reading the bodies of API requests."""

from collections.abc import Iterable, Mapping
from typing import IO, Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

MOST_LEVELS = 64  # of lists and objects in each other: whatever walks through them calls itself
TOO_DEEP = f"JSON here has at most {MOST_LEVELS} levels."


class LevelJSONParser(JSONParser):
    """Refuses what is nested so deep that reading or storing it would exhaust the stack."""

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        try:
            data = super().parse(stream, media_type, parser_context)
        except RecursionError:
            raise ParseError(TOO_DEEP) from None
        if _is_deep(data):
            raise ParseError(TOO_DEEP)
        return data


def _is_deep(data: Any) -> bool:
    level = [data]
    for _ in range(MOST_LEVELS):
        level = [inner for value in level for inner in _within(value)]
    return any(isinstance(value, dict | list) for value in level)


def _within(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
