"""What a reply may rest on: the rules it cites, what tools told, what people wrote.

A program's numbers carry no units: the names of their fields say what they measure
(`agents.summing`). One whose name says nothing may be of any unit, an identifier's is of none.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from agents.summing import Figures, Term, equal, figures_in, figures_of
from knowledge.quantities import (
    CHINESE,
    ENGLISH,
    SECONDS,
    Quantity,
    counts,
    plain,
    quantities,
    same,
)

_DAY = re.compile(
    r"\b(tomorrow|tonight|this (?:morning|afternoon|evening)|end of the (?:day|week|month)"
    r"|within (?:the hour|the day|the week|minutes|hours|days)|later today"
    r"|(?:a couple of|several) (?:minute|hour|day|week|month)"
    r"|fortnight|(?:mon|tues|wednes|thurs|fri|satur|sun)day|next (?:week|month|year))s?\b"
    r"|\b(?:arriv|deliver|com(?:e|ing)|be there|get|got|receiv|bring|here)\w*\b[^.]{0,20}?\btoday\b"
    r"|明天|后天|今晚|下周|下个?月|(?:周|星期)[一二三四五六日天]|今[天日]内?[^。，]{0,6}[送到达]",
    re.IGNORECASE,
)
_TODAY = re.compile(r"\btoday\b|\bsame day\b|今[天日]|当[天日]", re.IGNORECASE)
_DIGITS = re.compile(r"(?<![A-Za-z0-9.])(?:\d+(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)")
_NUMBER_WORD = re.compile(
    rf"\b({'|'.join(sorted(ENGLISH, key=len, reverse=True))})\b|[{''.join(CHINESE)}]",
    re.IGNORECASE,
)
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?")
UNITLESS = ("number", "time")  # "after 7" and "after 7 pm" are one wish
_MEASURED = ("duration", "money", "percent", "measure")
_SCALES = tuple(sorted(set(SECONDS.values())))


@dataclass(frozen=True)
class Source:
    """A text that figures and promises may rest on.

    `data` is what a program told. `deed` says in words what its call changed, "" if it only
    looked something up: that alone lets an agent say that it did something.
    """

    text: str  # as `plain` returns it
    data: Any = None
    deed: str = ""

    @cached_property
    def quantities(self) -> list[Quantity]:
        return counted(_MOMENT.sub(r"\1 \2", self.text))

    @cached_property
    def figures(self) -> Figures:
        return figures_of(self.quantities) if self.data is None else figures_in(self.data)

    @cached_property
    def numbers(self) -> set[float]:
        digits = {_number(text) for text in _DIGITS.findall(self.text)}
        words = {text.lower() for text in _NUMBER_WORD.findall(self.text)}
        known = {**ENGLISH, **CHINESE}
        return digits | {known[word] for word in words if word in known}

    @cached_property
    def days(self) -> set[str]:
        return set(days_in(self.text)) | ({"today"} if _TODAY.search(self.text) else set())

    @cached_property
    def values(self) -> list[str]:
        """What a program told in words, without the names of its fields."""
        return [] if self.data is None else list(_words(self.data["result"]))

    def holds(self, quantity: Quantity) -> bool:
        """Say whether the text gives the same figure, in words of its own."""
        if any(q.kind == quantity.kind and same(q, quantity) for q in self.quantities):
            return True
        if quantity.kind in UNITLESS:
            return bool(self.numbers & _readings(quantity))
        return self.data is not None and self._measures(quantity)

    def _measures(self, quantity: Quantity) -> bool:
        terms = [term for term in self.figures.terms if term.unit in ("", quantity.unit)]
        if any(equal(term, Term(quantity.kind, quantity.value, term.unit)) for term in terms):
            return True
        return quantity.kind in _MEASURED and bool(self.figures.bare & _readings(quantity))


@dataclass(frozen=True, slots=True)
class Grounds:
    """All that a reply may rest on.

    `rules` are those it cites; `told` what tools told without an error, by name; `staff` what
    colleagues wrote; `said` the other words of the dialogue, good for figures, not for
    promises. `hands_over`: a colleague takes over with it, who may well call.
    """

    rules: list[Source] = field(default_factory=list)
    told: list[Source] = field(default_factory=list)
    staff: list[Source] = field(default_factory=list)
    said: list[Source] = field(default_factory=list)
    hands_over: bool = False

    @property
    def firm(self) -> list[Source]:
        return [*self.rules, *self.told, *self.staff]


def source(text: str) -> Source:
    """Return what people wrote as something to rest on."""
    return Source(plain(text))


def result_source(
    name: str, arguments: dict[str, Any], result: dict[str, Any], *, deed: str = ""
) -> Source:
    """Return a tool's result as something to rest on; `deed` says what the call changed."""
    words = " ".join([name.replace("_", " "), _dumped(arguments), _dumped(result)])
    return Source(plain(words), data={"arguments": arguments, "result": result}, deed=plain(deed))


def _dumped(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False).replace("_", " ")


def _words(data: Any) -> Iterator[str]:
    match data:
        case str():
            yield plain(data).replace("_", " ")
        case list():
            for value in data:
                yield from _words(value)
        case dict():
            yield from _words(list(data.values()))


def days_in(text: str) -> list[str]:
    """Return the days that a text names; "arrives today" says no more than today."""
    found = [(match[1] or match[0]).lower() for match in _DAY.finditer(text)]
    return [day if day == "later today" or not _TODAY.search(day) else "today" for day in found]


def counted(text: str) -> list[Quantity]:
    read = quantities(text)
    return [*read, *counts(text, read)]


def _readings(quantity: Quantity) -> set[float]:
    """Return the bare numbers that a program may mean by the same figure."""
    if ":" in quantity.text:  # half past six is no six
        return {quantity.value}
    digits = {_number(text) for text in _DIGITS.findall(quantity.text)}
    if quantity.kind != "duration":
        return digits | {quantity.value}
    return digits | {quantity.value / scale for scale in _SCALES}


def _number(text: str) -> float:
    return float(text.replace(",", ""))
