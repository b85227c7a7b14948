"""How two texts differ, word by word."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import SequenceMatcher
from itertools import groupby
from operator import itemgetter

from knowledge.models import Revision

COMPARED = {
    "title": "Title",
    "condition": "When does it apply?",
    "content": "Answer or action",
    "questions": "Other wordings",
    "priority": "Priority",
    "risk": "Risk",
    "valid_from": "Valid from",
    "valid_until": "Valid until",
    "source": "Source",
    "channels": "Channels",
    "segments": "Customer segments",
    "regions": "Regions",
}


_CHINESE = "\u3400-\u9fff\uf900-\ufaff"
TOKEN = re.compile(rf"\s+|[{_CHINESE}]|[^\W{_CHINESE}]+|[^\w\s]")
LONG = 40_000  # pairs of words; below, even frequent ones are compared


@dataclass(frozen=True)
class Piece:
    """A stretch of text; `kind` is same, added or removed."""

    kind: str
    text: str


def differences(old: Revision, new: Revision) -> list[tuple[str, list[Piece]]]:
    """Return the fields that differ, each with its label and pieces."""
    return [
        (label, list(pieces(shown(old, name), shown(new, name))))
        for name, label in COMPARED.items()
        if getattr(old, name) != getattr(new, name)
    ]


def shown(revision: Revision, name: str) -> str:
    """Return a field as people read it."""
    value = getattr(revision, name)
    if isinstance(value, list):
        return "\n".join(value)
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M %Z}"
    return "" if value is None else str(value)


def pieces(old: str, new: str) -> Iterator[Piece]:
    """Yield what stayed, went and came, in reading order; words are the smallest unit."""
    before, after = _tokens(old), _tokens(new)
    for i1, i2, j1, j2 in _blocks(before, after):
        went, came = "".join(before[i1:i2]), "".join(after[j1:j2])
        if went == came:
            yield Piece("same", went)
            continue
        if went:
            yield Piece("removed", went)
        if came:
            yield Piece("added", came)


@dataclass(frozen=True)
class Origin:
    """A stretch of the current text and the revision that brought it."""

    text: str
    revision: Revision


def blame(revisions: Sequence[Revision], name: str) -> list[Origin]:
    """Say of each stretch of a field's text which revision brought it.

    Args:
        revisions: of one unit, oldest first; what the first holds is ascribed to it.
    """
    words: list[tuple[str, Revision]] = []
    text = ""
    for revision in revisions:
        now = shown(revision, name)
        if now != text:
            words, text = _carried(words, _tokens(now), revision), now
    return [
        Origin("".join(word for word, _ in group), revision)
        for revision, group in groupby(words, key=itemgetter(1))
    ]


def _carried(
    before: list[tuple[str, Revision]], after: list[str], revision: Revision
) -> list[tuple[str, Revision]]:
    """Let the words that stayed keep their origin; the others come from `revision`."""
    known = [word for word, _ in before]
    found: list[tuple[str, Revision]] = []
    for i1, i2, j1, j2 in _blocks(known, after):
        if known[i1:i2] == after[j1:j2]:
            found += before[i1:i2]
        else:
            found += [(word, revision) for word in after[j1:j2]]
    return found


def _tokens(text: str) -> list[str]:
    """Split into words, Chinese characters, signs and white space."""
    return TOKEN.findall(text)


def _blocks(before: list[str], after: list[str]) -> Iterator[tuple[int, int, int, int]]:
    """Yield stretches before[i1:i2], after[j1:j2] in order, each the same or different.

    An edit mostly leaves both ends alone: only what lies between is searched, since the
    search takes the square of the length.
    """
    shorter = min(len(before), len(after))
    head = next((n for n in range(shorter) if before[n] != after[n]), shorter)
    rest = range(shorter - head)
    tail = next((n for n in rest if before[-1 - n] != after[-1 - n]), len(rest))
    if head:
        yield 0, head, 0, head
    i_end, j_end = len(before) - tail, len(after) - tail
    left, right = before[head:i_end], after[head:j_end]
    # In a long text blanks and frequent words cost the most: they only extend matches.
    matcher = SequenceMatcher(None, left, right, autojunk=len(left) * len(right) > LONG)
    for _, i1, i2, j1, j2 in matcher.get_opcodes():
        yield head + i1, head + i2, head + j1, head + j2
    if tail:
        yield i_end, len(before), j_end, len(after)
