"""Whether a reply may say what it says: figures, dates and promises need a source.

A figure must stand in a rule that the reply cites, in what a tool told, or in what staff or
the customer said. Whoever names a refund, compensation, a call or a cancellation promises one, in
whatever tense, unless the clause denies it, asks about it or only takes up what the customer wants;
it and its figures must stand in a rule, a tool's result or the words of staff: customers may not
promise themselves anything. That something *was* done, only a tool's result or staff can say. A
figure may also follow from others by one step of arithmetic (`agents.summing`). English and
Chinese, by lists of words: no model is asked, so none can be talked into it.
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
# What agents say for the same besides; of customers' words these would be too wide.
_SAID_FOR = {
    "refund": r"\b(your|the|all) money\b",
    "compensation": r"\bon the house\b|\bno (extra )?(charge|cost)\b|\bhalf (off|price)\b"
    r"|\bfree for life\b|\b(won't|will not|not) be charged\b",
    "call": r"\b(reach out to|get back to|be in touch with|contact|e-?mail) you\b|\bwill phone\b"
    r"|联系您",
}
CLAIMED = {
    name: re.compile("|".join(filter(None, (words, _SAID_FOR.get(name)))), re.IGNORECASE)
    for name, words in KINDS.items()
}
_GIVES = re.compile(
    r"\byou('ll| will)? (get|receive)\b|\b(i|we)('ll| will)? (give|pay|send|credit)\b"
    r"|[会将]?(给|付|赔)您",
    re.IGNORECASE,
)
_ACTS = (
    r"refunded|reimbursed|cancell?ed|issued|credited|applied|booked|scheduled|arranged|replaced"
    r"|initiated|submitted|approved|waived|extended|compensated|sent you|sent out|reset|updated"
    r"|changed|processed|added|removed|granted|confirmed|put through"
)
_OURS = (
    r"refund|cancellation|order|voucher|coupon|credit|replacement|compensation|payment|account"
    r"|address|subscription|money"
)
_DONE = re.compile(
    rf"\b(i|we)('ve| have)?( (?!you\b)\w+){{0,2}} ({_ACTS})\b"
    rf"|\b({_OURS})\b[\w\s#$.]{{0,40}}\b((has|have) been|was|were|got)( \w+)? ({_ACTS})\b"
    rf"|\b({_OURS})\b[\w\s#$.]{{0,40}}\b(is|are|went)( \w+)? "
    r"(on (its|the|their) way|through|back|under ?way)\b"
    rf"|\b(refund|cancellation)s? (done|granted|approved|confirmed|issued)\b"
    rf"|\bconsider (it|that) ({_ACTS}|done)\b"
    r"|已经?(为|给|帮)?您?(成功)?(退款|退还|取消|补发|赔付|补偿|申请|办理|修改|更新|发放|减免)"
    r"|(退款|取消|补发|赔付)(已经?|成功)",
    re.IGNORECASE,
)
# Rules say it too, of all orders: "Your payment is refunded to the card".
_STANDS = re.compile(
    rf"\byour ({_OURS})\b[\w\s#$.]{{0,40}}\b(is|are)( \w+)? (?P<deed>{_ACTS})\b", re.IGNORECASE
)
DENIES = re.compile(
    r"\b(not|cannot|never|unable|nor|without|no longer|no)\b|n't\b|不|无法|没有|未|尚",
    re.IGNORECASE,
)
# "A refund is not possible", but not "a refund in no time".
_DENIED_AFTER = re.compile(
    r"^\W*(\w+\W+){0,3}(not|never|no longer|unable)\b|^[^.]{0,15}n't\b|^.?[不未无]"
)
_ASIDE = re.compile(
    r"\b(no (problem|worries|doubt)|not (a problem|to worry|at all|only)|(do not|don't|no need to) "
    r"worry|never mind|without (any |further )?(delay|hesitation|fuss|ado|question))s?\b"
    r"|\b(gone|went) ahead and\b|没问题|不用担心|别担心|不客气",
    re.IGNORECASE,
)
_IF = re.compile(r"\b(if|once|when|after|unless|until|as soon as|in case)\b|如果|若|一旦|只要|后",
                 re.IGNORECASE)  # fmt: skip
# What the customer wants, or what the talk is about, is named and not promised.
_TAKES_UP = re.compile(
    r"\b(you|customer)('d| would|'re| are|'ve| have)? (\w+ )?"
    r"(want|like|wish|ask|need|request|mean)\w*\b"
    r"|\b(regarding|concerning|about (your|the|this|that)|question|help (you )?with|whether|if)\b"
    r"|您(想|要|说|希望|申请)|关于|是否|如果|若",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"[,;:，；：—–]|\b(?:and|but|so|because|then)\b", re.IGNORECASE)
_PART = re.compile(r"[,;:，；：—–]")
_ASKS = re.compile(
    r"^\W*(and |or |so |but )?(shall|should|would|could|can|may|do|does|did|is|are|was|were|will"
    r"|has|have|had|what|which|when|where|who|why|how)\b",
    re.IGNORECASE,
)
_QUESTION = re.compile(r"[?？]\s*$|吗[。.]?\s*$")
_IDIOM = re.compile(r"(an?|one) (sec|second|minute|min)s?", re.IGNORECASE)
SENTENCE = re.compile(r"(?<=[.!?])\s+|(?<=[。！？；])\s*|\n+")
_PLACE_IN_LIST = re.compile(r"^\s*\d{1,2}[.)、]\s*")
_DAY = re.compile(
    r"\b(tomorrow|tonight|this (?:morning|afternoon|evening)|end of the (?:day|week|month)"
    r"|within (?:the hour|the day|the week|minutes|hours|days)|later today"
    r"|(?:a couple of|several) (?:minute|hour|day|week|month)"
    r"|fortnight|(?:mon|tues|wednes|thurs|fri|satur|sun)day|next (?:week|month|year))s?\b"
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
    text = " ".join(_ASIDE.sub(" ", sentence).split())
    kinds = list(_promised(text))
    done = _done_in(text)
    if done:
        if not _was_done(done, grounds):
            yield sentence.strip()
    elif not all(_is_named(kind, grounds) for kind in kinds):
        yield sentence.strip()
    is_firm = bool(done or kinds or _GIVES.search(text)) and not _is_asked(text)
    yield from _figures(sentence, grounds.firm if is_firm else [*grounds.firm, *grounds.said])


def _promised(text: str) -> Iterator[str]:
    """Yield the kinds that a sentence promises: named, and neither denied nor only taken up."""
    asked, start = False, 0
    is_question = bool(_QUESTION.search(text))
    for end in [*(found.start() for found in _CLAUSE.finditer(text)), len(text)]:
        clause, start = _CLAUSE.sub(" ", text[start:end], count=1), end
        asked = asked or (is_question and bool(_ASKS.search(clause)))
        if not asked:
            yield from (name for name, words in CLAIMED.items() if _promises(words, clause))


def _promises(words: re.Pattern[str], clause: str) -> bool:
    return any(
        not DENIES.search(clause[: spot.start()])
        and not _DENIED_AFTER.search(clause[spot.end() :])
        and not _TAKES_UP.search(clause[: spot.start()])
        for spot in words.finditer(clause)
    )


def _is_asked(text: str) -> bool:
    return bool(_QUESTION.search(text) and any(map(_ASKS.search, _PART.split(text))))


def _done_in(text: str) -> str:
    """Return the clause that says something was done, "" if none does."""
    for clause in [] if _is_asked(text) else _PART.split(text):
        spot = _DONE.search(clause) or _STANDS.search(clause)
        if (
            spot
            and not DENIES.search(clause[: spot.end()])
            and not _IF.search(clause[: spot.end()])
        ):
            return clause
    return ""


def _was_done(clause: str, grounds: Grounds) -> bool:
    """Say whether somebody reports such a deed, or a rule says of all cases that it is so."""
    kinds = [name for name, words in KIND_WORDS.items() if words.search(clause)]
    if _done(kinds, grounds):
        return True
    stands = _STANDS.search(clause)
    if stands is None or _DONE.search(clause):
        return False
    return any(stands["deed"].lower() in each.text.lower() for each in grounds.rules)


def _done(kinds: Iterable[str], grounds: Grounds) -> bool:
    """Say whether somebody reports such a deed; one without a kind needs any deed at all."""
    if not grounds.deeds:
        return False
    return all(any(KIND_WORDS[kind].search(each.text) for each in grounds.deeds) for kind in kinds)


def _is_named(kind: str, grounds: Grounds) -> bool:
    if kind == "call" and grounds.hands_over:
        return True
    return any(CLAIMED[kind].search(each.text) for each in grounds.firm)


def _figures(sentence: str, sources: list[Source]) -> Iterator[str]:
    text = _PLACE_IN_LIST.sub("", sentence)
    for quantity in _counted(text):
        if _IDIOM.fullmatch(quantity.text.replace("-", " ")):
            continue
        if any(each.holds(quantity) for each in sources):
            continue
        if not follows(quantity, text, [each.figures for each in sources]):
            yield quantity.text
    if not _is_asked(text):
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
