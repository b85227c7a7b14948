"""What a turn leaves behind: its calls and reply in the log, and the turn itself, stored whole."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.utils import timezone

from agents import courtesies, master
from agents.actions import CLOSE, HANDOFF, DialogueAction
from agents.confirming import Call, choices_for
from agents.finding import unanswered
from agents.models import ToolKind
from dialogues import agreeing, history, services
from dialogues.desk import control
from dialogues.models import Channel, Conversation, EventKind, Role, Turn, TurnStatus, TurnUnit
from dialogues.proactive import promises
from knowledge.searching import Found


@dataclass(slots=True)
class Record:
    """What is collected while a turn runs."""

    started: float = field(default_factory=time.perf_counter)
    found: list[Found] = field(default_factory=list)
    steps: list[dict[str, Any]] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)
    waits: dict[str, float] = field(default_factory=dict)  # milliseconds, by sub-agent
    pending: Call | None = None  # what the reply asks the customer to agree to
    degraded: str = ""  # why the reply is not the model's
    hear: Callable[[str], None] | None = None
    was_withdrawn: bool = False  # some of what was heard

    @property
    def milliseconds(self) -> float:
        return round((time.perf_counter() - self.started) * 1000, 1)

    def finish(self) -> None:
        """Add up the times of the parts."""
        self.timings["total_ms"] = self.milliseconds
        self.timings["engine_ms"] = sum(step["engine_ms"] for step in self.steps)
        jobs = [step for step in self.steps if step["tool_kind"] == ToolKind.SUBAGENT]
        hops = sum(step["tool_ms"] for step in jobs)
        self.timings["tools_ms"] = sum(step["tool_ms"] for step in self.steps) - hops
        if jobs:
            self.timings["subagents_ms"] = hops
        for step in jobs:
            name = step["action"]["action"]["name"]
            self.waits[name] = self.waits.get(name, 0) + step["tool_ms"]
        self.timings |= {f"subagent_{name}_ms": ms for name, ms in self.waits.items()}

    @property
    def figures(self) -> dict[str, Any]:
        """What is counted over many turns, as fields of the turn."""
        asked = [step for step in self.steps if step["messages"]]
        unbacked = sum(step["fault"] == "unbacked" for step in asked)
        return {
            "engine_calls": len(asked),
            "unbacked_calls": unbacked,
            "unreadable_calls": sum(bool(step["fault"]) for step in asked) - unbacked,
            "prompt_tokens": sum(step["prompt_tokens"] for step in asked),
            "completion_tokens": sum(step["completion_tokens"] for step in asked),
            "cost": sum((Decimal(str(step["cost"])) for step in self.steps), Decimal(0)),
        }


class LostTurn(Exception):
    """A person came first, or another process has taken the turn over: nothing more is done."""


@transaction.atomic
def store_call(turn: Turn, called: master.Called) -> bool:
    """Store once what a tool did, and say whether the turn is still ours.

    Where it is not, the call is a fact of the system's and no word of the agent's: staff see it,
    and so does the agent, who would do it again otherwise.
    """
    is_ours = _is_ours(turn)
    if turn.under_way:
        Turn.objects.filter(pk=turn.pk).update(under_way=None)
    data = {"name": called.name, "arguments": called.arguments, "result": called.result}
    known = turn.events.filter(kind=EventKind.ACTION, data__contains=data)
    if known.exists():  # by the process that died
        return is_ours
    event = services.append(
        conversation=turn.conversation,
        kind=EventKind.ACTION,
        role=Role.AGENT if is_ours else Role.SYSTEM,
        data=data | {"shown": called.shown},
        turn=turn,
        fence=turn.fence if is_ours else None,
    )
    promises.note_from_tool(turn.conversation, str(event.public_id), called.result)
    return is_ours


def _is_ours(turn: Turn) -> bool:
    """Say whether the agent may still speak in a turn, and keep it so for this transaction."""
    # The conversation first, as everywhere: in the other order a takeover could deadlock.
    conversation = Conversation.objects.select_for_update().get(pk=turn.conversation_id)
    held = Turn.objects.held(turn).select_for_update()
    return conversation.fence == turn.fence and held.exists()


@transaction.atomic
def store_end(turn: Turn, record: Record, action: DialogueAction, error: str) -> None:
    """Store reply, turn and found rules at once, if the turn is still ours to end."""
    if not _is_ours(turn):
        store_steps(turn, record)
        return
    if turn.under_way:  # it broke down in the middle of its call
        agreeing.tell_under_way(turn)
    _store_reply(turn, record, action)
    _store_found(turn, record.found, action.knowledge)
    Turn.objects.held(turn).update(
        status=TurnStatus.FAILED if error else TurnStatus.DONE,
        steps=record.steps,
        output=action.as_dict() | _pending(record),
        timings=record.timings,
        error=error,
        degraded=record.degraded[:300],
        leased_until=None,
        under_way=None,
        finished_at=timezone.now(),
        **record.figures,
    )
    if action.name == HANDOFF and turn.conversation.channel == Channel.CHAT:
        asked = courtesies.asks_for_person(unanswered(history.lines_for(turn)))
        # Elsewhere a program reads it.
        services.ask_for_person(conversation=turn.conversation, by_customer=asked)
    elif action.name == CLOSE and not error:
        control.close_as_agent(conversation=turn.conversation, asked_seq=turn.asked_seq)


def store_steps(turn: Turn, record: Record) -> None:
    """Keep on record what was done (a refund, say) in a turn that is not ours to end."""
    figures = {"steps": record.steps, **record.figures}
    Turn.objects.filter(pk=turn.pk, steps=[]).update(**figures)


def _pending(record: Record) -> dict[str, Any]:
    return {"pending": record.pending.as_dict()} if record.pending else {}


def _store_reply(turn: Turn, record: Record, action: DialogueAction) -> None:
    cited = [item for item in record.found if item.unit_id in action.knowledge]
    degraded = {"degraded": True} if record.degraded else {}
    services.append(
        conversation=turn.conversation,
        kind=EventKind.MESSAGE,
        role=Role.AGENT,
        text=action.reply,
        data={
            "citations": [{"unit": item.unit_id, "title": item.title} for item in cited],
            "release": turn.release.name if turn.release else None,
            "turn": str(turn.public_id),
            "choices": choices_for(action.reply) if record.pending else [],
            **degraded,
        },
        turn=turn,
        fence=turn.fence,
    )


def _store_found(turn: Turn, found: list[Found], cited: list[int]) -> None:
    TurnUnit.objects.bulk_create(
        [
            TurnUnit(
                turn=turn,
                unit_id=item.unit_id,
                revision_id=item.revision_id,
                rank=rank,
                score=item.score,
                similarity=item.similarity,
                vector_rank=item.vector_rank,
                text_rank=item.text_rank,
                matched=item.matched,
                cited=item.unit_id in cited,
            )
            for rank, item in enumerate(found, start=1)
        ],
        ignore_conflicts=True,
    )
