"""The agent's entries between two messages of the customer, and what they amount to."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.utils import timezone

from agents.actions import CLARIFY, HANDOFF, REPLY, DialogueAction
from dialogues.models import Turn
from dialogues.reading import Row, Said, Transcript
from knowledge.models import KnowledgeUnit

BETWEEN = timedelta(seconds=20)  # entries of a dialogue that says no times
Units = dict[str | int, KnowledgeUnit]


@dataclass(slots=True)
class Exchange:
    """What the agent did about one message: it becomes one turn."""

    asked_seq: int
    said: list[Said] = field(default_factory=list)
    turn: Turn = field(default_factory=Turn)

    @property
    def issues(self) -> list[str]:
        return list(dict.fromkeys(name for said in self.said for name in said.issues))

    @property
    def is_substantive(self) -> bool:
        """Whether it does more than say goodbye."""
        return any(said.knowledge or said.role == "action" for said in self.said)


def times_of(transcript: Transcript) -> list[datetime]:
    """Return a time for each entry, increasing; those the transcript names where it can."""
    start = transcript.started_at or timezone.now() - BETWEEN * len(transcript.said)
    times: list[datetime] = []
    for said in transcript.said:
        usual = times[-1] + BETWEEN if times else start
        earliest = times[-1] + timedelta(milliseconds=1) if times else start
        times.append(max(said.at, earliest) if said.at else usual)
    return times


def acts_of(said: Sequence[Said], units: Units) -> list[tuple[DialogueAction, Row]]:
    """Return the dialogue actions of an exchange, each with its tool's result.

    What is said before a call belongs to the call's action, what is said after the last
    one makes an action of its own.
    """
    acts: list[tuple[DialogueAction, Row]] = []
    waiting: list[Said] = []
    for entry in said:
        waiting.append(entry)
        if entry.role == "action":
            acts.append((_action(waiting, units), entry.result))
            waiting = []
    if waiting:
        acts.append((_action(waiting, units), {}))
    return acts


def _action(said: Sequence[Said], units: Units) -> DialogueAction:
    cited = dict.fromkeys(name for entry in said for name in entry.knowledge if name in units)
    return DialogueAction(
        thought=said[-1].thought,
        knowledge=[units[name].pk for name in cited],
        name=said[-1].name,
        arguments=said[-1].arguments,
        reply=" ".join(entry.text for entry in said if entry.text),
    )


def step_of(action: DialogueAction, result: Row) -> Row:
    """Return a call as a turn stores it; no engine was asked, so it has no prompt."""
    output = action.as_json()
    return {"messages": [], "output": output, "action": action.as_dict(), "result": result}


def rewrite_of(exchange: Exchange) -> Row:
    """Build the whole action of a rewritten reply: it asks, hands off or answers.

    A file rewrites the words alone; a call or a goodbye that was rewritten is an answer.
    """
    reply = next((said.rewrite for said in reversed(exchange.said) if said.rewrite), "")
    if not reply:
        return {}
    name = exchange.turn.output["action"]["name"]
    action: Row = {"name": name if name in (CLARIFY, HANDOFF) else REPLY, "arguments": {}}
    return {**exchange.turn.output, "action": action, "reply": reply}
