"""Whether a reply may say what it says: figures, dates and promises need a source.

A figure must stand in a rule that the reply cites, in what a tool told, or in what staff or
the customer said. Whoever names a refund, compensation, a call or a cancellation promises one, in
whatever tense, unless the clause denies it, asks about it or only takes up what the customer wants;
it and its figures must stand in a rule, a tool's result or the words of staff: customers may not
promise themselves anything. That we did something, only a call that does such a thing proves, or
staff; that something *was* done, also a value that a tool told ("refunded"). A
figure may also follow from others by one step of arithmetic (`agents.summing`). English and
Chinese, by lists of words: no model is asked, so none can be talked into it.
"""

import re
from collections.abc import Iterator, Sequence

from agents.sources import Grounds, Source, counted, days_in
from agents.summing import follows
from knowledge.quantities import plain

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
    "refund": r"\b(your|the|all) money\b|\b(pay|paid|paying|cash|price|amount) (\w+ )?back\b"
    r"|\b(price|amount|sum) (\w+ ){0,2}goes back\b|\brevers\w+ (the|your) charge\b"
    r"|退[给到至您]|全额退|原路(返回|退)",
    "compensation": r"\bon the house\b|\bno (extra )?(charge|cost)\b|\bhalf (off|price)\b"
    r"|\bfree for life\b|\b(won't|will not|not) be charged\b",
    "call": r"\b(reach out to|get back to|be in touch with|contact|e-?mail) you\b|\bwill phone\b"
    r"|联系您",
}
CLAIMED = {
    name: re.compile("|".join(filter(None, (words, _SAID_FOR.get(name)))), re.IGNORECASE)
    for name, words in KINDS.items()
}
CLAIMED["gift"] = re.compile(
    r"\b(is|are|be|comes?|completely|entirely) (all |now )?free\b(?! (to|until)\b)"
    r"|\bis on us\b|\bpay nothing\b|免费|我们请客|不收您?钱",
    re.IGNORECASE,
)
# By what sources name the same: "Plus gives free delivery" says that delivery is free.
_NAMED = CLAIMED | {
    "gift": re.compile(rf"{CLAIMED['gift'].pattern}|\bfree\b|\bno (extra )?(charge|cost)", re.I)
}
_GIVES = re.compile(
    r"\byou('ll| will)? (get|receive)\b|\b(i|we)('ll| will)? (give|pay|send|credit)\b"
    r"|[会将]?(给|付|赔)您",
    re.IGNORECASE,
)
_ACTS = (
    r"refunded|reimbursed|cancell?ed|issued|credited|applied|booked|scheduled|arranged|replaced"
    r"|initiated|submitted|approved|waived|extended|compensated|sent you|sent out|reset|updated"
    r"|changed|processed|added|removed|granted|confirmed|put through|deleted|blocked|unlocked"
    r"|placed|upgraded|reversed|ended|reordered|rebooked"
)
_ACTING = (
    r"refunding|reimbursing|cancell?ing|issuing|crediting|booking|replacing|initiating|submitting"
    r"|approving|waiving|extending|compensating|resetting|updating|changing|processing|removing"
    r"|granting|deleting|reversing|ending"
)
_OURS = (
    r"refund|cancellation|order|voucher|coupon|credit|replacement|compensation|payment|account"
    r"|address|subscription|money"
)
_DONE = re.compile(
    rf"\b(i|we)('m|'re| am| are)( \w+){{0,2}} ({_ACTING})\b"
    rf"|\b(i|we)('ve| have)?( (?!you\b)\w+){{0,2}} ({_ACTS})\b"
    rf"|\b({_OURS})\b[\w\s#$.]{{0,40}}\b((has|have) been|was|were|got)( \w+)? ({_ACTS})\b"
    rf"|\b({_OURS})\b[\w\s#$.]{{0,40}}\b(is|are|went)( \w+)? "
    r"(on (its|the|their) way|through|back|under ?way)\b"
    rf"|\b(refund|cancellation)s? (done|granted|approved|confirmed|issued)\b"
    rf"|\bconsider (it|that) ({_ACTS}|done)\b"
    r"|已经?(为|给|帮)?您?(成功)?(退款|退还|取消|补发|赔付|补偿|申请|办理|修改|更新|发放|减免"
    r"|撤销|关闭|退了|改好)|(退款|取消|补发|赔付)(已经?|成功)",
    re.IGNORECASE,
)
_DEED = re.compile(rf"\b(?:{_ACTS})\b", re.IGNORECASE)
# Rules say it too, of all orders: "Your payment is refunded to the card".
_STANDS = re.compile(
    rf"\byour ({_OURS})\b[\w\s#$.]{{0,40}}\b(is|are)( \w+)? (?P<deed>{_ACTS})\b", re.IGNORECASE
)
# Of what was done it says by whom: by those who speak.
_OURS_TO_DO = re.compile(r"\b(i|we)('|\b)|\bconsider\b|[为给帮]您?", re.IGNORECASE)
# "Refundable", "free until noon" and "refund requested" say what may be, not what was done.
_OPEN = re.compile(
    r"able\b|\b(free|can|may|possible|if|unless|until|eligible|request\w*|pending|fees?|policy"
    r"|allowed)\b|可|待|申请",
    re.IGNORECASE,
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


def only_asks(text: str) -> bool:
    """Say whether a text asks and tells nothing: "Which order is it?"; an empty one does not."""
    said = sentences(text)
    return bool(said) and all(_QUESTION.search(each) and _ASKS.match(each) for each in said)


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
    named = [words for words in KIND_WORDS.values() if words.search(clause)]
    if _did(named, grounds) or _is_told(clause, named, grounds):
        return True
    stands = _STANDS.search(clause)
    if stands is None or _DONE.search(clause):
        return False
    return any(stands["deed"].lower() in each.text.lower() for each in grounds.rules)


def _did(named: Sequence[re.Pattern[str]], grounds: Grounds) -> bool:
    """Say whether calls or staff did all that is named; where nothing is, whether they did any."""
    deeds = [each.deed for each in grounds.told if each.deed]
    deeds += [each.text for each in grounds.staff]
    return bool(deeds) and all(any(map(words.search, deeds)) for words in named)


def _is_told(clause: str, named: Sequence[re.Pattern[str]], grounds: Grounds) -> bool:
    """Say whether values that tools told say so themselves, of a deed that need not be ours."""
    if _OURS_TO_DO.search(clause):
        return False
    values = [value for each in grounds.told for value in each.values]
    said = [value for value in values if not DENIES.search(value) and not _OPEN.search(value)]
    wanted = named or [_alike(deed) for deed in _DEED.findall(clause)]
    if not wanted:  # "your order is on its way", in whatever words it was told
        return bool(grounds.told)
    return all(any(map(words.search, said)) for words in wanted)


def _alike(deed: str) -> re.Pattern[str]:
    return re.compile(rf"\b{re.escape(deed)}\b", re.IGNORECASE)


def _is_named(kind: str, grounds: Grounds) -> bool:
    if kind == "call" and grounds.hands_over:
        return True
    return any(_NAMED[kind].search(each.text) for each in grounds.firm)


def _figures(sentence: str, sources: list[Source]) -> Iterator[str]:
    text = _PLACE_IN_LIST.sub("", sentence)
    for quantity in counted(text):
        if _IDIOM.fullmatch(quantity.text.replace("-", " ")):
            continue
        if any(each.holds(quantity) for each in sources):
            continue
        if not follows(quantity, text, [each.figures for each in sources]):
            yield quantity.text
    if not _is_asked(text):
        known = {day for each in sources for day in each.days}
        yield from (day for day in days_in(text) if day not in known)
