"""What sources say yes to: a result that says "no" backs no promise of a "yes".

A program's fields are read with their names: {"refund": {"status": "rejected"}} denies a refund,
and beside a denial nothing else of the same order affirms it. A field that is empty says nothing,
nor does a false one of what may yet be done ("refunded": false).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from agents.clauses import DENIES, sentences, split_up
from knowledge.quantities import plain
from knowledge.scripts import count_words

REFUSED = re.compile(
    r"\b(reject|declin|deni(ed|al)|deny|refus|ineligible|fail|void|expired|revoked|withdrawn"
    r"|non[- ]?(refund|return|cancel)|un(success|available|paid)|error|blocked)"
    r"|拒|驳回|失败|失效|过期|作废",
    re.IGNORECASE,
)
_NO = re.compile(
    r"\b(no(?! (extra|fees?|charges?|costs?|limits?)\b)|not|never|cannot|false)\b|n't\b|不|未|无",
    re.IGNORECASE,
)
# Of a refund that was cancelled, nothing is left.
_UNDONE = re.compile(r"\b(cancel|revers|undone|stopped)|撤销|取消", re.IGNORECASE)
_EMPTY = re.compile(r"\W*(none|null|nil|n/?a|unknown|无|0+([.,]0+)?)?\W*", re.IGNORECASE)
_NOT_YET = re.compile(r"(ed|done|sent|paid)( (at|on|by|date|yet))?$", re.IGNORECASE)
# How a call ended, by the names of its fields.
_OUTCOME = re.compile(
    r"\b(status|state|result|outcome|success\w*|ok|done|completed|accepted|approved)$",
    re.IGNORECASE,
)
# Characters around a word in which it is denied: "can't be refunded", "refunds are not given", but
# not "an order that never arrived is refunded".
BEFORE, AFTER = 14, 20
_DENIED_BEFORE = re.compile(rf"{DENIES.pattern}|\b(instead of|rather than)\b|而非", re.IGNORECASE)
STATUS_WORDS = 6  # "rejected: not eligible"; what is longer is prose


@dataclass(frozen=True, slots=True)
class Fact:
    """A field of a result: its names from outside in, its value in words, and the row it is of."""

    name: str
    value: str
    row: tuple[int, ...] = ()
    says_no: bool = False  # the value is a plain no

    def __str__(self) -> str:
        return f"{self.name} {self.value}".strip()


def facts_in(data: Any) -> list[Fact]:
    """Return what a result says, one sentence or field each; what is empty is left out."""
    return list(_facts(data, "", ()))


def _facts(data: Any, name: str, row: tuple[int, ...]) -> Iterator[Fact]:
    if isinstance(data, dict | list):
        for key, value in data.items() if isinstance(data, dict) else enumerate(data):
            is_place = isinstance(data, list)
            within = name if is_place else f"{name} {key}".replace("_", " ").strip()
            yield from _facts(value, within, (*row, int(key)) if is_place else row)
    elif isinstance(data, str):
        for part in sentences(data.replace("_", " ")):
            yield from _said(name, part.strip(), row)
    elif isinstance(data, bool):
        yield from _switched(name, row, is_on=data)
    elif data:
        yield Fact(name, str(data), row)


def _switched(name: str, row: tuple[int, ...], *, is_on: bool) -> Iterator[Fact]:
    denies = bool(REFUSED.search(name))
    if is_on:
        yield Fact(name, "", row, says_no=denies)
    elif not denies and not _NOT_YET.search(name):
        yield Fact(name, "", row, says_no=True)


def _said(name: str, value: str, row: tuple[int, ...]) -> Iterator[Fact]:
    is_short = count_words(value) <= STATUS_WORDS
    parts = re.split(r"[,;，；]", value) if is_short else [value]
    for part in filter(lambda part: not _EMPTY.fullmatch(part), parts):
        refuses = REFUSED.search(f"{name} {part}") or (is_short and _NO.search(part))
        yield Fact(name, plain(part).strip(), row, says_no=bool(refuses))


def affirms(facts: list[Fact], words: re.Pattern[str]) -> bool:
    """Say whether a result has something of this kind, in a row that doesn't deny it."""
    named = [fact for fact in facts if words.search(str(fact))]
    refused = [fact.row for fact in named if fact.says_no or _is_undone(fact, words)]
    return any(
        _is_affirmed(str(fact), words)
        for fact in named
        if not any(fact.row[: len(row)] == row for row in refused)
    )


def _is_undone(fact: Fact, words: re.Pattern[str]) -> bool:
    undone = _UNDONE.search(fact.value)
    return bool(undone and words.search(fact.name) and not words.search(undone[0]))


def _is_affirmed(text: str, words: re.Pattern[str]) -> bool:
    return any(
        not _DENIED_BEFORE.search(clause[max(spot.start() - BEFORE, 0) : spot.start()])
        and not DENIES.search(clause[spot.end() : spot.end() + AFTER])
        for clause in split_up(text)
        for spot in words.finditer(clause)
    )


def says(text: str, words: re.Pattern[str]) -> bool:
    """Say whether people's words affirm something of this kind.

    The first sentence of a rule names its case: "When a customer wants a refund. We give none."
    """
    first, *rest = sentences(text) or [""]
    if any(_is_affirmed(each, words) for each in rest):
        return True
    denied = any(words.search(each) for each in rest)
    return not denied and _is_affirmed(first, words)


def succeeded(facts: list[Fact]) -> bool:
    """Say whether a call did what it is for: nothing that tells how it ended says no."""
    ended = [fact for fact in facts if not fact.row and _OUTCOME.search(fact.name)]
    return not any(fact.says_no for fact in ended)
