"""How two texts differ, word by word."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher

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


@dataclass(frozen=True)
class Piece:
    """A stretch of text; `kind` is same, added or removed."""

    kind: str
    text: str


def differences(old: Revision, new: Revision) -> list[tuple[str, list[Piece]]]:
    """Return the fields that differ, each with its label and pieces."""
    return [
        (label, list(pieces(_shown(old, name), _shown(new, name))))
        for name, label in COMPARED.items()
        if getattr(old, name) != getattr(new, name)
    ]


def _shown(revision: Revision, name: str) -> str:
    value = getattr(revision, name)
    if isinstance(value, list):
        return "\n".join(value)
    return "" if value is None else str(value)


def pieces(old: str, new: str) -> Iterator[Piece]:
    """Yield what stayed, went and came, in reading order; words are the smallest unit."""
    before, after = re.findall(r"\s+|\w+|[^\w\s]", old), re.findall(r"\s+|\w+|[^\w\s]", new)
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag == "equal":
            yield Piece("same", "".join(before[i1:i2]))
            continue
        if i2 > i1:
            yield Piece("removed", "".join(before[i1:i2]))
        if j2 > j1:
            yield Piece("added", "".join(after[j1:j2]))
