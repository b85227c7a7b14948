"""Whether a text is in a language whose words for promises and deeds are listed.

That is English and simplified Chinese. Of the others nothing is known, so the test is the other
way round: a Latin text counts as English where enough of its words are common English ones.
"""

import re

from django.conf import settings

from knowledge.quantities import NUMBER_NAMES, TENS_NAMES, plain

FEWEST_WORDS = 3  # lower-case ones: names of dishes and streets are of no language
LIST_PARTS, LONGEST_ITEM = 3, 2  # parts that make a list; words of an item
ENOUGH = 0.2  # of the lower-case words, and at least one that no neighbour has
# None of them is a common word of German, French, Spanish, Italian, Portuguese or Dutch.
_COMMON_WORDS = """
    the and you your yours it its they them their this that these those there here have has had
    been are were be from with for which what when where who how why can could would should may
    might must please thank thanks our us my not all any some more most other only just now then
    if but about by after before until while because yes into out up over off than too very or at
    need needs want wants like know tell let look help say sorry back get give take make right
    well new first last next same still already again also another anything something nothing
    each every both few many much such under above between within without during through
    does did done goes go come comes came went arrive arrives sent ask asks add use keep stay leave
    time day days week weeks month months hour hours today tomorrow home food shop price card
    money account number name address phone order orders delivery refund pay paid free open
    colleague customer answer question reason find found see rule case way wait long good great
    better best hope feel understand moment minute soon friend write call check courier
    contain include including item available
    choose change start end full cost become instead later early year twice once own second spend
"""
# They are words of others too: "in" is German, "a" Spanish, "is" Dutch.
_SHARED_WORDS = "a an in on to of is was we i so no me as do will am he she one"
COMMON = {*_COMMON_WORDS.split(), *NUMBER_NAMES.split(), *TENS_NAMES.split()} - {"one"}
SHARED = set(_SHARED_WORDS.split())
_ENGLISH_FORM = re.compile(r".{2,}(?:ing|ly)|.{3,}ed|\w+'(?:s|t|re|ve|ll|d|m)|.{3,}(?:ght|wn)s?")
_LOWER = re.compile(r"(?<![\w'])[a-z\u00df-\u017f][a-z\u00df-\u017f']*(?![\w'])")
# Every script but Latin and ideographs, kana and Hangul among them.
_OTHER_SCRIPT = re.compile(
    r"[^\W\d_a-zA-Z\u00aa-\u024f\u1e00-\u1eff\u3400-\u9fff\U00020000-\U0003ffff]"
)
# Common signs of traditional Chinese that simplified Chinese doesn't have.
_TRADITIONAL = re.compile("[們這會為個來對時過還說請謝訂單點後錢開關無給幫與將經費優補償]")
_PART = re.compile(r"[^,;:\n]+[,;:\n]*")
_CAPITAL = re.compile(r"\w\W+[A-Z\u00c0-\u00de]")  # but for the first word
_SENTENCE = re.compile(r"(?<=[.!?。！？])\s+|\n+")


def may_be_said(text: str) -> bool:
    """Say whether a model may word it: in a listed language, unless the house takes any."""
    return settings.ANY_LANGUAGE or is_listed(text)


def is_listed(text: str) -> bool:
    """Say whether all that a text says can be read by the lists."""
    text = _without_items(plain(text))
    if len(_OTHER_SCRIPT.findall(text)) > FEWEST_WORDS or _TRADITIONAL.search(text):
        return False
    return all(_is_english(each) for each in [text, *_SENTENCE.split(text)])


def may_be_another(text: str) -> bool:
    """Say whether a sentence that is not whole yet shows no sign of a listed language.

    Never where the house takes any.
    """
    if settings.ANY_LANGUAGE:
        return False
    words = _LOWER.findall(plain(text))
    return not is_listed(text) or (bool(words) and not any(map(_is_common, words)))


def has_english(text: str) -> bool:
    """Say whether a common English word stands in a text, in small letters or at its begin."""
    words = _LOWER.findall(plain(text[:1].lower() + text[1:]))
    return any(_is_common(word) or word in SHARED for word in words)


def _is_english(text: str) -> bool:
    words = _LOWER.findall(text)
    if len(words) < FEWEST_WORDS:
        return True
    own = sum(map(_is_common, words))
    shared = sum(word in SHARED for word in words)
    return own > 0 and own + shared >= ENOUGH * len(words)


def _without_items(text: str) -> str:
    """Return a text but for the items of a list, if it has one: dishes are of no language."""
    parts = _PART.findall(text)
    if len(parts) < LIST_PARTS:
        return text
    return "".join(part for part in parts if not _is_item(part))


def _is_item(part: str) -> bool:
    """Say whether it is a word or two; nouns with capitals, as in German, may make a sentence."""
    return len(_LOWER.findall(part)) <= LONGEST_ITEM and not _CAPITAL.search(part)


def _is_common(word: str) -> bool:
    is_known = word in COMMON or word.removesuffix("s") in COMMON
    return is_known or _ENGLISH_FORM.fullmatch(word) is not None
