"""What to say next in a call, and what an answer changed. Plain data, no model, no Django.

A small model can't lead a call; this can. Each exchange is one move (greet, ask, read back…),
chosen from the card and from what was heard so far; how it is worded is another matter.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

from agents.subagents import intents
from agents.subagents.cards import Card, Fact, Offer
from agents.subagents.readers import Reading, read
from agents.subagents.transports import Ear, Heard

ASKED_AT_MOST = 2  # the same question
CONFIRMED_AT_MOST = 2  # readings back; after that the callee's last word stands
UNDERSTOOD = 0.5  # of the words of a move, by somebody who interrupts it
CUT_OFF_AT_MOST = 6  # exchanges: who interrupts everything is asked less and less
UNMISTAKABLE = ("duration", "money", "date")  # read also where something else was asked

# Why a call ended.
ALL_ASKED, REFUSED, WRONG_NUMBER, HUNG_UP = "all_asked", "refused", "wrong_number", "hung_up"
SILENT, CALL_BACK, TOO_LONG = "silent", "call_back", "too_long"
NO_ANSWER, VOICEMAIL, NEVER = "no_answer", "voicemail", "never_again"

# Moves that end a call; "never" promises that there will be no other.
PARTING = ("goodbye", "sorry", "never")
_PARTING_OF = {WRONG_NUMBER: "sorry", NEVER: "never"}


@dataclass(frozen=True, slots=True)
class Move:
    """One thing to say; `about` names the fact or the offer it is about."""

    kind: str
    about: str = ""


@dataclass(slots=True)
class State:
    """Where a call stands; stored after every exchange, so it is JSON."""

    move: dict[str, str] = field(default_factory=dict)  # the last one
    awaiting: bool = False  # it was said, and not answered yet
    exchanges: int = 0
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)  # value, said, line
    asked: dict[str, int] = field(default_factory=dict)
    asking: str = ""  # the fact that was asked for last
    offered: list[str] = field(default_factory=list)
    refusals: int = 0
    silences: int = 0
    confirmed: int = 0  # how often facts were read back
    agreed: bool = False  # the callee said yes to them
    commitment: dict[str, Any] = field(default_factory=dict)  # words, line
    hint: str = ""  # what the callee's last words were, besides an answer
    withheld: int = 0  # lines in a row that the model worded in vain
    ended: str = ""  # why, once the agent is to say goodbye
    over: bool = False

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def last(self) -> Move:
        return Move(**self.move) if self.move else Move("")


def next_move(card: Card, state: State) -> Move:
    """Choose what to say, given where the call stands."""
    if not state.move:
        return Move("greet")
    if not state.ended and state.exchanges >= card.most_exchanges:
        state.ended = TOO_LONG
    if state.ended:
        return Move(_PARTING_OF.get(state.ended, "goodbye"))
    if aside := _aside(card, state):
        return aside
    if fact := _open_fact(card, state):
        return Move("ask_again" if state.asked.get(fact.name) else "ask", fact.name)
    if state.facts and not state.agreed and state.confirmed < CONFIRMED_AT_MOST:
        return Move("confirm")
    state.ended = ALL_ASKED
    return Move("goodbye")


def _aside(card: Card, state: State) -> Move | None:
    """Return what has to be said before going on: who calls, an offer, "are you there?"."""
    if state.hint == "silence":
        return Move("still_there", state.asking)
    if state.hint == intents.WHO:
        return Move("explain", state.asking)
    if state.hint in (intents.REFUSAL, intents.ANGRY) and (offer := _open_offer(card, state)):
        return Move("offer", offer.name)
    if state.hint == intents.ANGRY:
        return Move("calm", state.asking)
    return None


def _open_offer(card: Card, state: State) -> Offer | None:
    return next((offer for offer in card.offers if offer.name not in state.offered), None)


def _open_fact(card: Card, state: State) -> Fact | None:
    """Return the fact to ask for: one not asked yet, then one that needs asking again."""
    missing = [fact for fact in card.facts if fact.name not in state.facts]
    for times in range(ASKED_AT_MOST):
        for fact in missing:
            if state.asked.get(fact.name, 0) == times and (times == 0 or fact.required):
                return fact
    return None


def note_said(state: State, move: Move) -> None:
    """Note a move as it is said."""
    state.move = asdict(move)
    state.hint = ""
    state.exchanges += 1
    state.awaiting = move.kind not in PARTING
    state.over = not state.awaiting
    if move.kind in ("ask", "ask_again"):
        state.asked[move.about] = state.asked.get(move.about, 0) + 1
        state.asking = move.about
    if move.kind == "offer":
        state.offered.append(move.about)
    if move.kind == "confirm":
        state.confirmed += 1


def note_cut_off(state: State, move: Move, share: float) -> None:
    """Note that they interrupted: what they can't have understood is to be said again.

    Args:
        share: of the words that they can have heard, 0 to 1.
    """
    if share >= UNDERSTOOD or state.exchanges > CUT_OFF_AT_MOST:
        return
    if move.kind == "greet":
        state.move = {}
    elif move.kind in ("ask", "ask_again"):
        state.asked[move.about] -= 1
    elif move.kind == "confirm":
        state.confirmed -= 1


def take(card: Card, state: State, heard: Heard, *, line: int, today: date) -> dict[str, Any]:
    """Note what was heard; return the facts that were read from it, by name.

    Args:
        line: the transcript's number of what was heard, which is the proof of a fact.
    """
    state.awaiting = False
    if heard.ear == Ear.HUNG_UP:
        state.ended, state.over = state.ended or HUNG_UP, True
        return {}
    if heard.ear == Ear.SILENCE:
        _take_silence(card, state)
        return {}
    state.silences = 0
    wants_none = intents.of(heard.text) == intents.NEVER  # "no, never again" answers nothing
    found = {} if wants_none else _read_all(card, state, heard.text, today)
    for name, reading in found.items():
        state.facts[name] = {"value": reading.value, "said": reading.said, "line": line}
    _take_intent(card, state, heard.text, answered=bool(found))
    if state.last.kind == "confirm":
        _take_confirmation(state, heard.text, line, corrected=bool(found))
    return {name: reading.value for name, reading in found.items()}


def _take_silence(card: Card, state: State) -> None:
    state.silences += 1
    state.hint = "silence"
    if state.silences >= card.silences:
        state.ended = SILENT


def _take_intent(card: Card, state: State, text: str, *, answered: bool) -> None:
    intent = intents.of(text)
    if intent == intents.WRONG_NUMBER:
        state.ended = WRONG_NUMBER
    if intent == intents.BUSY and not answered:
        state.ended = CALL_BACK
    if intent == intents.GOODBYE:
        state.ended = state.ended or HUNG_UP
    if intent in (intents.REFUSAL, intents.ANGRY) and not answered:
        state.refusals += 1
        if state.refusals >= card.refusals:
            state.ended = REFUSED
    if intent == intents.NEVER:
        state.ended = NEVER
    state.hint = "" if answered else intent


def _take_confirmation(state: State, text: str, line: int, *, corrected: bool) -> None:
    answer = read(Fact("agreed", "Is that right?", "yes_no"), text, today=date.min)
    if answer is not None and answer.value and not corrected:
        state.agreed = True
        state.commitment = {"words": answer.said, "line": line}


def _read_all(card: Card, state: State, text: str, today: date) -> dict[str, Reading]:
    """Read the fact that was asked for, and others that the words can't but mean.

    While facts are read back, whatever of these kinds is said corrects them.
    """
    found: dict[str, Reading] = {}
    fact = _asked_fact(card, state)
    if fact and (reading := read(fact, text, today=today)):
        found[fact.name] = reading
    reading_back = state.last.kind == "confirm"
    for fact in _unmistakable(card.facts):
        known = fact.name in state.facts or fact.name in found
        reading = read(fact, text, today=today) if known == reading_back else None
        if reading and not reading.said.lower().startswith(("a ", "an ")):  # "what a day!"
            found[fact.name] = reading
    return found


def _asked_fact(card: Card, state: State) -> Fact | None:
    """Return the fact that the last words asked for; "yes" to an offer is no answer to it."""
    fact = card.fact(state.asking)
    if fact is None or fact.name in state.facts or state.last.kind in ("greet", "confirm"):
        return None
    beside_it = state.last.kind in ("still_there", "offer")
    return None if beside_it and fact.kind in ("yes_no", "text", "choice") else fact


def _unmistakable(facts: Sequence[Fact]) -> list[Fact]:
    """Keep the facts whose kind no other fact of the card has, where kinds tell them apart."""
    kinds = [fact.kind for fact in facts]
    return [fact for fact in facts if fact.kind in UNMISTAKABLE and kinds.count(fact.kind) == 1]


def accept(
    card: Card, state: State, claimed: dict[str, Any], heard: str, *, line: int, today: date
) -> list[str]:
    """Take facts that the model says it heard, where its words prove them; return their names.

    A claim counts only if its reader reads the same from the claim as it stands in the
    callee's words: a model that makes things up adds nothing.
    """
    taken = []
    for name, words in claimed.items():
        fact = card.fact(name)
        if fact is None or name in state.facts or not isinstance(words, str):
            continue
        if words.strip().lower() not in heard.lower() or len(words.strip()) < 2:
            continue
        if reading := read(fact, words, today=today):
            state.facts[name] = {"value": reading.value, "said": reading.said, "line": line}
            taken.append(name)
    return taken


def outcome_of(card: Card, state: State) -> str:
    """Name what came of the call."""
    missing = [fact for fact in card.required if fact.name not in state.facts]
    if not missing and state.facts:
        return "goal_reached"
    if state.facts:
        return "partly"
    return state.ended if state.ended != ALL_ASKED else "nothing_found"
