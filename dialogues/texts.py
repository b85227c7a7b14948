"""Telling questions from small talk, and texts that name somebody. No Django."""

import re
from collections.abc import Iterable

# What says nothing of what is asked: greetings, thanks, yes and no, calls for a person, and
# the words that hold a sentence together.
_EMPTY = (
    "a about again ah all alright am an and any anybody anyone are as at awesome be been bye "
    "can chat colleague cool could day did do does evening fine for from give good goodbye got "
    "great hello help hey hi hm hmm hola how human i im in is it just k later let live lol "
    "look maybe me meh morning my need never nice night no not now of ok okay oh on one or "
    "operator perfect person please put question real really representative right see sir so "
    "somebody someone sorry speak super sure talk thank thanks that the then there this thx to "
    "transfer ty up us useless want was wait we well what will with wow ya yeah yep yes yo you "
    "your"
)
EMPTY_WORDS = frozenset(_EMPTY.split())
EMPTY_PHRASES = re.compile("你好|您好|谢谢|好的|再见|请问|人工|客服|转接|是的|不是|嗯")
CHINESE = re.compile(r"[\u4e00-\u9fff]")
WORD = re.compile(r"[^\W_]+")
FEWEST_WORDS, FEWEST_CHARACTERS = 2, 4  # that carry meaning; characters of Chinese
TOO_ALIKE = 0.8  # share of words that two wordings have in common

# E-mail addresses; codes of letters and digits, such as orders and flights; four digits or
# more, however they are set apart: telephones, cards, customers.
NAMES_SOMEBODY = re.compile(
    r"[^\s@]+@[^\s@]+\.\w|\b(?=\w*\d)(?=\w*[a-z])[a-z\d]{5,}\b|\d(?:[\s().-]?\d){3,}", re.IGNORECASE
)


def is_small_talk(text: str) -> bool:
    """Say whether nothing is asked: a greeting, thanks, an order's number, a call for a person."""
    rest = EMPTY_PHRASES.sub("", text)
    if len(CHINESE.findall(rest)) >= FEWEST_CHARACTERS:
        return False
    telling = [
        word
        for word in words_of(rest)
        if word not in EMPTY_WORDS and len(word) > 1 and not any(c.isdigit() for c in word)
    ]
    return len(telling) < FEWEST_WORDS


def names_somebody(text: str) -> bool:
    """Say whether a text holds an address, a telephone or an order's number, so is private."""
    return bool(NAMES_SOMEBODY.search(text))


def words_of(text: str) -> list[str]:
    """Return the words in lower case; "I'm" is one."""
    return WORD.findall(text.lower().replace("'", "").replace("’", ""))


def distinct(texts: Iterable[str], *, known: Iterable[str] = ()) -> list[str]:
    """Drop what nearly repeats an earlier text or a known one; the order stays."""
    seen = [set(words_of(text)) for text in known]
    kept: list[str] = []
    for text in texts:
        words = set(words_of(text))
        if words and not any(_alike(words, other) for other in seen):
            kept.append(text)
            seen.append(words)
    return kept


def _alike(one: set[str], other: set[str]) -> bool:
    return len(one & other) >= TOO_ALIKE * len(one | other)
