"""Whether a reply may say what it says: figures, dates and promises need a source.

A figure must stand in a rule that the reply cites, in what a tool told, or in what staff said; a
customer's own only takes up what the customer said (`agents.echoing`). Whoever names a refund,
compensation, a call or a cancellation promises one, in whatever tense, unless the clause denies
it, asks about it or only takes up what the customer wants; it and its figures must stand in a
rule, a tool's result or the words of staff, and none of them may deny it (`agents.affirming`).
Of what was done, see `agents.deeds`. A figure may also follow from others by one step of
arithmetic (`agents.summing`). English and Chinese, by lists of words: no model is asked, so none
can be talked into it.
"""

import re
from collections.abc import Iterator

from agents.clauses import clauses, is_denied, sentences, without_asides
from agents.deeds import unproved
from agents.echoing import Echo
from agents.kinds import ABOUT, CAN, CLAIMED, NAMED, TAKES_UP
from agents.sources import Grounds, Source, counted, days_in, meant
from agents.summing import Figures, follows
from knowledge.quantities import Quantity

_GIVES = re.compile(
    r"\byou('ll| will)? (get|receive)\b|\b(i|we)('ll| will)? (give|pay|send|credit)\b"
    r"|[会将]?(给|付|赔)您",
    re.IGNORECASE,
)
_IDIOM = re.compile(r"(an?|one) (sec|second|minute|min)s?", re.IGNORECASE)
_PLACE_IN_LIST = re.compile(r"^\s*\d{1,2}[.)、]\s*")
# "$12 a month": how often, by what a price or a limit is counted.
_EVERY = re.compile(r"an? (day|week|month|year|hour)", re.IGNORECASE)
_OFTEN = {"day": "dai", "week": "week", "month": "month", "year": "year|annual", "hour": "hour"}


def unbacked(reply: str, grounds: Grounds) -> list[str]:
    """Return what of the reply has no source, in its own words; empty if all has one."""
    found = [claim for sentence in sentences(reply) for claim in _claims(sentence, grounds)]
    return list(dict.fromkeys(found))


def _claims(sentence: str, grounds: Grounds) -> Iterator[str]:
    text = without_asides(sentence)
    kinds = list(_promised(text))
    is_unproved = unproved(text, grounds)
    if is_unproved or (is_unproved is None and not all(_is_named(k, text, grounds) for k in kinds)):
        yield sentence.strip()
    is_firm = is_unproved is not None or bool(kinds or _gives(text))
    yield from _figures(text, grounds, is_firm=is_firm)


def _promised(text: str) -> Iterator[str]:
    """Yield the kinds that a sentence promises: named, and neither denied nor only taken up."""
    for _, clause, is_asked in clauses(text):
        if not is_asked:
            yield from (name for name, words in CLAIMED.items() if _promises(words, clause))


def _promises(words: re.Pattern[str], clause: str) -> bool:
    return any(
        not is_denied(clause, spot)
        and not TAKES_UP.search(clause[: spot.start()])
        and not ABOUT.search(clause[spot.end() :])
        for spot in words.finditer(clause)
    )


def _gives(text: str) -> bool:
    return any(_GIVES.search(clause) for _, clause, is_asked in clauses(text) if not is_asked)


def _is_named(kind: str, text: str, grounds: Grounds) -> bool:
    if kind == "call" and grounds.hands_over:
        return True
    if CAN.search(text) and NAMED[kind].search(grounds.offers):
        return True
    return any(each.affirms(NAMED[kind]) for each in grounds.firm)


def _figures(text: str, grounds: Grounds, *, is_firm: bool) -> Iterator[str]:
    text = _PLACE_IN_LIST.sub("", text)
    known = grounds.firm if is_firm else [*grounds.firm, *grounds.stated]
    echo = Echo(text, [] if is_firm else grounds.said)
    for quantity in counted(text):
        sources = [*known, *echo.sources_at(quantity)]
        if not _is_idle(quantity, text, sources) and not _stands(quantity, text, sources, echo):
            yield quantity.text
    yield from _days(text, known, echo)


def _is_idle(quantity: Quantity, text: str, sources: list[Source]) -> bool:
    """Say whether a figure is a manner of speaking, or says how often another one counts."""
    if _IDIOM.fullmatch(quantity.text.replace("-", " ")):
        return True
    every = _EVERY.fullmatch(quantity.text)
    if every is None or not re.search(r"[\w$€£¥] ?$", text[: quantity.start]):
        return False
    often = re.compile(rf"\b({_OFTEN[every[1].lower()]})", re.IGNORECASE)
    return any(often.search(each.text) for each in sources)


def _stands(quantity: Quantity, text: str, sources: list[Source], echo: Echo) -> bool:
    if any(each.holds(quantity) for each in sources):
        return True
    figures: list[Figures] = [each.figures for each in sources] + echo.counts
    return any(follows(each, text, figures) for each in meant(quantity))


def _days(text: str, known: list[Source], echo: Echo) -> Iterator[str]:
    dates = [each for each in counted(text) if each.kind == "date"]
    days = {day for each in [*known, *echo.sources_of_days] for day in each.days}
    days |= {name for each in known for date in dates for name in each.weekdays(date)}
    if not echo.is_asked:
        yield from (day for day in days_in(text) if day not in days)
