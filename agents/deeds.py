"""Whether what a reply says was done was done, and by whom.

What we say of ourselves (`agents.boasting`) needs a call that did it, or staff. That something
*was* done ("your refund was issued") a tool's values may tell as well, or a rule of all cases.
"""

import re
from collections.abc import Iterator, Sequence

from agents import boasting
from agents.affirming import Fact
from agents.clauses import DENIES, parts, split_up
from agents.kinds import KIND_WORDS
from agents.sources import Grounds
from knowledge.comparing import IDLE

_ACTS = (
    r"refunded|reimbursed|cancell?ed|issued|credited|applied|booked|scheduled|arranged|replaced"
    r"|initiated|submitted|approved|waived|extended|compensated|sent you|sent out|reset|updated"
    r"|changed|processed|added|removed|granted|confirmed|put through|deleted|blocked|unlocked"
    r"|placed|upgraded|reversed|ended|reordered|rebooked|stopped|paused|halted|put on hold|marked"
    r"|flagged|escalated|prioriti[sz]ed|forwarded|restored|renewed|activated|redeemed|remade"
    r"|settled|resolved|fixed|taken care of"
)
_ACTING = (
    r"refunding|reimbursing|cancell?ing|issuing|crediting|booking|replacing|initiating|submitting"
    r"|approving|waiving|extending|compensating|resetting|updating|changing|processing|removing"
    r"|granting|deleting|reversing|ending"
)
_OURS = (
    r"refund|cancellation|order|voucher|coupon|credit|replacement|compensation|payment|account"
    r"|address|subscription|money|booking|delivery|request|case|claim|complaint"
)
_DONE = re.compile(
    rf"\bwe('re| are)( \w+){{0,2}} ({_ACTING})\b"
    rf"|\b({_OURS})\b[\w\s#$.]{{0,40}}\b((has|have) been|was|were|got)( \w+)? ({_ACTS})\b"
    rf"|\b({_OURS})\b[\w\s#$.]{{0,40}}\b(is|are|went)( \w+)? "
    r"(on (its|the|their) way|through|back|under ?way)\b"
    rf"|\b(refund|cancellation)s? (done|granted|approved|confirmed|issued)\b"
    rf"|\bconsider (it|that) ({_ACTS}|done)\b"
    r"|已经?(为|给|帮)?您?(成功)?(退款|退还|取消|补发|赔付|补偿|申请|办理|修改|更新|发放|减免"
    r"|撤销|关闭|退了|改好)|(退款|取消|补发|赔付)(已经?|成功)",
    re.IGNORECASE,
)
_BEING = re.compile(r"\b(?:is|are) (?:now )?being (?P<verb>\w{3,})", re.IGNORECASE)
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
    r"|allowed|deadline)\b|可|待|申请",
    re.IGNORECASE,
)
_IF = re.compile(r"\b(if|once|when|after|unless|until|as soon as|in case)\b|如果|若|一旦|只要|后",
                 re.IGNORECASE)  # fmt: skip
_WORD = re.compile(r"[a-z]{4,}|[\u4e00-\u9fff]{2}", re.IGNORECASE)
_GENERAL = {*IDLE, "have", "just", "order", "orders", "with", "been", "already", "done"}
_LOOKED_AT = {"looked", "checked", "reviewed"}
_PROGRESS = {"prepared", "cooked", "made", "packed", "shipped", "brought", "delivered", "handled"}
_STEM = 4  # letters by which "preparing" and "prepared" are one


def unproved(text: str, grounds: Grounds) -> bool | None:
    """Say whether a sentence tells of a deed that nobody did; None if it tells of none."""
    proved = list(_proved(text, grounds))
    return not all(proved) if proved else None


def _proved(text: str, grounds: Grounds) -> Iterator[bool]:
    """Yield of each clause that says something was done whether it was."""
    goes_on = False
    for _, part, is_asked in parts(text):
        if not is_asked and _is_reported(part):
            yield _was_done(part, grounds)
        for clause in split_up(part):
            if not is_asked:
                yield from _of_clause(clause, grounds, goes_on=goes_on)
            goes_on = goes_on or boasting.speaks_of_us(clause)


def _of_clause(clause: str, grounds: Grounds, *, goes_on: bool) -> Iterator[bool]:
    if verb := boasting.claimed(clause, hands_over=grounds.hands_over, goes_on=goes_on):
        yield _did_so(verb, clause, grounds)
    elif (being := _BEING.search(clause)) and not _stands_somewhere(being["verb"], grounds):
        yield False


def _is_reported(clause: str) -> bool:
    spot = _DONE.search(clause) or _STANDS.search(clause)
    if spot is None:
        return False
    before = clause[: spot.end()]
    return not DENIES.search(before) and not _IF.search(before)


def _was_done(clause: str, grounds: Grounds) -> bool:
    """Say whether somebody reports such a deed, or a rule says of all cases that it is so."""
    named = _kinds_in(clause)
    if _did(named, grounds) or _is_told(clause, named, grounds):
        return True
    stands = _STANDS.search(clause)
    if stands is None or _DONE.search(clause):
        return False
    return any(stands["deed"].lower() in each.text.lower() for each in grounds.rules)


def _kinds_in(clause: str) -> list[re.Pattern[str]]:
    return [words for words in KIND_WORDS.values() if words.search(clause)]


def _did(named: Sequence[re.Pattern[str]], grounds: Grounds) -> bool:
    """Say whether calls or staff did all that is named; where nothing is, whether they did any."""
    deeds = _deeds(grounds)
    return bool(deeds) and all(any(map(words.search, deeds)) for words in named)


def _deeds(grounds: Grounds) -> list[str]:
    return [each.done for each in grounds.told if each.done] + [each.text for each in grounds.staff]


def _did_so(verb: str, clause: str, grounds: Grounds) -> bool:
    """Say whether a deed that we claim was done by a call or by staff, or is a rule's of us.

    One that is of no kind must share a word with what was done: to have refunded proves no
    word to the restaurant.
    """
    named = _kinds_in(clause)
    if named or _DEED.fullmatch(verb):
        return _did(named, grounds)
    wanted = {word.lower()[:_STEM] for word in _WORD.findall(clause)}
    wanted -= {word[:_STEM] for word in _GENERAL}
    done = " ".join([*_deeds(grounds), *(str(fact) for fact in _facts_of_deeds(grounds))]).lower()
    if any(stem in done for stem in wanted) or (_deeds(grounds) and not wanted):
        return True
    return any(_does_so(verb, each.text) for each in grounds.rules)


def _does_so(verb: str, rule: str) -> bool:
    """Say whether a rule says that we do that: "we block the courier" for "I'm blocking him"."""
    form = rf"{re.escape(verb[: max(_STEM, len(verb) - 4)])}\w*" if verb.endswith("ing") else verb
    return re.search(rf"\bwe\b[^.]{{0,60}}\b{form}\b", rule, re.IGNORECASE) is not None


def _facts_of_deeds(grounds: Grounds) -> list[Fact]:
    return [fact for each in grounds.told if each.done for fact in each.facts]


def _is_told(clause: str, named: Sequence[re.Pattern[str]], grounds: Grounds) -> bool:
    """Say whether values that tools told say so themselves, of a deed that need not be ours."""
    if _OURS_TO_DO.search(clause):
        return False
    deeds = [_alike(deed) for deed in _DEED.findall(clause)]
    facts = [fact for each in grounds.told for fact in each.facts]
    said = [fact for fact in facts if not fact.says_no and not _is_open(fact)]
    if not named and not deeds:  # "your order is on its way", in whatever words it was told
        return bool(grounds.told)
    return all(any(_says(fact, words, deeds) for fact in said) for words in named or deeds)


def _says(fact: Fact, words: re.Pattern[str], deeds: Sequence[re.Pattern[str]]) -> bool:
    """Say whether a value names a deed ("refunded"), or a field of that kind tells of it."""
    if words.search(fact.value):
        return True
    is_named = words.search(fact.name)
    return bool(is_named and any(deed.search(str(fact)) for deed in deeds))


def _is_open(fact: Fact) -> bool:
    return bool(_OPEN.search(fact.value) or _OPEN.search(fact.name) or DENIES.search(fact.value))


def _alike(deed: str) -> re.Pattern[str]:
    return re.compile(rf"\b{re.escape(deed)}\b", re.IGNORECASE)


def _stands_somewhere(verb: str, grounds: Grounds) -> bool:
    """Say whether what "is being made" is spoken of by what the reply rests on.

    How far an order has got may be said in other words than the tool's.
    """
    verb = verb.lower()
    if verb in _LOOKED_AT or (verb in _PROGRESS and grounds.told):
        return True
    stem = verb[: max(_STEM, len(verb) - 3)]
    return any(stem in each.text.lower() for each in grounds.firm)
