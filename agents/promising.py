"""Whether a reply may say what it says: figures, dates and promises need a source.

A figure must stand in a rule that the reply cites, in what a tool told, or in what staff or
the customer said; a promise (a refund, compensation, a call, a cancellation) and its figures
in a rule, a tool's result or the words of staff alone: customers may not promise themselves
anything. That something *was* done, only a tool's result or staff can say. A figure may also
follow from others by one step of arithmetic (`agents.summing`). English and Chinese, by lists
of words: no model is asked, so none can be talked into it.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from agents.summing import Figures, figures_in, figures_of, follows
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

KINDS = {
    "refund": r"refund|reimburs|money back|pay(ing)? you back|退款|退钱|退还|返还",
    "compensation": r"compensat|voucher|coupon|discount|gift card|free of charge|goodwill|\bcredit"
    r"|\bwaive|赔偿|补偿|赔付|优惠券|代金券|红包|减免|免单",
    "call": r"call(ing)? you|call(ed)? back|callback|phone you|ring you"
    r"|回电|致电|打电话给您|给您打电话",
    "cancellation": r"cancel|取消",
    "replacement": r"replace|reship|re-send|resend|new one|exchang|换货|补发|重发|重新发",
    "guarantee": r"guarantee|\bi promise|we promise|保证|承诺|包赔",
}
KIND_WORDS = {name: re.compile(words, re.IGNORECASE) for name, words in KINDS.items()}
_WILL = re.compile(
    r"\b(i|we|you|they|it|who|colleague|team|agent|refund|order|voucher|amount)('ll\b| will\b)"
    r"|\bgoing to\b|\bwill be\b|\byou('ll| will)? (get|receive)\b|\bi can (offer|give)\b"
    r"|\bguarantee|\bi promise|\bwe promise|\bentitled to\b"
    r"|\b(i'm|i am|we're|we are) (\w+ )?\w+ing\b"
    r"|会|将|马上|立即|立刻|保证|承诺|为您(办理|申请|处理|安排)",
    re.IGNORECASE,
)
_ACTS = (
    r"refunded|reimbursed|cancell?ed|issued|credited|applied|booked|scheduled|arranged|replaced"
    r"|initiated|submitted|approved|waived|extended|compensated|sent you|sent out|reset|updated"
    r"|changed|processed|added|removed"
)
_DONE = re.compile(
    rf"\b(i|we)('ve| have)?( \w+){{0,2}} ({_ACTS})\b"
    rf"|\b(refund|cancellation|order|voucher|coupon|credit|replacement|compensation|payment"
    rf"|account|address|subscription)\b[\w\s#$.,]{{0,40}}\b(has|have) been( \w+)? ({_ACTS})\b"
    r"|已经?(为|给|帮)?您?(成功)?(退款|退还|取消|补发|赔付|补偿|申请|办理|修改|更新|发放|减免)"
    r"|(退款|取消|补发|赔付)(已经?|成功)",
    re.IGNORECASE,
)
DENIES = re.compile(
    r"\b(not|cannot|never|unable|nor|without|no longer|no)\b|n't\b|不|无法|没有|未|尚",
    re.IGNORECASE,
)
_IF = re.compile(r"\b(if|once|when|after|unless|until|as soon as|in case)\b|如果|若|一旦|只要|后",
                 re.IGNORECASE)  # fmt: skip
_QUESTION = re.compile(r"[?？]\s*$|吗[。.]?\s*$")
_IDIOM = re.compile(r"(an?|one) (sec|second|minute|min)s?", re.IGNORECASE)
SENTENCE = re.compile(r"(?<=[.!?])\s+|(?<=[。！？；])\s*|\n+")
_PLACE_IN_LIST = re.compile(r"^\s*\d{1,2}[.)、]\s*")
_DAY = re.compile(
    r"\b(tomorrow|tonight|(?:mon|tues|wednes|thurs|fri|satur|sun)day|next (?:week|month|year))s?\b"
    r"|明天|后天|今晚|下周|下个?月|(?:周|星期)[一二三四五六日天]",
    re.IGNORECASE,
)
_DIGITS = re.compile(r"\d+(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?")
_NUMBER_WORD = re.compile(
    rf"\b({'|'.join(sorted(ENGLISH, key=len, reverse=True))})\b|[{''.join(CHINESE)}]",
    re.IGNORECASE,
)
UNITLESS = ("number", "time")  # "after 7" and "after 7 pm" are one wish
_SCALES = tuple(sorted(set(SECONDS.values())))


@dataclass(frozen=True)
class Source:
    """A text that figures and promises may rest on."""

    text: str  # as `plain` returns it
    data: Any = None  # of a program: its numbers carry no units

    @cached_property
    def quantities(self) -> list[Quantity]:
        return _counted(self.text)

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
        return {day.lower() for day in _DAY.findall(self.text)}

    def holds(self, quantity: Quantity) -> bool:
        """Say whether the text gives the same figure, in words of its own."""
        if any(q.kind == quantity.kind and same(q, quantity) for q in self.quantities):
            return True
        return (self.data is not None or quantity.kind in UNITLESS) and bool(
            self.numbers & _readings(quantity)
        )


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

    @property
    def deeds(self) -> list[Source]:
        return [*self.told, *self.staff]


def source(text: str) -> Source:
    """Return what people wrote as something to rest on."""
    return Source(plain(text))


def result_source(name: str, arguments: dict[str, Any], result: dict[str, Any]) -> Source:
    """Return a tool's result as something to rest on; its name says what was done."""
    words = " ".join([name.replace("_", " "), _dumped(arguments), _dumped(result)])
    return Source(plain(words), data={"arguments": arguments, "result": result})


def _dumped(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False).replace("_", " ")


def sentences(text: str) -> list[str]:
    """Split a reply; a full stop inside a figure ends nothing."""
    return [part for part in SENTENCE.split(plain(text)) if part.strip()]


def unbacked(reply: str, grounds: Grounds) -> list[str]:
    """Return what of the reply has no source, in its own words; empty if all has one."""
    found = [claim for sentence in sentences(reply) for claim in _claims(sentence, grounds)]
    return list(dict.fromkeys(found))


def _claims(sentence: str, grounds: Grounds) -> Iterator[str]:
    kinds = [name for name, words in KIND_WORDS.items() if words.search(sentence)]
    if _QUESTION.search(sentence):
        promise = False  # asking promises nothing, but its figures must be right
    elif _says_done(sentence):
        promise = True
        if not _done(kinds, grounds):
            yield sentence.strip()
    else:
        promise = bool(kinds) and _promises(sentence)
        if promise and not all(_is_named(kind, grounds) for kind in kinds):
            yield sentence.strip()
    yield from _figures(sentence, grounds.firm if promise else [*grounds.firm, *grounds.said])


def _says_done(sentence: str) -> bool:
    done = _DONE.search(sentence)
    return bool(done) and not DENIES.search(sentence) and not _IF.search(sentence)


def _promises(sentence: str) -> bool:
    return bool(_WILL.search(sentence)) and not DENIES.search(sentence)


def _done(kinds: Iterable[str], grounds: Grounds) -> bool:
    """Say whether somebody reports such a deed; one without a kind needs any deed at all."""
    if not grounds.deeds:
        return False
    return all(any(KIND_WORDS[kind].search(each.text) for each in grounds.deeds) for kind in kinds)


def _is_named(kind: str, grounds: Grounds) -> bool:
    if kind == "call" and grounds.hands_over:
        return True
    return any(KIND_WORDS[kind].search(each.text) for each in grounds.firm)


def _figures(sentence: str, sources: list[Source]) -> Iterator[str]:
    text = _PLACE_IN_LIST.sub("", sentence)
    for quantity in _counted(text):
        if _IDIOM.fullmatch(quantity.text.replace("-", " ")):
            continue
        if any(each.holds(quantity) for each in sources):
            continue
        if not follows(quantity, text, [each.figures for each in sources]):
            yield quantity.text
    if not _QUESTION.search(text):
        for day in _DAY.findall(text):
            if not any(day.lower() in each.days for each in sources):
                yield day


def _counted(text: str) -> list[Quantity]:
    read = quantities(text)
    return [*read, *counts(text, read)]


def _readings(quantity: Quantity) -> set[float]:
    """Return the bare numbers that a program may mean by the same figure."""
    digits = {_number(text) for text in _DIGITS.findall(quantity.text)}
    if quantity.kind != "duration":
        return digits | {quantity.value}
    return digits | {quantity.value / scale for scale in _SCALES}


def _number(text: str) -> float:
    return float(text.replace(",", ""))
