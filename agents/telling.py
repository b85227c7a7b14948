"""What a sub-agent's job says of itself, and when that alone is the reply."""

from collections.abc import Sequence

from agents.actions import REPLY, DialogueAction
from agents.models import Composition, ToolKind
from agents.prompting import Line
from agents.turning import Running


def words_of_job(turn: Running) -> str:
    """Return what a sub-agent's job says of itself, if that is the last thing that happened.

    These words are code's: that it was begun, or a summary of its result.
    """
    last = turn.lines[-1] if turn.lines else None
    tool = turn.tools.get(last.name) if last and last.role == "tool" else None
    if last is None or tool is None or tool.kind != ToolKind.SUBAGENT or last.is_customers:
        return ""
    return str(last.result.get("summary") or last.result.get("note") or "")


def as_told(turn: Running) -> DialogueAction | None:
    """Return the job's own words as the reply, where the release says rules in theirs.

    A model that is not trusted to word a rule would leave out or change what was found as well.
    None where a customer waits for more than that: then the model has to see to both.
    """
    usual = turn.context.release.composition_of("low")
    words = words_of_job(turn) if usual == Composition.QUOTED else ""
    if not words or not (turn.made or _is_news_alone(turn.lines)):
        return None
    return DialogueAction(REPLY, words, "As told by the job")


def _is_news_alone(lines: Sequence[Line]) -> bool:
    """Say whether the customer has written nothing since the agent spoke last."""
    speakers = [line.role for line in lines if line.role != "tool"]
    return not speakers or speakers[-1] == "agent"
