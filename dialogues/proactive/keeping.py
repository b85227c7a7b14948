"""Whether the agent's words still say the news as they were written.

Every sentence must stand there as it was written, one after the other: a word that is left out,
put in or moved may turn it round ("can be delivered; has not closed", 18:15 for 18:45). Courtesy
may come and go anywhere. What is added beside them must be no news: no figure, nothing denied or
made a condition, and nothing more of what the news are about.
"""

import re
from itertools import pairwise

_SPOKEN = [  # contractions as they are written out
    (re.compile(r"\bcan't\b|\bcannot\b"), "can not"),
    (re.compile(r"\bwon't\b"), "will not"),
    *(
        (re.compile(rf"{short}\b"), f" {whole}")
        for short, whole in {
            "n't": "not", "'m": "am", "'re": "are", "'s": "is", "'ve": "have", "'ll": "will",
        }.items()
    ),
]  # fmt: skip
_COURTESY = re.compile(
    r"\b(?:(?:i|we) (?:am|are) )?(?:(?:so|very|really|truly|terribly) )?sorry\b(?: to say)?"
    r"|\b(?:with )?(?:our |my )?apologies\b|\bunfortunately\b|\bplease\b|\bthank you\b|\bthanks\b"
    r"|\b(?:do not|no need to) worry\b|\bno worries\b|\b(?:an?|the|and|so|but|that)\b"
    r"|非?常?很?抱歉|对不起|不好意思|别担心|不用担心|请"
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])|\n+")
_FIGURE = r"[$€£¥%]|[a-z]*\d[a-z\d.,:/-]*[a-z\d]|\d"
_WORD = re.compile(rf"{_FIGURE}|[^\W\d_\u4e00-\u9fff]+|[\u4e00-\u9fff]")
_TURNS = re.compile(
    rf"{_FIGURE}|\b(?:not?|never|nor|none|nothing|nobody|without|hardly|barely|unable|untrue|wrong"
    r"|if|unless|until|once|instead|except|most|least|almost|nearly|maybe|perhaps|possibly"
    r"|probably|true|rather)\b|[不没未无非勿别]|如果|若|除非|一旦|只要|可能|也许|大概|[最至]多"
)
_COMMON = set("的了您你我们是在会")


def keeps_to(plain: str, said: str) -> bool:
    """Say whether `said` tells all of `plain` as it stands, and nothing against it."""
    written, rest = [_words(part) for part in _SENTENCE.split(plain)], _words(said)
    added: list[str] = []
    for sentence in filter(None, written):
        start = _find(sentence, rest)
        if start is None:
            return False
        added += [*rest[:start], "."]
        rest = rest[start + len(sentence) :]
    added += rest
    return not _TURNS.search(" ".join(added)) and not _topics(added) & _topics(_words(plain))


def _words(text: str) -> list[str]:
    text = text.lower().replace("’", "'")
    for short, whole in _SPOKEN:
        text = short.sub(whole, text)
    return _WORD.findall(_COURTESY.sub(" ", " ".join(text.split())))


def _find(wanted: list[str], words: list[str]) -> int | None:
    """Return where the wanted words stand together, None if nowhere."""
    ends = range(len(words) - len(wanted) + 1)
    return next((at for at in ends if words[at : at + len(wanted)] == wanted), None)


def _topics(words: list[str]) -> set[str]:
    """Return what is talked of: longer words, and pairs of signs where a script sets no spaces."""
    pairs = {a + b for a, b in pairwise(words) if _is_sign(a) and _is_sign(b)}
    return {word for word in words if len(word) > 3} - {"your"} | pairs


def _is_sign(word: str) -> bool:
    return "\u4e00" <= word <= "\u9fff" and word not in _COMMON
