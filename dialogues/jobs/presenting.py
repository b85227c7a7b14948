"""What the pages show of a job, as plain rows for the templates."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from agents.subagents import REGISTRY
from agents.subagents.values import in_words
from dialogues.models import Attachment, SubagentChange, SubagentJob, SubagentState

HOP_MS = 150  # the budget between a delegation and a worker's taking it up
BYS = {"model": "the model's words", "template": "the template's words"}


@dataclass(slots=True)
class FoundFact:
    """A fact and the line of the transcript that proves it."""

    name: str
    said: str
    value: str
    line: int


@dataclass(slots=True)
class State:
    """A state that the job was in, perhaps several times: each exchange has it run and wait."""

    label: str
    detail: str
    at: datetime
    times: int = 1


@dataclass(slots=True)
class Budget:
    """A part of the job's time beside what it may take."""

    label: str
    took_ms: int
    allowed_ms: int

    @property
    def is_kept(self) -> bool:
        return self.took_ms <= self.allowed_ms

    @property
    def words(self) -> str:
        return f"{_span(self.took_ms)} of {_span(self.allowed_ms)}"


@dataclass(slots=True)
class ShownLine:
    """A line of the transcript."""

    number: int
    speaker: str
    text: str
    at: Any
    note: str  # who worded it, and why the model's words were not taken


def shown(job: SubagentJob) -> dict[str, Any]:
    """Return what a job's page shows beside its row, in two queries, or three."""
    changes = list(job.changes.all())
    evidence = _evidence(job)
    return {
        "states": _states(changes),
        "lines": [_line(line) for line in job.lines.all()],
        "facts": _facts(job),
        "evidence": evidence,
        "plain": "" if "summary" in job.result or evidence else _pretty(job.result),
        "asked": _pretty(job.arguments),
        "score": job.report.get("score"),
        "budgets": _budgets(job, changes),
        "subagent": REGISTRY.get(job.subagent),
    }


def _evidence(job: SubagentJob) -> list[Attachment]:
    """Return the pictures, recordings and files that a job has looked into."""
    if "found" not in job.result:
        return []
    ids = job.arguments.get("attachments", [])
    sensed = job.conversation.attachments.filter(public_id__in=ids).exclude(evidence=None)
    return list(sensed.order_by("pk"))


def line_of(kept: dict[str, Any]) -> ShownLine:
    """Return a line of a trial's transcript as the pages show it."""
    return _shown_line(kept["number"], kept["speaker"], kept["text"], None, kept["data"])


def _line(line: Any) -> ShownLine:
    return _shown_line(line.number, line.speaker, line.text, line.at, line.data)


def _shown_line(number: int, speaker: str, text: str, at: Any, data: dict[str, Any]) -> ShownLine:
    by, why = BYS.get(data.get("by", ""), ""), data.get("why", "")
    note = (
        f"{by}: the model {why}" if why.startswith(("says", "promises", "offers", "asks")) else by
    )
    return ShownLine(number, speaker, text, at, note)


def _facts(job: SubagentJob) -> list[FoundFact]:
    card = job.memory.get("card", {})
    kinds = {fact["name"]: fact["kind"] for fact in card.get("facts", [])}
    found = [
        FoundFact(
            name.replace("_", " "),
            fact["said"],
            in_words(kinds.get(name, ""), fact["value"]),
            fact["line"],
        )
        for name, fact in (job.result.get("facts") or {}).items()
    ]
    return sorted(found, key=lambda fact: fact.line)


def _states(changes: list[SubagentChange]) -> list[State]:
    """Return the states in their order; one that comes back as the last but one was is counted."""
    states: list[State] = []
    for change in changes:
        label = change.get_state_display()
        same = [row for row in states[-2:] if (row.label, row.detail) == (label, change.detail)]
        if same:
            same[0].times += 1
        else:
            states.append(State(label, change.detail, change.at))
    return states


def _span(ms: int) -> str:
    return f"{ms} ms" if ms < 10_000 else f"{ms // 1000:,} s"


def _pretty(data: dict[str, Any]) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False) if data else ""


def _budgets(job: SubagentJob, changes: list[Any]) -> list[Budget]:
    """Return the way to a worker and the whole, each beside its budget."""
    budgets = []
    if job.started_at:
        hop = (job.started_at - job.created_at).total_seconds() * 1000
        budgets.append(Budget("Until a worker took it up", round(hop), HOP_MS))
    if job.finished_at and changes[-1].state != SubagentState.CANCELLED:
        whole = (job.finished_at - job.created_at).total_seconds() * 1000
        allowed = (job.deadline - job.created_at).total_seconds() * 1000
        budgets.append(Budget("From delegation to result", round(whole), round(allowed)))
    return budgets
