"""What a call brings back: facts with their proof, a sentence for people, and its score."""

from agents.subagents import Data, Outcome, Said, flow, scoring
from agents.subagents.cards import Card
from agents.subagents.flow import State

_FOUND = {
    "type": "object",
    "properties": {"value": {}, "said": {"type": "string"}, "line": {"type": "integer"}},
    "required": ["value", "said", "line"],
    "additionalProperties": False,
}
RESULT: Data = {
    "type": "object",
    "properties": {
        "outcome": {"type": "string"},
        "summary": {"type": "string"},
        "facts": {"type": "object", "additionalProperties": _FOUND},
        "missing": {"type": "array", "items": {"type": "string"}},
        # What the callee agreed to when it was read back: their words and the line of it.
        "commitment": {"type": ["object", "null"]},
        "exchanges": {"type": "integer", "minimum": 0},
        "score": {"type": "integer", "minimum": 0, "maximum": 100},
    },
    "required": [
        *("outcome", "summary", "facts", "missing", "commitment", "exchanges", "score"),
    ],
    "additionalProperties": False,
}


def outcome(card: Card, state: State, lines: list[Said]) -> Outcome:
    """Return what came of a call that is over: facts with their proof, and its score."""
    found = flow.outcome_of(card, state)
    score = scoring.score(card, state, lines)
    result = {
        "outcome": found,
        "summary": summary(card, state, found),
        "facts": state.facts,
        "missing": [fact.name for fact in card.facts if fact.name not in state.facts],
        "commitment": state.commitment or None,
        "exchanges": state.exchanges,
        "score": score["total"],
    }
    return Outcome(result, {"score": score, "ended": state.ended})


_WHY = {
    "refused": "did not want to answer",
    "wrong_number": "has another number: nobody of that name answered",
    "hung_up": "hung up",
    "never_again": "wants never to be called again",
    "silent": "did not say anything",
    "call_back": "had no time to talk",
    "no_answer": "did not answer",
    "voicemail": "did not answer; a message was left",
    "too_long": "did not answer the questions",
    "nothing_found": "could not say",
    "disputed": "took back what they had said",
}


def summary(card: Card, state: State, found: str) -> str:
    """Say in one sentence what came of the call, in no model's words."""
    if not state.facts:
        return f"{card.whom} {_WHY.get(found, 'was called')}."
    told = f"{card.whom} answered {_answers(card, state)}"
    told += "." if state.agreed else ", but did not confirm it: it is not certain."
    is_all = all(fact.name in state.facts for fact in card.required)
    return told if is_all else f"{told} More could not be found out."


def _answers(card: Card, state: State) -> str:
    """Return “25 minutes” to “When?” and “No” to “Is all there?”: what was said, and to what."""
    answers = [
        f"“{state.facts[fact.name]['said'].rstrip('.。!！ ')}” to “{fact.question}”"
        for fact in card.facts
        if fact.name in state.facts
    ]
    return " and ".join(filter(None, [", ".join(answers[:-1]), answers[-1]]))


def tell(result: Data) -> Data:
    """Return what the agent and the customer read of a result: as facts, what was agreed to."""
    if "summary" not in result:
        return result
    agreed = result["facts"] if result["commitment"] else {}
    facts = {name: fact["said"] for name, fact in agreed.items()}
    return {"outcome": result["outcome"], "summary": result["summary"], "facts": facts}
