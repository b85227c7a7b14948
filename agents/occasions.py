"""When a tool that can't be undone is offered to a model: once somebody has spoken of what it does.

Spoken of by the customer's last lines, by the rule found first (unless it denies it), or by a
found rule that names the tool. By words, in English and Chinese, never by a model.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from agents.clauses import DENIES, sentences
from agents.kinds import KIND_WORDS
from agents.models import Tool
from agents.prompting import LINES_SHOWN, Line, Rule
from knowledge.comparing import IDLE
from knowledge.quantities import plain

# Cosine from which the rule found first speaks for the case. Of the 31 steps of the demo's talks
# that refund or cancel the tool is offered in 10, with the demo's own lists of words in 29, and
# where another step is right in 64 and 120 of 781; of 36 wordings of "Where is my order?" in
# none. From .84 on these were 27, 30, 148, 164 and 7 (measured on 2026-11-23).
SPEAKS = 0.9
# Characters around a deed in which a rule denies it: "can't be refunded", "refunds are not given",
# "instead of a refund"; "an order that never arrived is refunded" does not.
BEFORE, AFTER = 14, 20
_NOT_DONE = re.compile(rf"{DENIES.pattern}|\binstead of\b|而非", re.IGNORECASE)
WEAK_WORDS = "already any being can cannot least may more most new only some still yet"
WEAK = {*IDLE, *WEAK_WORDS.split()}
_WORD = re.compile(r"[a-z]{3,}|[\u4e00-\u9fff]{2,4}")
_CLAUSE = re.compile(r"[,;:，；：—–]|\b(?:and|but|so|because|then|please)\b|请", re.IGNORECASE)
# What stands before a deed, in its clause, where it is asked about. "Can you cancel it?" asks
# for it.
_ASKS_ABOUT = re.compile(
    r"^\W*(?:(?:hi|hey|hello|ok|well|sorry)\W+)*(?:what|when|which|who|whose|where|does|did|is|are"
    r"|am|was|were|has|had|(?:do|have) (?=you|i|we|they)|(?:will|would|should|shall) (?!you\b))\b"
    r"|\b(?:how|why)\b|为什么|怎么|什么时候|多久|是否",
    re.IGNORECASE,
)
# Where it is unwanted or to be undone.
_UNWANTED = re.compile(
    r"(?:n't|\bnot|\bnever)\W+(?:\w+\W+)?(?:want|need|like|ask|mean|request|say|said|told?)\w*\b"
    r"|\b(?:stop|halt|withdraw|undo|revoke|reverse|retract|take back|call off|forget|hold|pause)\b"
    r"(?:\W+\w+){0,5}\W*$|\bcancel\w*\W+(?:(?:the|my|this|that|your)\W+)?$|(?:撤回|撤销|停止|取消)\W*$",
    re.IGNORECASE,
)
_IMAGINED = re.compile(
    r"\b(?:if|suppose|supposing|whether|in case)\b|如果|若|要是|假如", re.IGNORECASE
)
_WANTS = re.compile(
    r"\b(?:want|wish|like|need|get|be|help|have (?:it|this|that|my|the|order))\b|想|要|帮", re.I
)
_TOLD = re.compile(r"(?:ed|ing)$|[已被]\W*$")  # others did it, or it is under way
_OTHER = re.compile(
    r"\W+(?:(?:the|my|this|that|your)\W+)?(?:refund|cancellation|voucher|coupon|call)\w*", re.I
)
_TAKEN_BACK = re.compile(
    r"\b(?:withdr[ae]w|revok|revers|undo|stopp?ed)\w*|tak\w+ (?:\w+ ){1,2}back|撤回|撤销", re.I
)
_FIRST_SENTENCE = re.compile(r"^.*?(?:[.。](?=\s|$)|$)", re.DOTALL)


def words_of(tool: Tool) -> list[str]:
    """Return the words and phrases by which customers speak of what a tool does."""
    return [word for alike in _listed(tool) for word in alike] or deeds_of(tool)


def _listed(tool: Tool) -> list[list[str]]:
    """Return the words that people wrote down; those of one list mean the same: "cold/凉了"."""
    parts = [re.split("[/／]", part) for part in re.split(r"[,，、]", tool.occasions)]
    return [found for part in parts if (found := [word.strip() for word in part if word.strip()])]


def deeds_of(tool: Tool) -> list[str]:
    """Return what a tool does, in words of its name and of its description's first sentence.

    Less those of its arguments, which say what it acts on. Rules are read by these alone: one
    that speaks of cold food may well refuse a refund.
    """
    first = _FIRST_SENTENCE.match(tool.description)
    said = f"{tool.name} {first[0] if first else ''}".lower()
    objects = " ".join(tool.parameters.get("properties", {})).lower()
    known = {*_WORD.findall(objects.replace("_", " ")), *WEAK}
    return [
        word for word in dict.fromkeys(_WORD.findall(said.replace("_", " "))) if word not in known
    ]


def reason(tool: Tool, lines: Sequence[Line], rules: Sequence[Rule]) -> str:
    """Return why a tool is offered, "" if it is withheld. `rules` are those found, best first."""
    spoken = _pattern(tuple(words_of(tool)))
    for line in reversed(lines[-LINES_SHOWN:]):
        if line.role == "customer" and (found := spoken.search(plain(line.text))):
            wanted = not tool.is_irreversible or _may_be_wished(tool, line.text)
            return f"the customer said “{found[0]}”" if wanted else ""
    deeds = _deeds(tool)
    for place, rule in enumerate(rules):
        if names(rule, tool):
            return f"rule #{rule.id} names it"
        speaks = place == 0 and rule.similarity >= SPEAKS
        if speaks and (said := _affirmed(deeds, rule.content)):
            return f"rule #{rule.id} says “{said}”"
    return ""


def asked_for(tool: Tool, text: str) -> bool:
    """Say whether a customer's message speaks of what the tool does, and does not deny it before.

    "It never came" denies nothing where those are the words for it; "don't cancel" does.
    """
    return _says(_pattern(tuple(words_of(tool))), text)


def names(rule: Rule, tool: Tool) -> bool:
    """Say whether a rule names a tool."""
    return re.search(rf"\b{re.escape(tool.name)}\b", rule.content) is not None


def _says(words: re.Pattern[str], text: str) -> bool:
    found = [(each, words.search(each)) for each in sentences(plain(text))]
    return any(spot and not DENIES.search(each[: spot.start()]) for each, spot in found)


def reasons(tool: Tool, text: str) -> list[re.Pattern[str]]:
    """Return what the text gives as reasons for the deed: listed words for it but the deed's own.

    Each with what means the same.
    """
    deeds = _deeds(tool)
    listed = [
        alike for alike in _listed(tool) if not any(map(deeds.search, map(_asked_back, alike)))
    ]
    patterns = [_pattern(tuple(alike)) for alike in listed]
    return [each for each in patterns if _says(each, text)]


def _asked_back(word: str) -> str:
    return f"{word} back"  # "my money" is short for "my money back"


def is_about(rule: Rule, given: Sequence[re.Pattern[str]]) -> bool:
    """Say whether one of the reasons that a customer gives stands among what a rule applies to."""
    cases = [plain(text) for text in (rule.condition, *rule.questions)]
    return any(each.search(text) for each in given for text in cases)


def wishes(tool: Tool, said: Sequence[str]) -> bool:
    """Say whether customers want a deed: the last message that names it, and no reason alone."""
    named = (text for text in reversed(said) if any(_spots(tool, text)))
    last = next(named, "")
    return bool(last) and wished(tool, last)


def wished(tool: Tool, text: str) -> bool:
    """Say whether a customer wants it done, rather than asks about it or wants it undone.

    "Why was it cancelled?", "what if I cancel?", "the shop cancelled it" and "stop the refund"
    are no wishes; nor is "I don't want it cancelled", though "don't want it" may be words for it.
    """
    return asked_for(tool, text) and all(_is_wish(tool, *spot) for spot in _spots(tool, text))


def _may_be_wished(tool: Tool, text: str) -> bool:
    """Say whether it is not plainly unwanted, to be undone, or only imagined."""
    spots = list(_spots(tool, text))
    return not spots or not all(_is_unwanted(*spot) for spot in spots)


def _spots(tool: Tool, text: str) -> Iterator[tuple[str, re.Match[str]]]:
    """Yield where the deed itself is named, with its sentence."""
    words = [word for word in words_of(tool) if _deeds(tool).search(word)]
    named = _pattern((tool.name.split("_")[0], *words))
    for sentence in sentences(plain(text)):
        for spot in named.finditer(sentence):
            yield sentence, spot


def _deeds(tool: Tool) -> re.Pattern[str]:
    return _pattern(tuple(deeds_of(tool)))


def _before(sentence: str, spot: re.Match[str]) -> str:
    return _CLAUSE.split(sentence[: spot.start()])[-1]


def _is_unwanted(sentence: str, spot: re.Match[str]) -> bool:
    is_denied = _UNWANTED.search(_before(sentence, spot))
    return bool(is_denied or _IMAGINED.search(sentence[: spot.start()]))


def _is_wish(tool: Tool, sentence: str, spot: re.Match[str]) -> bool:
    before = _before(sentence, spot)
    if _is_unwanted(sentence, spot) or _ASKS_ABOUT.search(before):
        return False
    if (_TOLD.search(spot[0]) or _TOLD.search(before)) and not _WANTS.search(before):
        return False
    other = _OTHER.match(sentence[spot.end() :])
    return other is None or _deeds(tool).search(other[0]) is not None


def grants(tool: Tool, rule: Rule) -> bool:
    """Say whether a rule says that what the tool does is done, and nowhere that it is not."""
    said = _said_of(tool, rule)
    return bool(said) and not any(
        _NOT_DONE.search(each) or _TAKEN_BACK.search(each) for each in said
    )


def denies(tool: Tool, rule: Rule) -> bool:
    """Say whether a rule says somewhere that what the tool does is not done."""
    return any(map(_NOT_DONE.search, _said_of(tool, rule)))


def _said_of(tool: Tool, rule: Rule) -> list[str]:
    """Return what stands around each word for a tool's deed in a rule."""
    deeds = _deeds(tool)
    return [
        each[max(spot.start() - BEFORE, 0) : spot.end() + AFTER]
        for each in sentences(plain(rule.content))
        for spot in deeds.finditer(each)
    ]


def _affirmed(deeds: re.Pattern[str], text: str) -> str:
    for sentence in sentences(text):
        if (found := deeds.search(sentence)) and not DENIES.search(sentence):
            return found[0]
    return ""


@lru_cache(maxsize=256)
def _pattern(words: tuple[str, ...]) -> re.Pattern[str]:
    """Match any of the words in any form, and others for the same deed ("money back")."""
    alike = [kind.pattern for kind in KIND_WORDS.values() if any(map(kind.search, words))]
    parts = [*map(_forms, words), *alike]
    return re.compile("|".join(parts) or r"(?!)", re.IGNORECASE)


def _forms(phrase: str) -> str:
    if not phrase.isascii():
        return re.escape(phrase)
    return r"\b" + r"\s+".join(_form(word) for word in phrase.split()) + r"\b"


def _form(word: str) -> str:
    """Match "refunded" and "refunding" for "refund"; short words only with an s."""
    if len(word) < 4:
        return re.escape(word) + "s?"
    base = word.rstrip("ey") if len(word) > 4 else word
    return re.escape(base) + r"\w{0,4}"


def offers(tools: Iterable[Tool], lines: Sequence[Line], rules: Sequence[Rule]) -> dict[str, str]:
    """Return of each tool that asks first why it is offered, "" where it is withheld."""
    asking = (tool for tool in tools if tool.is_irreversible)
    return {tool.name: reason(tool, lines, rules) for tool in asking}
