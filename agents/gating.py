"""Holding back what is being written until it is known to have a source."""

import re
from collections.abc import Callable

from agents import boasting, languages
from agents.addressing import names_any
from agents.clauses import sentences
from agents.kinds import CLAIMED
from knowledge.quantities import LARGE, PLAIN_WORDS

_NUMBERS = rf"\d|[零一二三四五六七八九十两百千万半]|\b({'|'.join([*PLAIN_WORDS, *LARGE])})\b"
_CLAIMS = "|".join(words.pattern for words in CLAIMED.values())
_RISKY = re.compile(rf"{_NUMBERS}|{_CLAIMS}", re.IGNORECASE)
_END = re.compile(r"[.!?](?=\s)|[。！？；\n]")


class Gate:
    """Feed it a reply as it is written; it returns what may be shown.

    A sentence with a figure, a promise, a deed of ours or an address, or in a language without
    lists, waits for its end and is then checked by `is_backed`; after one that has no source
    nothing more comes out. Other words pass at once.
    """

    def __init__(self, is_backed: Callable[[str], bool]) -> None:
        self._is_backed = is_backed
        self._held = ""
        self.is_shut = False
        self.shown = ""

    def feed(self, text: str) -> str:
        self._held += text
        if self.is_shut:
            return ""
        end = max((found.end() for found in _END.finditer(self._held)), default=0)
        whole, rest = self._held[:end], self._held[end:]
        if any(_is_risky(part) and not self._is_backed(part) for part in sentences(whole)):
            self.is_shut = True
            return ""
        free = whole if _is_risky(rest) else whole + rest[: rest.rfind(" ") + 1]
        self._held = self._held[len(free) :]
        self.shown += free
        return free


def _is_risky(text: str) -> bool:
    is_risky = _RISKY.search(text) or boasting.may_claim(text) or names_any(text)
    return bool(is_risky) or languages.may_be_another(text)
