"""Reading a reply clause by clause: what is asked, denied or only named, and what is said.

Word lists in English and Chinese.
"""

import re
from collections.abc import Iterator

from knowledge.quantities import plain

DENIES = re.compile(
    r"\b(not|cannot|never|unable|nor|without|no longer|no)\b|n't\b|不|无法|没有|未|尚",
    re.IGNORECASE,
)
# "A voucher instead of a refund" is no refund.
_DENIED_BEFORE = re.compile(rf"{DENIES.pattern}|\b(instead of|rather than)\b|而非", re.IGNORECASE)
# "A refund is not possible", but not "a refund in no time".
_DENIED_AFTER = re.compile(
    r"^\W*(\w+\W+){0,3}(not|never|no longer|unable)\b|^[^.]{0,15}n't\b|^.?[不未无]"
)
# A no that denies nothing, and hours that promise nothing.
_ASIDE = re.compile(
    r"\b(no (problem|worries|doubt)|not (a problem|to worry|at all|only)|(do not|don't|no need to) "
    r"worry|never mind|without (any |further )?(delay|hesitation|fuss|ado|question))s?\b"
    r"|\b(gone|went) ahead and\b|\b24/7\b|没问题|不用担心|别担心|不客气",
    re.IGNORECASE,
)
_PART = re.compile(r"[,;:，；：—–]")
_CLAUSE = re.compile(rf"{_PART.pattern}|\b(?:and|but|so|because|then)\b", re.IGNORECASE)
_ASKS = re.compile(
    r"^\W*(and |or |so |but )?(shall|should|would|could|can|may|do|does|did|is|are|was|were|will"
    r"|has|have|had|what|which|when|where|who|why|how)\b",
    re.IGNORECASE,
)
# Questions by which something is told: "Did you know that it is free?"
_TELLS = re.compile(
    r"^\W*(and |or |so |but )?((did|do|would|have) you (know|hear|see|seen|notice|believe)\w*\b"
    r"|are you aware\b|why (not|don't)\b|\w+n't\b|what if\b|is it not\b"
    r"|(shall|may|can|should) (i|we) (tell|say)\b|who (said|says|knows)\b)|^\W*(您|你)?知道",
    re.IGNORECASE,
)
_ASKS_IN_CHINESE = re.compile(r"吗|呢|什么|哪|几|还是|是否|能否|(\S)不\1")
_QUESTION = re.compile(r"[?？]\s*$|吗[。.]?\s*$")
SENTENCE = re.compile(r"(?<=[.!?])\s+|(?<=[。！？；])\s*|\n+")


def sentences(text: str) -> list[str]:
    """Split a reply; a full stop inside a figure ends nothing."""
    return [part for part in SENTENCE.split(plain(text)) if part.strip()]


def without_asides(sentence: str) -> str:
    """Return a sentence on one line, less the noes that deny nothing."""
    return " ".join(_ASIDE.sub(" ", sentence).split())


def clauses(text: str) -> Iterator[tuple[int, str, bool]]:
    """Yield where each clause of a sentence begins, its words, and whether they are asked.

    What stands before the question is told: "It costs $1, does it?"
    """
    return _split(text, _CLAUSE)


def parts(text: str) -> Iterator[tuple[int, str, bool]]:
    """Yield the same of what stands between commas and the like; "and" parts nothing."""
    return _split(text, _PART)


def split_up(part: str) -> list[str]:
    """Return the clauses of a part."""
    return [each for each in _CLAUSE.split(part) if each.strip()]


def _split(text: str, sign: re.Pattern[str]) -> Iterator[tuple[int, str, bool]]:
    asked, start = False, 0
    is_question = bool(_QUESTION.search(text))
    for end in [*(found.start() for found in sign.finditer(text)), len(text)]:
        clause = sign.sub(" ", text[start:end], count=1) if start else text[start:end]
        asks = _ASKS.search(clause) and not _TELLS.search(clause)
        asked = is_question and (asked or bool(asks) or _asks_in_chinese(clause))
        yield start, clause, asked
        start = end


def _asks_in_chinese(clause: str) -> bool:
    """Say whether a clause of a question without a question word at its start asks something."""
    return bool(_ASKS_IN_CHINESE.search(clause)) and not _TELLS.search(clause)


def is_denied(clause: str, spot: re.Match[str]) -> bool:
    """Say whether a clause denies what stands at a spot of it."""
    before, after = clause[: spot.start()], clause[spot.end() :]
    return bool(_DENIED_BEFORE.search(before) or _DENIED_AFTER.search(after))
