"""Where a call stands, and what to say next. Plain data, no model, no Django.

A small model can't lead a call; this can. Each exchange is one move (greet, ask, read back…),
chosen from the card and from what was heard so far; how it is worded is another matter.
"""

from dataclasses import asdict, dataclass, field
from typing import Any

from agents.subagents import intents
from agents.subagents.cards import Card, Fact, Offer

ASKED_AT_MOST = 2  # the same question
CONFIRMED_AT_MOST = 2  # readings back; what is not agreed to then is told as unconfirmed
UNDERSTOOD = 0.5  # of the words of a move, by somebody who interrupts it
CUT_OFF_AT_MOST = 6  # exchanges: who interrupts everything is asked less and less

# Why a call ended.
ALL_ASKED, REFUSED, WRONG_NUMBER, HUNG_UP = "all_asked", "refused", "wrong_number", "hung_up"
SILENT, CALL_BACK, TOO_LONG = "silent", "call_back", "too_long"
NO_ANSWER, VOICEMAIL, NEVER = "no_answer", "voicemail", "never_again"
DISPUTED = "disputed"  # they took back what they had said
UNCONFIRMED = "unconfirmed"  # of a call's outcome: it was said, and not agreed to

# Moves that end a call; "never" promises that there will be no other.
PARTING = ("goodbye", "sorry", "never")
_PARTING_OF = {WRONG_NUMBER: "sorry", NEVER: "never"}

NOT_THEM = "not_them"  # a hint: no, they are not whom we asked for
_ASIDES = {
    "silence": "still_there",
    NOT_THEM: "whom",
    intents.WHO: "explain",
    intents.WAIT: "wait",
    intents.ANGRY: "calm",
}


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
    heard: int = 0  # the transcript's number of the callee's last line that was taken
    exchanges: int = 0
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)  # value, said, line
    unread: dict[str, str] = field(default_factory=dict)  # answers to a fact that were not read
    asked: dict[str, int] = field(default_factory=dict)
    asking: str = ""  # the fact that was asked for last
    offered: list[str] = field(default_factory=list)
    refusals: int = 0
    silences: int = 0
    confirmed: int = 0  # how often facts were read back
    agreed: bool = False  # the callee said yes to them
    denials: int = 0  # how often they said no
    unwanted: bool = False  # they may want no more calls: people are to decide
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
    if not state.ended and state.exchanges >= card.most_exchanges:
        state.ended = TOO_LONG
    if state.ended:
        return Move(_PARTING_OF.get(state.ended, "goodbye"))
    if not state.move:
        return Move("greet")
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
    asked = "" if state.asking in state.facts else state.asking
    if state.hint in (intents.REFUSAL, intents.ANGRY) and (offer := _open_offer(card, state)):
        return Move("offer", offer.name)
    kind = _ASIDES.get(state.hint)
    return Move(kind, asked) if kind else None


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


def outcome_of(card: Card, state: State) -> str:
    """Name what came of the call. A goal is reached by what they agreed to, not by saying it."""
    if state.ended in (WRONG_NUMBER, NEVER, DISPUTED):
        return state.ended
    if state.facts and not state.agreed:
        return UNCONFIRMED
    missing = [fact for fact in card.required if fact.name not in state.facts]
    if state.facts:
        return "partly" if missing else "goal_reached"
    return state.ended if state.ended != ALL_ASKED else "nothing_found"
