"""Reading typed facts from what a callee said, in English or Chinese. No model, no Django.

Each reader returns what it read and the words that prove it, or None. They know one clause
at a time: "not before five, but by seven at the latest" gives the later time.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from agents.subagents import intents
from agents.subagents.cards import Fact
from knowledge.quantities import ENGLISH, YEAR_STEP, Quantity, plain, quantities

LONGEST_TEXT = 300  # characters of a free answer
_NO = re.compile(
    r"\b(no|nope|not|never|cannot|can't|can not|won't|don't|doesn't|isn't|unable|impossible|"
    r"unfortunately|afraid|out of|sold out|closed)\b|不|没有|没办法|无法|卖完|售罄",
    re.IGNORECASE,
)
_YES = re.compile(
    r"\b(yes|yeah|yep|yup|sure|certainly|absolutely|of course|no problem|not a problem|right|"
    r"correct|exactly|ok|okay|fine|definitely|will do|we do|we can|we have|i can|it is|it's ready|"
    r"it does|they are|go ahead)\b|是的|对|可以|好的|没问题|当然|有的|能|行|嗯",
    re.IGNORECASE,
)
_SURE = re.compile(r"\bno problem\b|\bnot a problem\b|\bwhy not\b|没问题|不错", re.IGNORECASE)
_WEEKDAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
_CHINESE_DAYS = {"今天": 0, "明天": 1, "后天": 2}


@dataclass(frozen=True, slots=True)
class Reading:
    """A fact's value, JSON-ready (durations in seconds, dates as ISO), and how it was said."""

    value: Any
    said: str


def read(fact: Fact, text: str, *, today: date) -> Reading | None:
    """Return what `text` says about `fact`, or None."""
    return READERS[fact.kind](fact, plain(text).strip(), today)


def _measured(kinds: tuple[str, ...]) -> Callable[[Fact, str, date], Reading | None]:
    """Make a reader of quantities; of several it takes the largest, which is the safe one."""

    def reader(fact: Fact, text: str, today: date) -> Reading | None:
        found = [item for item in quantities(text) if item.kind in kinds]
        if not found:
            return None
        largest = max(found, key=lambda item: item.value)
        said = text[found[0].start : found[-1].end].strip()
        return Reading(_value(largest), said)

    return reader


def _value(quantity: Quantity) -> Any:
    whole = quantity.value == int(quantity.value)
    value = int(quantity.value) if whole else quantity.value
    if quantity.kind == "money":
        return {"amount": value, "currency": quantity.unit}
    if quantity.kind == "time":
        return f"{int(value) // 60 % 24:02d}:{int(value) % 60:02d}"
    return value


def _number(fact: Fact, text: str, today: date) -> Reading | None:
    if found := _measured(("number", "measure", "percent"))(fact, text, today):
        return found
    words = [word for word in re.findall(r"[a-z]+", text.lower()) if word in ENGLISH]
    words = [word for word in words if word not in {"a", "an", "half"}]
    return Reading(int(ENGLISH[words[-1]]), words[-1]) if words else None


def _date(fact: Fact, text: str, today: date) -> Reading | None:
    found = [item for item in quantities(text) if item.kind == "date"]
    if found:
        day = _day(found[-1].value, today)
        return Reading(day.isoformat(), found[-1].text) if day else None
    return _spoken_day(text.lower(), today)


def _day(value: float, today: date) -> date | None:
    """Turn a quantity's date back into a day; without a year it is the next such day."""
    year, rest = divmod(int(value), YEAR_STEP)
    month = (rest - 1) // 31
    try:
        day = date(year or today.year, month, rest - 31 * month)
        return day if year or day >= today else day.replace(year=today.year + 1)
    except ValueError:
        return None


def _spoken_day(text: str, today: date) -> Reading | None:
    words = {"day after tomorrow": 2, "tomorrow": 1, "today": 0, "tonight": 0} | _CHINESE_DAYS
    for word, days in words.items():
        if word in text:
            return Reading((today + timedelta(days=days)).isoformat(), word)
    for number, name in enumerate(_WEEKDAYS):
        if re.search(rf"\b{name}\b", text):
            ahead = (number - today.weekday() - 1) % 7 + 1
            return Reading((today + timedelta(days=ahead)).isoformat(), name)
    return None


def _yes_no(fact: Fact, text: str, today: date) -> Reading | None:
    """Read the first clause that agrees or denies: what follows explains it."""
    if intents.of(text) in (intents.REFUSAL, intents.UNKNOWN):
        return None
    for clause in re.split(r"[,.;!，。；！]+", text):
        if _NO.search(_SURE.sub("", clause)):
            return Reading(False, clause.strip())
        if _YES.search(clause):
            return Reading(True, clause.strip())
    return None


def _choice(fact: Fact, text: str, today: date) -> Reading | None:
    """Read the one choice that is named and not denied."""
    named = []
    for choice in fact.choices:
        for clause in re.split(r"[,.;!，。；！]|\bbut\b|但", text):
            if _names(choice, clause) and not _NO.search(clause.replace(choice, "")):
                named.append((choice, clause.strip()))
                break
    return Reading(*named[0]) if len(named) == 1 else None


def _names(choice: str, clause: str) -> bool:
    wanted = re.escape(choice.lower())
    edge = r"\b" if choice.isascii() else ""
    return re.search(rf"{edge}{wanted}{edge}", clause.lower()) is not None


def _text(fact: Fact, text: str, today: date) -> Reading | None:
    """Read whatever is no set phrase and no question back."""
    sentences = re.findall(r"[^.!?。！？]+[.!?。！？]?", text)
    told = " ".join(said.strip() for said in sentences if not said.strip().endswith(("?", "？")))
    if intents.of(told) or len(told) < 2:
        return None
    return Reading(told[:LONGEST_TEXT], told[:LONGEST_TEXT])


READERS: dict[str, Callable[[Fact, str, date], Reading | None]] = {
    "yes_no": _yes_no,
    "number": _number,
    "duration": _measured(("duration",)),
    "money": _measured(("money",)),
    "time": _measured(("time",)),
    "date": _date,
    "choice": _choice,
    "text": _text,
}
