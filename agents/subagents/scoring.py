"""Scoring a call, 0 to 100, by a rubric whose weights and evidence are shown.

Rules decide. "Natural" is a judge model's where one is configured (agents.judging); without
one it is a heuristic of repetitions and length, and marked so: it can't hear a tone.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from agents import judging
from agents.subagents import Said, flow, intents
from agents.subagents.cards import Card
from agents.subagents.flow import State
from knowledge.scripts import count_words

WEIGHTS = {"goal": 40, "facts": 25, "script": 15, "natural": 10, "brief": 10}
LABELS = {
    "goal": "Goal reached",
    "facts": "Facts obtained",
    "script": "Script kept",
    "natural": "Natural",
    "brief": "Brief",
}
LONG_LINE = 30  # words; longer ones are hard to follow by ear
JUDGEMENT = {
    "type": "object",
    "properties": {
        "points": {"type": "number", "minimum": 0, "maximum": 10},
        "reason": {"type": "string", "maxLength": 300},
    },
    "required": ["points", "reason"],
    "additionalProperties": False,
}
_GOALS = {"goal_reached": 1.0, "partly": 0.4, "unconfirmed": 0.2}

Mark = tuple[float, str, str]  # share of the weight, evidence, who judged


def score(card: Card, state: State, lines: Sequence[Said]) -> dict[str, Any]:
    """Return {"total", "items": [{"name", "label", "weight", "points", "evidence", "by"}]}."""
    marks = {
        "goal": _goal(card, state),
        "facts": _facts(card, state),
        "script": _script(card, state, lines),
        "natural": _natural(card, lines),
        "brief": _brief(card, state, lines),
    }
    items = [
        {
            "name": name,
            "label": LABELS[name],
            "weight": WEIGHTS[name],
            "points": round(share * WEIGHTS[name], 1),
            "evidence": evidence,
            "by": by,
        }
        for name, (share, evidence, by) in marks.items()
    ]
    return {"total": round(sum(float(str(item["points"])) for item in items)), "items": items}


def _goal(card: Card, state: State) -> Mark:
    outcome = flow.outcome_of(card, state)
    share = _GOALS.get(outcome, 0.0)
    evidence = outcome.replace("_", " ").capitalize()
    if state.agreed:
        evidence += f", agreed to in line {state.commitment['line']}"
    return share, evidence, "rules"


def _facts(card: Card, state: State) -> Mark:
    shown = [
        f"{fact.name} in line {state.facts[fact.name]['line']}"
        if fact.name in state.facts
        else f"{fact.name} missing"
        for fact in card.facts
    ]
    return len(state.facts) / len(card.facts), "; ".join(shown), "rules"


def _script(card: Card, state: State, lines: Sequence[Said]) -> Mark:
    """Four parts: greeted first, said who calls, read back what was found, said goodbye.

    That no more was promised than the card permits is no part: other words are never said.
    """
    spoken = [line for line in lines if line.speaker == "agent"]
    if not spoken:
        return 0.0, "Nobody was spoken to", "rules"
    moves = [line.data.get("move") for line in spoken]
    kept = {
        "greeted first": moves[0] == "greet",
        "said who calls": card.for_whom.lower() in spoken[0].text.lower(),
        "read back": not state.facts or "confirm" in moves,
        "said goodbye": moves[-1] in flow.PARTING or state.ended == flow.HUNG_UP,
    }
    shown = "; ".join(f"{name}: {'yes' if done else 'no'}" for name, done in kept.items())
    if withheld := sum(_was_withheld(line) for line in lines):
        shown += f"; the model's words were withheld {withheld} times"
    return sum(kept.values()) / len(kept), shown, "rules"


def _was_withheld(line: Said) -> bool:
    why = str(line.data.get("why", ""))
    return why.startswith(("promises", "offers", "says"))


def _natural(card: Card, lines: Sequence[Said]) -> Mark:
    spoken = [line for line in lines if line.speaker in ("agent", "callee")]
    if not spoken:
        return 0.0, "Nobody spoke", "heuristic"
    try:
        question = {"language": card.language, "lines": [f"{x.speaker}: {x.text}" for x in spoken]}
        answer = judging.ask("call.txt", question, JUDGEMENT)
        return answer["points"] / 10, answer["reason"], "judge"
    except judging.JudgeUnavailable:
        return _natural_by_rules(spoken)


def _natural_by_rules(spoken: Sequence[Said]) -> Mark:
    texts = [line.text for line in spoken if line.speaker == "agent"]
    callee = [line.text for line in spoken if line.speaker == "callee"]
    repeated = sum(count - 1 for count in Counter(texts).values())
    lengthy = sum(count_words(text) > LONG_LINE for text in texts)
    confused = sum(intents.of(text) in (intents.CONFUSED, intents.ANGRY) for text in callee)
    share = max(0.0, 1 - (repeated + lengthy + confused) / max(len(texts), 1))
    evidence = f"{repeated} lines repeated, {lengthy} long ones, {confused} not understood"
    return share, f"{evidence} (a heuristic: no judge is configured)", "heuristic"


def _brief(card: Card, state: State, lines: Sequence[Said]) -> Mark:
    """Full marks for a line a fact, greeting, reading back and farewell; none for twice that."""
    needed = len(card.facts) + 3
    if not state.exchanges:
        return 0.0, "Nobody was spoken to", "rules"
    share = min(1.0, max(0.0, 2 - state.exchanges / needed))
    return share, f"{state.exchanges} lines of the agent; {needed} suffice", "rules"
