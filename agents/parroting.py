"""Whether a reply repeats at length what only the agent should read, or what it was told to say.

Small models copy what stands before them; an attack has them copy itself, or their orders.
"""

import re
from collections.abc import Iterable

WORDS_IN_A_ROW = 9  # fewer are chance, or a name and a number
_WORD = re.compile(r"[a-z0-9']+|[\u4e00-\u9fff]", re.IGNORECASE)


def repeated(reply: str, texts: Iterable[str]) -> str:
    """Return the first run of words of `reply` that stands in one of the texts, or ""."""
    known: set[tuple[str, ...]] = set()
    for text in texts:
        known.update(_runs(_words(text)))
    said = _words(reply)
    found = next((run for run in _runs(said) if run in known), ())
    return " ".join(found)


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


def _runs(words: list[str]) -> list[tuple[str, ...]]:
    last = len(words) - WORDS_IN_A_ROW + 1
    return [tuple(words[start : start + WORDS_IN_A_ROW]) for start in range(last)]
