"""The sub-agents that are known here, typed, as the jobs page and the API list them.

Beside those of the registry stands speaking first: it is handed no job, since what begins it is a
business event, and each of its decisions is a row of its own (dialogues.proactive).
"""

from dataclasses import dataclass

from django.db.models import TextChoices
from django.urls import reverse

from agents.subagents import REGISTRY, CostClass, Data, SubAgent
from dialogues.jobs.subagents import CALL
from dialogues.models import Outcome, ProactiveVersion

PROACTIVE = "proactive"
_TEXT: Data = {"type": "string"}
_TIME: Data = {"type": "string", "format": "date-time"}
# What POST /api/events/ takes.
EVENT: Data = {
    "type": "object",
    "properties": {
        "id": {**_TEXT, "maxLength": 120},
        "type": {**_TEXT, "pattern": "^[-a-zA-Z0-9_]+$", "maxLength": 60},
        "customer": {**_TEXT, "maxLength": 120},
        "data": {"type": "object"},
        "time_zone": _TEXT,
        "scene": {"type": ["string", "null"]},
        "site": {"type": ["string", "null"]},
        "occurred_at": _TIME,
    },
    "required": ["id", "type", "customer"],
}
# What each policy of the event's type makes of it, and what is then said in the chat.
DECISION: Data = {
    "type": "object",
    "properties": {
        "id": {**_TEXT, "format": "uuid"},
        "event": _TEXT,
        "version": {"type": "integer", "minimum": 1},
        "customer_ref": _TEXT,
        "outcome": {"enum": list(Outcome.values)},
        "reason": _TEXT,
        "due_at": _TIME,
        "conversation": {"type": ["string", "null"], "format": "uuid"},
        "created_at": _TIME,
        "decided_at": {**_TIME, "type": ["string", "null"]},
    },
}
DECIDED: Data = {
    "type": "object",
    "properties": {"decision": DECISION, "message": {"type": ["string", "null"]}},
    "required": ["decision", "message"],
}


class Start(TextChoices):
    """What has a sub-agent begin."""

    TOOL = "tool", "by an agent, as a tool of its release"
    MESSAGE = "message", "by what a customer's message carries"
    PLAN = "plan", "by a call plan, which is a tool of a release"
    EVENT = "event", "by an event of a business system"


@dataclass(frozen=True, slots=True)
class Listed:
    """A sub-agent as people choose it: what it takes, brings, and may take of time and money."""

    name: str
    version: int
    description: str
    start: Start
    inputs: Data
    outputs: Data
    timeout_seconds: int
    most_attempts: int
    cost_class: CostClass
    url: str  # of the page about its work


def listed() -> list[Listed]:
    """Return every sub-agent, by name."""
    known = [_of_registry(subagent) for subagent in REGISTRY.values()]
    return sorted([*known, _proactive()], key=lambda each: each.name)


def _of_registry(subagent: SubAgent) -> Listed:
    is_call = subagent.name == CALL
    start = Start.PLAN if is_call else Start.TOOL if subagent.is_tool else Start.MESSAGE
    jobs = f"{reverse('dialogues:job-list')}?name={subagent.name}"
    return Listed(
        name=subagent.name,
        version=subagent.version,
        description=subagent.description,
        start=start,
        inputs=subagent.inputs,
        outputs=subagent.outputs,
        timeout_seconds=subagent.timeout_seconds,
        most_attempts=subagent.most_attempts,
        cost_class=subagent.cost_class,
        url=reverse("dialogues:plan-list") if is_call else jobs,
    )


def _proactive() -> Listed:
    """Return speaking first; its times are those of a policy that sets none of its own."""
    return Listed(
        name=PROACTIVE,
        version=1,
        description="speak first when something has happened to a customer, if a policy says so",
        start=Start.EVENT,
        inputs=EVENT,
        outputs=DECIDED,
        timeout_seconds=ProactiveVersion().stale_minutes * 60,
        most_attempts=1,
        cost_class=CostClass.LOW,
        url=reverse("dialogues:proactive-list"),
    )
