"""What an answer changed in a call. Plain data, no model, no Django.

What may be told to a customer is decided here: a fact is what its reader reads in words that
were meant as an answer, heard clearly, and by whom we asked for.
"""

import re
from collections.abc import Sequence
from datetime import date
from typing import Any

from agents.subagents import flow, intents
from agents.subagents.cards import Card, Fact
from agents.subagents.flow import State
from agents.subagents.readers import FIGURES, Reading, read
from agents.subagents.transports import Ear, Heard

DENIED_AT_MOST = 2  # readings back that were denied; then nothing they said is told
# The recogniser's confidence, below which nothing is read from what was heard. Whisper base is
# sure to 0.47 to 0.63 of what it rightly hears of a synthetic voice on a line.
CLEAR = 0.4
UNMISTAKABLE = ("duration", "money", "date")  # read also where something else was asked
_LOOSE = re.compile(r"(?<!half )\ban? (second|minute|hour|day|week|month|year)\b", re.IGNORECASE)


def take(card: Card, state: State, heard: Heard, *, line: int, today: date) -> dict[str, Any]:
    """Note what was heard; return the facts that were read from it, by name.

    Args:
        line: the transcript's number of what was heard, which is the proof of a fact.
    """
    state.awaiting = False
    if heard.ear == Ear.HUNG_UP:
        state.ended, state.over = state.ended or flow.HUNG_UP, True
        return {}
    if heard.ear == Ear.SILENCE:
        _take_silence(card, state)
        return {}
    state.silences, state.heard = 0, line
    intent = _intent_of(card, state, heard.text)
    if heard.confidence < CLEAR:
        state.unwanted |= intent in (intents.NEVER, intents.UNWANTED)
        return {}
    reads_back = state.last.kind == "confirm"
    found = {} if intent == flow.NOT_THEM else _read_all(card, state, heard.text, today)
    if reads_back:
        _take_confirmation(state, heard.text, line, found)
    elif not intent and (fact := _asked_fact(card, state)) and fact.name not in found:
        state.unread[fact.name] = f"{state.unread.get(fact.name, '')}{heard.text} … "
    for name, reading in found.items():
        # "Yes, but only if they pay … Yes": who says it shorter when asked again means all of it.
        said = state.unread.pop(name, "") + reading.said
        state.facts[name] = {"value": reading.value, "said": said, "line": line}
    _take_intent(card, state, intent, answered=bool(found))
    return {name: reading.value for name, reading in found.items() if name in state.facts}


def _intent_of(card: Card, state: State, text: str) -> str:
    """Return the intent of their words, which may be that we have another shop."""
    intent = intents.of(text)
    if intent != intents.NEVER and intents.denies(text, card.whom):
        return intents.WRONG_NUMBER
    if not intent and state.last.kind in ("greet", "whom") and intents.begins_with_no(text):
        return flow.NOT_THEM if state.last.kind == "greet" else intents.WRONG_NUMBER
    return intent


def _take_silence(card: Card, state: State) -> None:
    state.silences += 1
    state.confirmed -= state.last.kind == "confirm"  # a reading back that nobody answered is none
    state.hint = "silence"
    if state.silences >= card.silences:
        state.ended = flow.SILENT


def _take_intent(card: Card, state: State, intent: str, *, answered: bool) -> None:
    state.hint = "" if answered else intent
    match intent:
        case intents.WRONG_NUMBER | intents.NEVER:
            state.ended = flow.WRONG_NUMBER if intent == intents.WRONG_NUMBER else flow.NEVER
            _forget(state)
        case intents.BUSY if not answered:
            state.ended = flow.CALL_BACK
        case intents.GOODBYE:
            state.ended = state.ended or flow.HUNG_UP
        case intents.REFUSAL | intents.ANGRY | intents.UNWANTED:
            state.unwanted |= intent == intents.UNWANTED
            state.refusals += not answered
            if state.refusals >= card.refusals:
                state.ended = flow.REFUSED


def _forget(state: State) -> None:
    """Drop what was said: it was somebody else's, or is not to be used."""
    state.facts, state.unread, state.agreed, state.commitment = {}, {}, False, {}


def _take_confirmation(state: State, text: str, line: int, found: dict[str, Reading]) -> None:
    """Note what was said to a reading back; `found`, what corrects it.

    A no that corrects nothing takes everything back: it is asked again, once.
    """
    answer = read(Fact("agreed", "Is that right?", "yes_no"), text, today=date.min)
    if found:
        state.agreed, state.commitment = False, {}
    elif answer and answer.value:
        state.agreed, state.commitment = True, {"words": answer.said, "line": line}
    elif answer:
        state.denials += 1
        state.asked |= dict.fromkeys(state.facts, 1)
        _forget(state)
        if state.denials >= DENIED_AT_MOST:
            state.ended = flow.DISPUTED


def _read_all(card: Card, state: State, text: str, today: date) -> dict[str, Reading]:
    """Read the fact that was asked for, and others that the words can't but mean.

    While facts are read back, whatever of these kinds is said corrects them.
    """
    found: dict[str, Reading] = {}
    fact = _asked_fact(card, state)
    if fact and (reading := read(fact, text, today=today)):
        found[fact.name] = reading
    reading_back = state.last.kind == "confirm"
    # "I waited an hour"; "I'm busy, 20 minutes", where nothing was asked, is when to call back.
    loose = _LOOSE.search(text) or (intents.of(text) in intents.DELAYS and not reading_back)
    for fact in [] if loose else _unmistakable(card.facts):
        known = fact.name in state.facts or fact.name in found
        reading = read(fact, text, today=today) if known == reading_back else None
        if reading and reading.value != state.facts.get(fact.name, {}).get("value"):
            found[fact.name] = reading
    return found


def _asked_fact(card: Card, state: State) -> Fact | None:
    """Return the fact that the last words asked for; "yes" to an offer is no answer to it."""
    fact = card.fact(state.asking)
    if fact is None or fact.name in state.facts or state.last.kind in ("greet", "confirm"):
        return None
    beside_it = state.last.kind in ("still_there", "offer", "whom")
    return None if beside_it and fact.kind not in FIGURES else fact


def _unmistakable(facts: Sequence[Fact]) -> list[Fact]:
    """Keep the facts whose kind no other fact of the card has, where kinds tell them apart."""
    kinds = [fact.kind for fact in facts]
    return [fact for fact in facts if fact.kind in UNMISTAKABLE and kinds.count(fact.kind) == 1]


def accept(
    card: Card, state: State, claimed: dict[str, Any], heard: str, *, line: int, today: date
) -> list[str]:
    """Take facts that the model says it heard, where its words prove them; return their names.

    A claim counts only for a figure, and only if its reader reads the same from the claim, as it
    stands in the callee's words, and from all these words: a model that makes things up adds
    nothing, nor does one that leaves out half.
    """
    taken = []
    for name, words in claimed.items():
        fact = card.fact(name)
        if fact is None or fact.kind not in FIGURES or name in state.facts:
            continue
        if intents.of(heard) in intents.DELAYS or not isinstance(words, str):
            continue
        if words.strip().lower() not in heard.lower():
            continue
        claim, reading = read(fact, words, today=today), read(fact, heard, today=today)
        if claim and reading and claim.value == reading.value:
            state.facts[name] = {"value": reading.value, "said": reading.said, "line": line}
            taken.append(name)
    return taken
