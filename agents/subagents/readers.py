"""Reading typed facts from what a callee said, in English or Chinese. No model, no Django.

Each reader returns the value that the words can't but mean, or None: then it is asked again.
So words that agree and deny, name several values or set a condition are not read, nor is a
question back. What was said is kept whole: a part of it may mean something else.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

from agents.subagents import intents
from agents.subagents.cards import Fact
from knowledge.quantities import ENGLISH, YEAR_STEP, Quantity, plain, quantities

LONGEST_TEXT = 500  # characters of an answer; a longer one is none that could be told
FIGURES = ("number", "duration", "money", "date", "time")  # kinds that hardly anything else is

# Set phrases with a word that they don't mean: "no problem" is no no.
_AGREED = re.compile(
    r"\b(no|not a) problem\b|\bno doubt\b|\bwhy not\b|\b(nothing|not) wrong\b|没问题|没错|不错",
    re.IGNORECASE,
)
_EMPTY = re.compile(
    r"\bno worries\b|\b(don't|not to) worry\b|"
    r"\bright (now|away|here)\b|"
    r"\bi('m| am) (fine|ok|okay|good)\b|\bwhat an? \w+|"
    r"不好意思|对不起|不用担心|别担心|没关系|没事|不客气|差不多|(?P<sign>.)不(?P=sign)|对(?=方|面|于)",
    re.IGNORECASE,
)
# "Fine. No, sorry": who begins so has not answered yet.
_LEAD = re.compile(
    r"^(fine|ok|okay|right|all right|well|行吧|好吧|好的|嗯)\s*[,.!。]+\s*(?=\w)", re.I
)
_AT_MOST = re.compile(
    r"\b(not|no|won't (take|be)) (more|longer|later) than\b|不(会)?超过|不到", re.IGNORECASE
)
_NO = re.compile(
    r"\b(no|nope|nah|not|never|cannot|can't|can not|won't|don't|doesn't|didn't|isn't|aren't|"
    r"unable|impossible|unfortunately|afraid|out of|sold out|closed|neither|nor|nothing|none|"
    r"without|wrong|incorrect)\b|不|没|无法|卖完|售罄|错",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"\b(not|never|cannot|can not|wrong|incorrect)\b|n't\b|不|没|错", re.IGNORECASE
)
_YES = re.compile(
    r"\b(yes|yeah|yep|yup|sure|certainly|absolutely|of course|right|"
    r"correct|exactly|ok|okay|fine|definitely|will do|we do|we can|we have|i can|it is|it's ready|"
    r"it does|they are|go ahead)\b|是的|对|可以|好的|当然|有的|能|行|嗯",
    re.IGNORECASE,
)
_IF = re.compile(
    r"\b(if|when|unless|provided|as long as|in case|depend\w*|once (the|we|it|he|she|they))\b|"
    r"如果|除非|要是|假如|只要|只有|得看",
    re.IGNORECASE,
)
_BUT = re.compile(r"\b(but|however|though|although|except)\b|但|不过|可是", re.IGNORECASE)
_ONLY = re.compile(r"\bonly\b|只", re.IGNORECASE)  # an agreement to less than was asked
_PERHAPS = re.compile(
    r"\b(maybe|perhaps|probably|possibly|hopefully|might|i (think|guess|hope)|should be|try to)\b|"
    r"可能|也许|或许|大概|应该|估计|尽量",
    re.IGNORECASE,
)
# A figure of another time.
_PAST = re.compile(
    r"\b(ago|was|were|used to|yesterday)\b|之前|以前|(分钟|小时|天)前|昨天",
    re.IGNORECASE,
)
_ONE = re.compile(r"\b(no|any|some|every|this|that|which|each|the|another) ?one\b|\bone of\b")
_SENTENCE = re.compile(r".+?(?:[.!?]+(?=\s|$)|[。!?]+|$)\s*", re.DOTALL)
_CLAUSE = re.compile(r"[,;!?。…](?!\d)|(?<!\d)[,;]|\.(?!\d)|\bbut\b|但", re.IGNORECASE)
# Beside "I'm busy", a figure among these is when to call us, or how long to wait for an answer.
_DELAY = re.compile(
    r"\b(call|phone|ring|text|message|try|talk|speak|back|later|free|after|until|till|please|"
    r"i need|give (me|us)|(?<!to )wait)\b|"
    r"打|联系|(?<!要)(?<!得)等|给我|回(电|复|头|来)|后$|再说|有空",
    re.IGNORECASE,
)
_ALTHOUGH = r"\bbut\b|\bhowever\b|但是?|不过|可是"
_RANGE = re.compile(r"\s*(to|or|and|-|–|~|至|到)\s*", re.IGNORECASE)
_SUM = re.compile(r"\s*(and)?\s*", re.IGNORECASE)
_HALVES = re.compile(r"\band a half\b|[个点]半", re.IGNORECASE)  # which `quantities` leaves out
_WORDS = sorted(set(ENGLISH) - {"a", "an", "half"}, key=len, reverse=True)
_NUMBER_WORD = re.compile(rf"\b({'|'.join(_WORDS)})\b", re.IGNORECASE)
_BARE = re.compile(
    r"((yes|yeah|no|ok|okay|hello|hi|hey|hm+|u[hm]+|well|speaking|喂|[你您]好|嗯|是的|好的)[\s,.!。]*)+",
    re.IGNORECASE,
)
_WEEKDAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
_DAYS = {"day after tomorrow": 2, "tomorrow": 1, "today": 0, "tonight": 0}
_CHINESE_DAYS = {"今天": 0, "明天": 1, "后天": 2}


@dataclass(frozen=True, slots=True)
class Reading:
    """A fact's value, JSON-ready (durations in seconds, dates as ISO), and the words for it."""

    value: Any
    said: str  # all that was said, less questions at its end


def read(fact: Fact, text: str, *, today: date) -> Reading | None:
    """Return what `text` says about `fact`, or None where it does not plainly say it."""
    text = plain(text).strip()
    rest = _without_delays(text) if fact.kind in FIGURES else text
    if not _may_answer(fact, intents.of(rest)) or len(text) > LONGEST_TEXT:
        return None
    told = "".join(sentence for sentence in _sentences(rest) if not _asks(sentence)).strip()
    value = READERS[fact.kind](fact, told if fact.kind == "text" else _EMPTY.sub(" ", told), today)
    sentences = _sentences(text)
    while sentences and _asks(sentences[-1]):
        sentences.pop()
    return None if value is None else Reading(value, "".join(sentences).strip())


def _may_answer(fact: Fact, intent: str) -> bool:
    return not intent or (fact.kind in FIGURES and intent in intents.BESIDE_FIGURES)


def _without_delays(text: str) -> str:
    """Leave out the clauses that put us off: "I'm a bit busy, but 20 minutes" answers."""
    clauses = _CLAUSE.split(text)
    if not any(intents.of(clause) in intents.DELAYS for clause in clauses):
        return text
    for clause in clauses:
        if _delays(clause):
            although = rf"({_ALTHOUGH})?{re.escape(clause)}(\W*({_ALTHOUGH}))?"
            text = re.sub(although, " ", text, flags=re.IGNORECASE)
    return text


def _delays(clause: str) -> bool:
    figured = _names_figure(clause) and _DELAY.search(clause)
    return bool(figured) or intents.of(clause) in intents.DELAYS


def _sentences(text: str) -> list[str]:
    return [match[0] for match in _SENTENCE.finditer(text)]


def _asks(sentence: str) -> bool:
    return sentence.rstrip().endswith("?")


def _measured(*kinds: str) -> Callable[[Fact, str, date], Any]:
    """Make a reader of quantities; of a range it takes the largest, which is the safe one."""

    def reader(fact: Fact, text: str, today: date) -> Any:
        found = _whole([item for item in quantities(text) if item.kind in kinds], text)
        if not found or _is_doubtful(text) or not _is_range(found, text):
            return None
        return _value(max(found, key=lambda item: item.value))

    return reader


def _is_doubtful(text: str) -> bool:
    """Say whether a figure in these words is conditional, denied, cut short or of the past."""
    text = _AT_MOST.sub("", text)
    if _IF.search(text) or _BUT.search(text) or _HALVES.search(text):
        return True
    figured = [clause for clause in _CLAUSE.split(text) if _names_figure(clause)]
    return any(_DENIED.search(clause) or _PAST.search(clause) for clause in figured)


def _names_figure(clause: str) -> bool:
    return bool(quantities(clause) or _NUMBER_WORD.search(clause) or _spoken_days(clause))


def _whole(found: list[Quantity], text: str) -> list[Quantity]:
    """Add up "1 hour and 20 minutes"."""
    match found:
        case [hours, rest] if hours.kind == "duration" and hours.value > rest.value:
            if _SUM.fullmatch(text[hours.end : rest.start]):
                return [replace(hours, value=hours.value + rest.value, end=rest.end)]
    return found


def _is_range(found: list[Quantity], text: str) -> bool:
    """Say whether the figures are one, said again perhaps, or the two ends of a range."""
    return all(
        left.value == right.value
        or (left.value < right.value and _RANGE.fullmatch(text[left.end : right.start]))
        for left, right in pairwise(found)
    )


def _value(quantity: Quantity) -> Any:
    whole = quantity.value == int(quantity.value)
    value = int(quantity.value) if whole else quantity.value
    if quantity.kind == "money":
        return {"amount": value, "currency": quantity.unit}
    if quantity.kind == "time":
        return f"{int(value) // 60 % 24:02d}:{int(value) % 60:02d}"
    return value


def _number(fact: Fact, text: str, today: date) -> Any:
    found = _measured("number", "measure", "percent")(fact, text, today)
    if found is not None or _is_doubtful(text):
        return found
    words = {word.lower() for word in _NUMBER_WORD.findall(_ONE.sub("", text.lower()))}
    return int(ENGLISH[words.pop()]) if len(words) == 1 else None


def _date(fact: Fact, text: str, today: date) -> str | None:
    found = {item.value for item in quantities(text) if item.kind == "date"}
    days = {_day(value, today) for value in found} or {
        today + timedelta(days=ahead) for ahead in _spoken_days(text, today)
    }
    day = days.pop() if len(days) == 1 and not _is_doubtful(text) else None
    return day.isoformat() if day else None


def _day(value: float, today: date) -> date | None:
    """Turn a quantity's date back into a day; without a year it is the next such day."""
    year, rest = divmod(int(value), YEAR_STEP)
    month = (rest - 1) // 31
    try:
        day = date(year or today.year, month, rest - 31 * month)
        return day if year or day >= today else day.replace(year=today.year + 1)
    except ValueError:
        return None


def _spoken_days(text: str, today: date = date.min) -> set[int]:
    """Return how many days ahead the days are that are named."""
    text, ahead = text.lower(), set()
    for word, days in (_DAYS | _CHINESE_DAYS).items():
        if word in text:
            ahead.add(days)
            text = text.replace(word, "")  # no "tomorrow" in "the day after tomorrow"
    for number, name in enumerate(_WEEKDAYS):
        if re.search(rf"\b{name}\b", text):
            ahead.add((number - today.weekday() - 1) % 7 + 1)
    return ahead


def _yes_no(fact: Fact, text: str, today: date) -> bool | None:
    """Read what every clause that agrees or denies says alike, without a condition."""
    text = _LEAD.sub("", text)
    if any(words.search(text) for words in (_IF, _BUT, _ONLY, _PERHAPS)):
        return None
    said = {_agrees(clause) for clause in _CLAUSE.split(text)} - {None}
    return said.pop() if len(said) == 1 else None


def _agrees(clause: str) -> bool | None:
    rest = _AGREED.sub("", clause)
    if _NO.search(rest):
        return False
    return True if rest != clause or _YES.search(clause) else None


def _choice(fact: Fact, text: str, today: date) -> str | None:
    """Read the one choice that is named and nowhere denied."""
    if _IF.search(text) or _PERHAPS.search(text):
        return None
    named = []
    for choice in fact.choices:
        clauses = [clause for clause in _CLAUSE.split(text.lower()) if _names(choice, clause)]
        if clauses and not any(_NO.search(_without(choice, clause)) for clause in clauses):
            named.append(choice)
    return named[0] if len(named) == 1 else None


def _names(choice: str, clause: str) -> bool:
    wanted = re.escape(choice.lower())
    edge = r"\b" if choice.isascii() else ""
    return re.search(rf"{edge}{wanted}{edge}", clause) is not None


def _without(choice: str, clause: str) -> str:
    return clause.replace(choice.lower(), "")


def _text(fact: Fact, text: str, today: date) -> str | None:
    """Read whatever is more than a set phrase and no question back."""
    return None if len(text) < 2 or _BARE.fullmatch(text) else text


READERS: dict[str, Callable[[Fact, str, date], Any]] = {
    "yes_no": _yes_no,
    "number": _number,
    "duration": _measured("duration"),
    "money": _measured("money"),
    "time": _measured("time"),
    "date": _date,
    "choice": _choice,
    "text": _text,
}
