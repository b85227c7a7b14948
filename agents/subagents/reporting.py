"""What a call brings back: facts with their proof, a sentence for people, and its score."""

from typing import Any

from agents.phrases import Phrase
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
    "refused": Phrase("{whom} did not want to answer.", zh="{whom}不愿回答。"),
    "wrong_number": Phrase(
        "{whom} has another number: nobody of that name answered.",
        zh="打错了，接电话的不是{whom}。",
    ),
    "hung_up": Phrase("{whom} hung up.", zh="{whom}挂断了电话。"),
    "never_again": Phrase(
        "{whom} wants never to be called again.", zh="{whom}要求以后不要再打电话。"
    ),
    "silent": Phrase("{whom} did not say anything.", zh="{whom}没有说话。"),
    "call_back": Phrase("{whom} had no time to talk.", zh="{whom}没有时间通话。"),
    "no_answer": Phrase("{whom} did not answer.", zh="{whom}没有接电话。"),
    "voicemail": Phrase(
        "{whom} did not answer; a message was left.", zh="{whom}没有接电话，已留言。"
    ),
    "too_long": Phrase("{whom} did not answer the questions.", zh="{whom}没有回答问题。"),
    "nothing_found": Phrase("{whom} could not say.", zh="{whom}也不清楚。"),
    "disputed": Phrase("{whom} took back what they had said.", zh="{whom}收回了说过的话。"),
}
_CALLED = Phrase("{whom} was called.", zh="已致电{whom}。")
_ANSWERED = Phrase("{whom} answered {answers}", zh="{whom}的答复：{answers}")
_ANSWER = Phrase("“{said}” to “{question}”", zh="“{question}”——“{said}”")
_AND = Phrase(" and ", zh="；")
_COMMA = Phrase(", ", zh="；")
_AGREED = Phrase(".", zh="。")
_NOT_AGREED = Phrase(
    ", but did not confirm it: it is not certain.", zh="，但没有确认，因此还不能确定。"
)
_NO_MORE = Phrase(" More could not be found out.", zh="其余的没有问到。")


def summary(card: Card, state: State, found: str) -> str:
    """Say what came of the call, in no model's words: in the language in which it was led."""
    if not state.facts:
        return _in(card, _WHY.get(found, _CALLED), whom=card.whom)
    parts = [_in(card, _ANSWERED, whom=card.whom, answers=_answers(card, state))]
    parts.append(_in(card, _AGREED if state.agreed else _NOT_AGREED))
    if not all(fact.name in state.facts for fact in card.required):
        parts.append(_in(card, _NO_MORE))
    return "".join(parts)


def _answers(card: Card, state: State) -> str:
    """Return “25 minutes” to “When?” and “No” to “Is all there?”: what was said, and to what."""
    answers = [
        _in(card, _ANSWER, said=_bare(state.facts[fact.name]["said"]), question=fact.question)
        for fact in card.facts
        if fact.name in state.facts
    ]
    first = _in(card, _COMMA).join(answers[:-1])
    return _in(card, _AND).join(filter(None, [first, answers[-1]]))


def _bare(said: str) -> str:
    return said.rstrip(".。!！ ")


def _in(card: Card, phrase: Phrase, **places: Any) -> str:
    return phrase.in_language(card.language).format(**places)


def tell(result: Data) -> Data:
    """Return what the agent and the customer read of a result: as facts, what was agreed to."""
    if "summary" not in result:
        return result
    agreed = result["facts"] if result["commitment"] else {}
    facts = {name: fact["said"] for name, fact in agreed.items()}
    return {"outcome": result["outcome"], "summary": result["summary"], "facts": facts}
