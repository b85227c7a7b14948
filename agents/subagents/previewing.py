"""A goal card as the calling agent would speak it, before anybody is called."""

from dataclasses import dataclass

from agents.subagents.cards import Card
from agents.subagents.flow import Move, State, note_said
from agents.subagents.wording import template_words

HEARD = "…"  # for what the callee would have said


@dataclass(frozen=True, slots=True)
class Step:
    """Something the agent may say, and when."""

    when: str
    words: str


def script_of(card: Card) -> list[Step]:
    """Return the template's words of a call in which everything is answered, then the turns
    that a call may take besides. The model may word the questions its own way.
    """
    return [*_straight(card), *_besides(card)]


def _straight(card: Card) -> list[Step]:
    state = State()
    steps = [Step("First", _say(card, state, Move("greet")))]
    for fact in card.facts:
        when = f"Asks for {fact.name.replace('_', ' ')}"
        steps.append(Step(when, _say(card, state, Move("ask", fact.name))))
        state.facts[fact.name] = {"value": HEARD, "said": HEARD, "line": 0}
    steps.append(Step("Reads back", _say(card, state, Move("confirm"))))
    return [*steps, Step("Last", _say(card, state, Move("goodbye")))]


def _say(card: Card, state: State, move: Move) -> str:
    words = template_words(card, state, move)
    note_said(state, move)
    return words


def _besides(card: Card) -> list[Step]:
    first = card.facts[0].name
    turns = [
        ("If that was no answer", Move("ask_again", first)),
        ("If they say no to the name", Move("whom")),
        ("If they ask who calls", Move("explain", first)),
        ("If they ask for a moment", Move("wait", first)),
        ("If they are angry", Move("calm", first)),
        ("If they are silent", Move("still_there", first)),
        *(
            (f"If they refuse, offer {offer.name}", Move("offer", offer.name))
            for offer in card.offers
        ),
        ("If it is a wrong number", Move("sorry")),
        ("To a machine", Move("voicemail")),
    ]
    return [Step(when, template_words(card, State(), move)) for when, move in turns]
