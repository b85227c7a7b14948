"""Which of two answers to one turn serves the customer better, and how bad a worse one is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agents import judging
from agents.actions import DialogueAction, UnreadableAction, read_action
from agents.prompting import Line, Rule
from dialogues.models import JudgementSource, ReplayTurn, ReplayVerdict, Turn, Verdict

JUDGE = "judge"  # as the one who judged; people are named by their user names
LONGEST_REASON = 300

# For the order of the page, the worst first. What is worse by verdict comes before what only
# looks bad; what nobody has judged comes before what is as good; the weights add up.
WORSE, CHANGED_GOOD, UNFOUNDED = 4.0, 2.0, 1.0
HARMFUL = UNFOUNDED  # from here on a reply counts as harm
OTHERWISE = {
    ReplayVerdict.OPEN: 0.5,
    ReplayVerdict.TIE: 0.2,
    ReplayVerdict.WIN: 0.1,
    ReplayVerdict.SAME: 0.0,
}

SCHEMA = {
    "type": "object",
    "properties": {
        "better": {"enum": ["first", "second", "tie"]},
        "reason": {"type": "string", "maxLength": LONGEST_REASON},
    },
    "required": ["better", "reason"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Weighed:
    """A verdict on the new answer, why, and by whom ("" where nobody was needed)."""

    verdict: ReplayVerdict
    reason: str = ""
    by: str = ""


def weigh(
    before: DialogueAction, after: DialogueAction, *, lines: Sequence[Line], rules: Sequence[Rule]
) -> Weighed:
    """Compare the answer without an edit and the one with it.

    Where they differ and a judge engine is configured, it is asked twice, each answer first
    once: judges favour a position (Zheng et al. 2023, arXiv:2306.05685). Only a verdict that
    holds in both orders counts, any other is a tie.

    Args:
        rules: those that are in force with the edit.
    """
    if is_same(before, after):
        return Weighed(ReplayVerdict.SAME)
    if not judging.is_configured():
        return Weighed(ReplayVerdict.OPEN, "No judge is configured.")
    seen = {
        "dialogue": [str(line) for line in lines],
        "rules": [f"[{rule.id}] {rule.condition} -> {rule.content}" for rule in rules],
    }
    try:
        one, other = _ask(seen, before, after), _ask(seen, after, before)
    except judging.JudgeUnavailable as error:
        return Weighed(ReplayVerdict.OPEN, f"The judge did not answer: {error}"[:LONGEST_REASON])
    return _agreed(one, other)


def is_same(before: DialogueAction, after: DialogueAction) -> bool:
    """Say whether a customer would notice no difference; what the agent thinks is not shown."""
    said = (before.name, before.arguments, before.reply, set(before.knowledge))
    return said == (after.name, after.arguments, after.reply, set(after.knowledge))


def _ask(seen: dict[str, Any], first: DialogueAction, second: DialogueAction) -> dict[str, Any]:
    replies = {"first": _shown(first), "second": _shown(second)}
    return judging.ask("replay.txt", {**seen, **replies}, SCHEMA)


def _shown(action: DialogueAction) -> dict[str, Any]:
    done = {"action": action.name, "arguments": action.arguments, "cites": action.knowledge}
    return {"reply": action.reply, **done}


def _agreed(one: dict[str, Any], other: dict[str, Any]) -> Weighed:
    """Combine two verdicts: in `one` the new answer stood second, in `other` first."""
    votes = (one["better"], other["better"])
    if votes == ("second", "first"):
        return Weighed(ReplayVerdict.WIN, one["reason"], JUDGE)
    if votes == ("first", "second"):
        return Weighed(ReplayVerdict.LOSS, one["reason"], JUDGE)
    if votes == ("tie", "tie"):
        return Weighed(ReplayVerdict.TIE, one["reason"], JUDGE)
    return Weighed(ReplayVerdict.TIE, "The judge changed its mind with the order.", JUDGE)


def harm_of(row: ReplayTurn) -> float:
    """Return how bad the new answer is, 0 or more; from HARMFUL on it counts as harm.

    What a person has judged is as bad as that person says.
    """
    verdict = ReplayVerdict(row.verdict)
    harm = OTHERWISE.get(verdict, WORSE)
    if row.judged_by not in ("", JUDGE):
        return harm
    return harm + CHANGED_GOOD * changes_a_good_action(row) + UNFOUNDED * loses_its_citation(row)


def changes_a_good_action(row: ReplayTurn) -> bool:
    """Say whether something else is done than what a reviewer called good."""
    before, after = stored_action(row.before), stored_action(row.after)
    if before is None or after is None or not _was_called_good(row.turn):
        return False
    good = _first_action(row.turn)
    return _done(before) == good != _done(after)


def loses_its_citation(row: ReplayTurn) -> bool:
    """Say whether the answer rested on a rule and now rests on none."""
    before, after = stored_action(row.before), stored_action(row.after)
    return bool(before and after and before.knowledge and not after.knowledge)


def stored_action(side: dict[str, Any]) -> DialogueAction | None:
    """Return the action of `ReplayTurn.before` or `.after`; None if it was not asked for."""
    return read_action(side["action"]) if side.get("action") else None


def _was_called_good(turn: Turn) -> bool:
    # All of them, so that a page that prefetched them asks nothing more; the newest is first.
    reviewed = [row for row in turn.judgements.all() if row.source == JudgementSource.REVIEWER]
    return bool(reviewed) and reviewed[0].verdict == Verdict.GOOD


def _first_action(turn: Turn) -> tuple[str, dict[str, Any]] | None:
    """Return what the model decided first in the turn: a replay goes no further than that."""
    decided = (turn.steps[0].get("action") if turn.steps else None) or turn.output
    try:
        return _done(read_action(decided))
    except UnreadableAction:
        return None


def _done(action: DialogueAction) -> tuple[str, dict[str, Any]]:
    return action.name, action.arguments
