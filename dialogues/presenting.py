"""What the pages show of conversations and turns, as plain rows for the templates."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db.models import Prefetch

from agents import calling
from dialogues.chat import rating
from dialogues.forms import JudgementForm
from dialogues.loop.reviewing import spoken_action, step_action
from dialogues.models import (
    Case,
    Control,
    Conversation,
    Event,
    EventKind,
    IssueType,
    Judgement,
    Role,
    Turn,
    TurnStatus,
    TurnUnit,
)

FIGURES = {  # of a step → what a person calls it
    "engine_ms": "Engine, ms",
    "first_token_ms": "First token, ms",
    "tool_ms": "Tool, ms",
    "tool_status": "Tool, HTTP status",
    "prompt_tokens": "Prompt tokens",
    "completion_tokens": "Reply tokens",
}
FOUND = Prefetch("units", TurnUnit.objects.select_related("unit", "revision"))


@dataclass(slots=True)
class ListedConversation:
    """A row of the list."""

    conversation: Conversation
    said: str = ""  # the customer's first message
    labels: list[tuple[str, int]] = field(default_factory=list)  # (class, cases)


def listed(conversations: Sequence[Conversation]) -> list[ListedConversation]:
    """Add to a page of conversations what the list shows of them, in two queries."""
    rows = {row.pk: ListedConversation(row) for row in conversations}
    messages = Event.objects.filter(
        conversation__in=rows, kind=EventKind.MESSAGE, role=Role.CUSTOMER
    )
    first = messages.order_by("conversation_id", "seq").distinct("conversation")
    for key, text in first.values_list("conversation_id", "text"):
        rows[key].said = text
    for key, labels in _labels(list(rows)).items():
        rows[key].labels = sorted(labels.items())
    return list(rows.values())


def _labels(keys: list[int]) -> dict[int, dict[str, int]]:
    cases = Case.objects.filter(turn__conversation__in=keys)
    counts: dict[int, dict[str, int]] = {}
    for key, label in cases.values_list("turn__conversation_id", "label"):
        labels = counts.setdefault(key, {})
        labels[label] = labels.get(label, 0) + 1
    return counts


@dataclass(slots=True)
class Entry:
    """An event of the transcript; the last of a turn carries it."""

    event: Event
    arguments: str = ""  # of an action, as JSON
    result: str = ""
    turn: Turn | None = None
    cited: list[TurnUnit] = field(default_factory=list)

    @property
    def note(self) -> str:
        """What the transcript says of an event that is neither message nor action."""
        data = self.event.data
        match self.event.kind:
            case EventKind.RATING:
                said = f"Rated {data.get('score')} of 5"
            case EventKind.FEEDBACK:
                said = "Liked a reply" if data.get("value") == "like" else "Disliked a reply"
            case EventKind.CONTROL:
                said = f"Now in charge: {dict(Control.choices).get(data.get('state'), '?')}"
            case EventKind.SURVEY if self.event.role == Role.CUSTOMER:
                said = f"Survey: {data.get('answered')} questions answered"
            case EventKind.JOB:
                said = f"{data.get('name')}, {data.get('state')}: {data.get('detail')}"
            case _:
                said = self.event.get_kind_display()
        more = data.get("comment") or rating.in_words(data.get("reason") or "") or self.event.text
        return f"{said}: {more}" if more else said

    @property
    def is_unknown(self) -> bool:
        """Whether a call was under way when a person came; what it brought may follow."""
        return bool(self.event.data.get("unknown"))

    @property
    def failed(self) -> bool:
        result = self.event.data.get("result")
        return isinstance(result, dict) and calling.failed(result)


def transcript(conversation: Conversation) -> list[Entry]:
    """Return the log with each turn at its last event, in four queries."""
    turns = conversation.turns.select_related("case", "release__version").prefetch_related(FOUND)
    entries = [_entry(event) for event in conversation.events.all()]
    spoken = {entry.event.turn_id: entry for entry in entries if entry.event.turn_id}
    asked = {entry.event.seq: entry for entry in entries}
    for turn in turns:
        # A turn that said nothing hangs on the message that it should have answered.
        if entry := spoken.get(turn.pk) or asked.get(turn.asked_seq):
            entry.turn = turn
            entry.cited = [unit for unit in turn.units.all() if unit.cited]
    return entries


def _entry(event: Event) -> Entry:
    if event.kind != EventKind.ACTION:
        return Entry(event)
    return Entry(
        event,
        arguments=_pretty(event.data.get("arguments") or {}),
        result=_pretty(event.data.get("result") or {}),
    )


def _pretty(data: Any) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False)


@dataclass(slots=True)
class ShownStep:
    """One call of the engine, and of the tool it asked for."""

    messages: list[dict[str, str]]
    output: str
    name: str
    arguments: str
    result: str
    figures: list[tuple[str, Any]]


def _step(step: dict[str, Any]) -> ShownStep:
    action = step_action(step)
    return ShownStep(
        messages=step.get("messages") or [],
        output=step.get("output") or "",
        name=action.get("name", ""),
        arguments=_pretty(action.get("arguments") or {}),
        result=_pretty(step["result"]) if step.get("result") is not None else "",
        figures=[(label, step[name]) for name, label in FIGURES.items() if step.get(name)],
    )


@dataclass(slots=True)
class Timing:
    """A part of the turn's time."""

    label: str
    ms: int
    percent: int  # of the longest time, for the bar


def timings(turn: Turn) -> list[Timing]:
    """Return the turn's measured times, shortest first, so that the total ends the list."""
    times = {name: ms for name, ms in turn.timings.items() if isinstance(ms, int | float)}
    longest = max(times.values(), default=0) or 1
    return [
        Timing(_words(name), round(ms), max(1, round(100 * ms / longest)))
        for name, ms in sorted(times.items(), key=lambda item: item[1])
    ]


def _words(name: str) -> str:
    return name.removesuffix("_ms").replace("_", " ").capitalize()


@dataclass(slots=True)
class Opinion:
    """A judgement or a case, with its issues in words and its rewritten reply."""

    row: Judgement | Case
    issues: list[str]
    reply: str


def in_words(rows: Iterable[Judgement | Case]) -> list[Opinion]:
    """Return judgements or cases as the pages show them."""
    return [
        Opinion(
            row,
            issues=[str(IssueType(name).label) for name in row.issue_types],
            reply=row.rewrite.get("reply", ""),
        )
        for row in rows
    ]


def panel(turn: Turn, form: JudgementForm | None = None) -> dict[str, Any]:
    """Return what the panel of a turn shows: why it was said, and what people think of it."""
    found = list(turn.units.select_related("unit", "revision"))
    ids = list(turn.conversation.turns.values_list("public_id", flat=True))
    place = ids.index(turn.public_id)
    return {
        "turn": turn,
        "found": found,
        "steps": [_step(step) for step in turn.steps],
        "timings": timings(turn),
        "output": _pretty(spoken_action(turn).as_dict()),
        "judgements": in_words(turn.judgements.select_related("author")),
        "form": form or JudgementForm(turn=turn, found=found),
        "may_be_judged": turn.status != TurnStatus.RUNNING,
        "place": place + 1,
        "places": len(ids),
        "neighbours": _neighbours(ids, place),
    }


def _neighbours(ids: Sequence[UUID], place: int) -> list[tuple[UUID, str, str]]:
    """Return (turn, what the link says, its key) of the turns beside the one at `place`."""
    links = []
    if place > 0:
        links.append((ids[place - 1], "Previous", "k"))
    if place + 1 < len(ids):
        links.append((ids[place + 1], "Next", "j"))
    return links
