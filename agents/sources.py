"""What a reply may rest on: the rules it cites, what tools told, what people wrote.

A program's numbers carry no units: the names of their fields say what they measure
(`agents.summing`). One whose name says nothing may be of any unit, an identifier's is of none.
"""

import json
import re
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from typing import Any

from agents.affirming import Fact, affirms, facts_in, says, succeeded
from agents.summing import Figures, Term, equal, figures_in, figures_of
from knowledge.quantities import (
    CHINESE,
    ENGLISH,
    SECONDS,
    YEAR_STEP,
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
# Whose amounts are written with the same sign.
_SAME_SIGN = {
    "$": ("AUD", "BRL", "CAD", "HKD", "MXN", "NZD", "SGD", "TWD"),
    "dollar": ("AUD", "CAD", "HKD", "NZD", "SGD", "TWD"),
    "¥": ("JPY",),
}
_WEEKDAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
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
    def facts(self) -> list[Fact]:
        """What a program told, field by field."""
        return [] if self.data is None else facts_in(self.data["result"])

    @property
    def done(self) -> str:
        """Return the deed of a call that did it: "rejected" proves none."""
        return self.deed if self.deed and succeeded(self.facts) else ""

    def affirms(self, words: re.Pattern[str]) -> bool:
        """Say whether something of this kind is given here, and not denied."""
        if self.data is None:
            return says(self.text, words)
        return affirms(self.facts, words) or bool(words.search(self.done))

    def weekdays(self, quantity: Quantity) -> set[str]:
        """Return the names of the day that a date is, where this gives the year of it."""
        days = [q for q in self.quantities if q.kind == "date" and same(q, quantity)]
        return {name for day in days for name in _weekday(int(day.value))}

    def holds(self, quantity: Quantity) -> bool:
        """Say whether the text gives the same figure, in words of its own."""
        return any(map(self._holds, meant(quantity)))

    def _holds(self, quantity: Quantity) -> bool:
        if any(q.kind == quantity.kind and same(q, quantity) for q in self.quantities):
            return True
        if quantity.kind in UNITLESS:
            return bool(self.numbers & _readings(quantity))
        return self.data is not None and self._measures(quantity)

    def _measures(self, quantity: Quantity) -> bool:
        terms = [term for term in self.figures.terms if term.unit in ("", quantity.unit)]
        if any(equal(term, Term(quantity.kind, quantity.value, term.unit)) for term in terms):
            return True
        if quantity.kind not in _MEASURED:
            return False
        units = ("", quantity.unit) if quantity.kind == "money" else None
        bare = {number for number, unit in self.figures.bare if units is None or unit in units}
        return bool(bare & _readings(quantity))


@dataclass(frozen=True, slots=True)
class Grounds:
    """All that a reply may rest on.

    `rules` are those it cites; `told` what tools told without an error, by name; `staff` what
    colleagues wrote. `said`: customers' words, good only where they are taken up. `stated`: what
    the agent itself said before, when it had a source, what tools refused and customers' files
    read: good for figures, not for promises. `hands_over`: a colleague takes over with it, who may
    well call. `offers`: in words, what the agent's tools can do.
    """

    rules: list[Source] = field(default_factory=list)
    told: list[Source] = field(default_factory=list)
    staff: list[Source] = field(default_factory=list)
    said: list[Source] = field(default_factory=list)
    stated: list[Source] = field(default_factory=list)
    hands_over: bool = False
    offers: str = ""

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


def days_in(text: str) -> list[str]:
    """Return the days that a text names; "arrives today" says no more than today."""
    found = [(match[1] or match[0]).lower() for match in _DAY.finditer(text)]
    return [day if day == "later today" or not _TODAY.search(day) else "today" for day in found]


def counted(text: str) -> list[Quantity]:
    read = quantities(text)
    return [*read, *counts(text, read)]


def meant(quantity: Quantity) -> list[Quantity]:
    """Return what a figure may mean: "$5" is of any country that writes its money so."""
    text = quantity.text.lower()
    is_plain = quantity.kind == "money" and not re.search(r"us|cny|rmb|yuan|[元块]", text)
    codes = [code for sign in _SAME_SIGN if sign in text for code in _SAME_SIGN[sign]]
    return [quantity, *(replace(quantity, unit=code) for code in codes if is_plain)]


def _weekday(day: int) -> list[str]:
    year, rest = divmod(day, YEAR_STEP)
    month, number = divmod(rest - 1, 31)
    try:
        place = date(year, month, number + 1).weekday()
    except ValueError:  # it has no year, or no calendar has it
        return []
    sign = "一二三四五六日"[place]
    return [
        _WEEKDAYS[place],
        f"周{sign}",
        f"星期{sign}",
        *(["周天", "星期天"] if place == 6 else []),
    ]


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
