"""What is said when the model can't be asked or trusted: a rule as written, or a person."""

from agents import composing, telling
from agents.actions import HANDOFF, REPLY, DialogueAction
from agents.happenings import Finished
from agents.phrases import Phrase
from agents.prompting import Rule
from agents.turning import Running

SORRY = Phrase(
    "I'm sorry, I can't answer that right now. I'm passing you to a colleague.",
    zh="抱歉，这个问题我现在答不上来，正在为您转接同事。",
)
# Cosine from which the best rule is said without a model to choose it. Measured on the demo rules
# with 178 questions in other words than any hook and 55 that no rule answers: 20 reach it, the
# best rule is the right one for 18, and one is asked what no rule answers.
SURE = 0.9


def instead(turn: Running, why: str, *, error: str = "") -> Finished:
    """Return the best rule's own words where it surely fits, else hand over.

    `error` goes on record with a hand-over: with an answer, all went well enough.
    """
    if words := telling.words_of_job(turn):
        return Finished(DialogueAction(REPLY, words, f"As told: {why}"[:120]), degraded=why)
    rule = _sure_rule(turn)
    if rule is None:
        return Finished(DialogueAction(HANDOFF, turn.say(SORRY)), error=error or why, degraded=why)
    worded = composing.as_written([rule], turn.lines)
    action = DialogueAction(REPLY, worded.text, f"As written: {why}"[:120], [rule.id])
    return Finished(action, degraded=why)


def _sure_rule(turn: Running) -> Rule | None:
    """Return the rule that fits best if its words alone can answer.

    Not after a call: then what came of it has to be told.
    """
    best = turn.best
    if best is None or best.similarity < SURE or turn.made:
        return None
    rule = next((rule for rule in turn.rules if rule.id == best.unit_id), None)
    if rule is None or composing.missing_fields([rule], turn.lines):
        return None
    return rule
