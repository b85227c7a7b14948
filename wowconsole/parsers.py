"""Reading the bodies of API requests."""

from collections.abc import Iterable, Mapping
from io import BytesIO
from typing import IO, Any

from django.core.exceptions import RequestDataTooBig
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

MOST_LEVELS = 64  # of lists and objects in each other: whatever walks through them calls itself
MOST_BYTES = 10 * 2**20  # larger things come as files
TOO_DEEP = f"JSON here has at most {MOST_LEVELS} levels."


class LevelJSONParser(JSONParser):
    """Refuses what is too long to read at once, or nested so deep that the stack would not do."""

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        body = stream.read(MOST_BYTES + 1)
        if len(body) > MOST_BYTES:
            raise RequestDataTooBig
        try:
            data = super().parse(BytesIO(body), media_type, parser_context)
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
