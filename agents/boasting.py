"""Deeds that a reply claims for us: "I've told the restaurant", "we're stopping the payment".

Grammar, not a list of deeds: whatever verb stands in the past or perfect beside "I" or "we", but
for those that change nothing. "I've checked and cancelled it" claims the second.
"""

import re

_TOKEN = re.compile(r"[a-z]+(?:'[a-z]+)?", re.IGNORECASE)
_WE = {"i", "we", "i've", "we've", "i'd", "we'd", "i'm", "we're"}
_BETWEEN_WORDS = """
    have had am are was were just already now also then even since both all gladly right myself
    personally immediately
"""
_BETWEEN = set(_BETWEEN_WORDS.split())
_IRREGULAR_WORDS = """
    sent made told took taken put gave given paid did done spoke spoken wrote written begun
    brought set cut left sold bought built drew drawn held kept withdrew withdrawn frozen undid
    undone resent remade rang rung redid redone let
"""
_IRREGULAR = set(_IRREGULAR_WORDS.split())
_NO_PAST = {"proceed", "exceed", "succeed", "indeed", "limited", "unlimited", "dedicated"}
_ALIKE = {"set", "cut", "let", "put"}  # past and present look the same: only after "have"
_HARMLESS_WORDS = """
    checked looked searched reviewed examined verified compared calculated counted noted noticed
    mentioned explained described listed answered apologised apologized tried wanted needed hoped
    missed misunderstood confused mixed assumed realised realized learned helped received opened
    liked loved used pleased delighted concerned worried interested located allowed supposed
    managed asked_you told_you gave_you given_you kept_you let_you thanked happened stated
    promised_you
"""
_HARMLESS = set(_HARMLESS_WORDS.split())
_HARMLESS_PHRASE = re.compile(
    r"\b(took|taken|made|had|put|kept|did|done) (a |an |some |my |another |quick |careful |down )*"
    r"(look|note|mistake|error|best|slip)",
    re.IGNORECASE,
)
_HANDS_OVER = {"passed", "handed", "forwarded", "transferred", "connected", "escalated", "put"}
_TO_WHOM = re.compile(r"\b(colleague|person|human|team|specialist|someone|one)s?\b", re.IGNORECASE)
_UNDER_WAY_WORDS = """
    checking looking passing handing connecting transferring searching reading thinking hoping
    waiting having being going trying talking speaking getting seeing helping wondering missing
    working doing opening listening following using counting referring putting asking_you
    telling_you keeping_you letting_you speaking forwarding feeling asking confirming guessing
    assuming including experiencing offering closing
"""
_UNDER_WAY = set(_UNDER_WAY_WORDS.split())
# "I managed to stop it" did it.
_SUCCEEDED = re.compile(
    r"\b(?:i|we)(?:'ve| have)? (?:\w+ly )?(?:managed|was able|were able|been able) to "
    r"(?!find|see|look|check|read|locate|understand|open|confirm|help)(\w+)",
    re.IGNORECASE,
)
_TAKEN_UP = re.compile(
    r"\b(sorry|apolog\w+|regret|if|once|when|after|unless|until|whether|in case|as soon as)\b"
    r"|\byou (say|said|think|wrote|want\w*|told|mean)\b",
    re.IGNORECASE,
)
# 我把订单撤了, 我已经通知商家了; but 我查了, 我明白了.
_IN_CHINESE = re.compile(r"(?:我们?|咱们?|这边|客服)([^,。!?;]{0,40}?)(?:了|好|成功|完毕)")
_MARKED = re.compile(r"已|刚|帮|替|给您|为您|把|了$")
_HARMLESS_IN_CHINESE = re.compile(
    r"[查看听读找]|了解|明白|理解|收到|记[下录]|核实|知道|注意|转|抱歉|麻烦|久等|太|不|没"
)
_MAY_CLAIM = re.compile(
    r"\b(i|we)('ve|'m|'re| have| had| am| are)\b|\b(i|we) \w+(ed|t|e)\b|\bbeing\b|我|客服|这边|已",
    re.I,
)


def claimed(clause: str, *, hands_over: bool, goes_on: bool = False) -> str:
    """Return the verb of a deed that a clause claims for us, "" if it claims none.

    Args:
        hands_over: a colleague takes over with this reply, so it may say so.
        goes_on: who it speaks of stands in a clause before.
    """
    if deed := _in_chinese(clause):
        return deed
    words = _TOKEN.findall(clause.lower())
    starts = [place for place, word in enumerate(words) if word in _WE]
    verbs = [_verb(words, place) for place in starts]
    if goes_on and not starts:
        verbs = [_verb(["we've", *words], 0)]
    verbs += _SUCCEEDED.findall(clause)
    deeds = [verb for verb in verbs if verb and not _is_harmless(verb, clause, hands_over)]
    return deeds[0] if deeds and not _TAKEN_UP.search(clause.lower().split(deeds[0])[0]) else ""


def may_claim(text: str) -> bool:
    """Say whether a sentence, which is not whole yet perhaps, may come to claim a deed."""
    return bool(_MAY_CLAIM.search(text))


def speaks_of_us(clause: str) -> bool:
    """Say whether a clause tells what we did, so that "and cancelled it" may go on with it."""
    words = [] if _TAKEN_UP.search(clause) else _TOKEN.findall(clause.lower())
    return any(_verb(words, place) for place, word in enumerate(words) if word in _WE)


def _verb(words: list[str], place: int) -> str:
    """Return the past form, or the form in -ing, that belongs to "we" at a place; "" for none."""
    has = words[place].endswith(("'ve", "'d"))
    is_under_way = words[place].endswith(("'m", "'re"))
    for word in words[place + 1 : place + 6]:
        if word in {"have", "had"}:
            has = True
        elif word in {"am", "are"}:
            is_under_way = True
        elif word not in _BETWEEN and not word.endswith("ly"):
            is_past = word in _IRREGULAR and (has or word not in _ALIKE)
            is_past = is_past or (word.endswith("ed") and len(word) > 4 and word not in _NO_PAST)
            return (
                word if (is_past and not is_under_way) or _is_done_now(word, is_under_way) else ""
            )
    return ""


def _is_done_now(word: str, is_under_way: bool) -> bool:
    return is_under_way and word.endswith("ing") and len(word) > 5


def _is_harmless(verb: str, clause: str, hands_over: bool) -> bool:
    known = _HARMLESS | _UNDER_WAY
    if verb in known or _HARMLESS_PHRASE.search(clause):
        return True
    if f"{verb}_you" in known and re.search(rf"\b{verb} you\b", clause, re.IGNORECASE):
        return True
    passes_on = verb in _HANDS_OVER or verb.endswith("ing")
    return hands_over and passes_on and bool(_TO_WHOM.search(clause))


def _in_chinese(clause: str) -> str:
    for spot in _IN_CHINESE.finditer(clause):
        if _MARKED.search(spot[0]) and not _HARMLESS_IN_CHINESE.search(spot[0]):
            return spot[0]
    return ""
