"""Reading a dialogue action while it is still being written."""

import json
import re

from agents.actions import BUILT_IN, DialogueAction, UnreadableAction, parse_action
from agents.cleaning import storable

REPLY_BEGINS = re.compile(r'"reply"\s*:\s*"')
ACTION_NAME = re.compile(r'"action"\s*:\s*\{\s*"name"\s*:\s*"([\w-]+)"')
WHOLE_CHARACTERS = re.compile(r'(?:[^"\\]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*')


class ReplyStream:
    """Feed it pieces of output; it returns the new characters of a spoken reply.

    The sentence beside a tool call is not spoken as a message, so nothing of it comes out.
    """

    def __init__(self) -> None:
        self._text = ""
        self._begins_at: int | None = None
        self._spoken = ""

    def feed(self, piece: str) -> str:
        """Return what the reply gained, "" while it has not begun."""
        self._text += piece
        if self._begins_at is None and not self._find_beginning():
            return ""
        whole = self._decoded()
        gained, self._spoken = whole[len(self._spoken) :], whole
        return gained

    def decided(self) -> DialogueAction | None:
        """Return all but the reply once it begins: what is done, and by which rules."""
        if self._begins_at is None:
            return None
        try:
            return parse_action(self._text[: self._begins_at] + '"}')
        except UnreadableAction:  # an engine that ignores the schema; the whole will show
            return None

    def _find_beginning(self) -> bool:
        beginning = REPLY_BEGINS.search(self._text)
        name = ACTION_NAME.search(self._text)
        if beginning is None or name is None or name[1] not in BUILT_IN:
            return False
        self._begins_at = beginning.end()
        return True

    def _decoded(self) -> str:
        """Decode up to the last character whose escape is complete."""
        body = WHOLE_CHARACTERS.match(self._text, self._begins_at or 0)
        raw = body[0] if body else ""
        # Half of a surrogate pair is left out until the other half is there.
        return str(storable(json.loads(f'"{raw}"', strict=False)))
