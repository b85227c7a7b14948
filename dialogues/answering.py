"""Answering a turn: what the master agent does becomes events, and the turn is stored whole.

Runs where the customer's socket is, for speed; when that process dies, a worker finishes.
"""

import asyncio
import logging
import time
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any

from asgiref.sync import sync_to_async
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from agents import master
from agents.actions import HANDOFF, DialogueAction
from agents.confirming import CHOICES, Call, says_yes
from agents.master import TurnContext
from agents.prompting import LINES_SHOWN, Line
from dialogues import events, services
from dialogues.models import Conversation, Event, EventKind, Role, Turn, TurnStatus, TurnUnit
from knowledge.searching import Found
from wowconsole.logs import bind

logger = logging.getLogger(__name__)

NO_RELEASE = "Nobody can answer yet: no release is live. A colleague will read this."
MOST_ATTEMPTS = 3  # processes that may die over one turn
_background: set[asyncio.Task[None]] = set()  # asyncio itself holds tasks only weakly


@dataclass(slots=True)
class Record:
    """What is collected while a turn runs."""

    started: float = field(default_factory=time.perf_counter)
    found: list[Found] = field(default_factory=list)
    steps: list[dict[str, Any]] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)
    pending: Call | None = None  # what the reply asks the customer to agree to


def in_background(work: Coroutine[Any, Any, None]) -> None:
    """Run `work` on this loop, and keep it from being collected half way."""
    task = asyncio.create_task(work)
    _background.add(task)
    task.add_done_callback(_background.discard)


async def answer_conversation(conversation_pk: int) -> None:
    """Answer until nothing the customer said is left unanswered."""
    while turn := await sync_to_async(services.begin_turn)(conversation_pk):
        await answer_turn(await sync_to_async(_with_parts)(turn.pk))


def _with_parts(turn_pk: int) -> Turn:
    parts = ("conversation__scene", "release__version")
    return Turn.objects.select_related(*parts).get(pk=turn_pk)


async def answer_turn(turn: Turn) -> None:
    """Run the master agent for a leased turn; whatever happens, the customer hears something."""
    bind(conversation=turn.conversation.public_id, turn=turn.public_id)
    record = Record()
    lease = asyncio.create_task(_keep_lease(turn.pk))
    try:
        if turn.release is None:
            await _finish(turn, record, DialogueAction(HANDOFF, NO_RELEASE), "No release is live.")
        elif turn.attempts > MOST_ATTEMPTS:
            error = f"{MOST_ATTEMPTS} processes died over this turn."
            await _finish(turn, record, DialogueAction(HANDOFF, master.SORRY), error)
        else:
            await _follow(turn, record)
    except Exception as error:
        logger.exception("Turn failed")
        await _finish(turn, record, DialogueAction(HANDOFF, master.SORRY), repr(error))
    finally:
        lease.cancel()


async def _keep_lease(turn_pk: int) -> None:
    while True:
        await asyncio.sleep(services.LEASE_SECONDS / 3)
        until = timezone.now() + timedelta(seconds=services.LEASE_SECONDS)
        running = Turn.objects.filter(pk=turn_pk, status=TurnStatus.RUNNING)
        await running.aupdate(leased_until=until)


async def _follow(turn: Turn, record: Record) -> None:
    """Turn each happening into an event; the last one ends the turn."""
    assert turn.release is not None  # noqa: S101 (narrows the type; answer_turn checked)
    conversation = turn.conversation
    lines = await sync_to_async(lines_for)(turn)
    confirmed = await sync_to_async(confirmed_by)(turn)
    context = TurnContext(
        str(turn.public_id),
        turn.release,
        conversation.scene,
        lines,
        audience=conversation.audience,
        confirmed=confirmed,
    )
    await _status(turn, "searching", "Looking for the rule that applies")
    async for happening in master.answer(context):
        match happening:
            case master.Thinking():
                record.found = happening.found
                record.timings["search_ms"] = happening.search_ms
                await _status(turn, "thinking", "Writing an answer")
            case master.Delta():
                record.timings.setdefault("first_text_ms", _since(record))
                delta = {"type": "delta", "turn": str(turn.public_id), "text": happening.text}
                await events.passing(conversation.public_id, delta)
            case master.Calling():
                await _status(turn, "calling", happening.detail)
            case master.Step():
                record.steps.append(asdict(happening))
            case master.Called():
                await sync_to_async(_store_call)(turn, happening)
            case master.Finished():
                record.pending = happening.pending
                await _finish(turn, record, happening.action, happening.error)


def _since(record: Record) -> float:
    return round((time.perf_counter() - record.started) * 1000, 1)


async def _status(turn: Turn, state: str, detail: str) -> None:
    event = {"type": "status", "state": state, "detail": detail}
    await events.passing(turn.conversation.public_id, event)


def as_line(event: Event) -> Line:
    """Return one stored event as a line of the prompt; staff speak as the agent does."""
    if event.kind == EventKind.ACTION:
        data = event.data
        return Line("tool", name=data["name"], arguments=data["arguments"], result=data["result"])
    return Line("customer" if event.role == Role.CUSTOMER else "agent", event.text)


def lines_for(turn: Turn) -> list[Line]:
    """Return the dialogue as the turn's prompt shows it, oldest first, what it answers last.

    What came of this turn itself is left out: answered a second time, after a crash, it
    must see what it saw first. A message that came while another turn ran stands after
    that turn's reply, though its number is lower.
    """
    earlier = turn.conversation.turns.filter(asked_seq__lt=turn.asked_seq).last()
    answered_seq = earlier.asked_seq if earlier else 0
    others = Event.objects.filter(
        Q(seq__lte=turn.asked_seq) | Q(turn__asked_seq__lt=turn.asked_seq),
        conversation=turn.conversation,
        kind__in=[EventKind.MESSAGE, EventKind.ACTION],
    )
    asked = Q(role=Role.CUSTOMER, seq__gt=answered_seq)
    before = others.exclude(asked).order_by("-seq")[:LINES_SHOWN]
    shown = [*reversed(before), *others.filter(asked).order_by("seq")]
    return [as_line(event) for event in shown[-LINES_SHOWN:]]


@transaction.atomic
def _store_call(turn: Turn, called: master.Called) -> None:
    data = {"name": called.name, "arguments": called.arguments, "result": called.result}
    stored = turn.events.filter(kind=EventKind.ACTION).values_list("data", flat=True)
    if data in list(stored):  # by the process that died
        return
    services.append(
        conversation=turn.conversation,
        kind=EventKind.ACTION,
        role=Role.AGENT,
        data=data,
        turn=turn,
        fence=turn.fence,
    )


async def _finish(turn: Turn, record: Record, action: DialogueAction, error: str) -> None:
    record.timings["total_ms"] = _since(record)
    record.timings["engine_ms"] = sum(step["engine_ms"] for step in record.steps)
    record.timings["tools_ms"] = sum(step["tool_ms"] for step in record.steps)
    with suppress(IntegrityError):  # control changed: a person speaks now, and the agent is silent
        await sync_to_async(_store_end)(turn, record, action, error)


@transaction.atomic
def _store_end(turn: Turn, record: Record, action: DialogueAction, error: str) -> None:
    """Store reply, turn and found rules at once, if the turn is still ours to end."""
    # The conversation first, as everywhere: in the other order a takeover could deadlock.
    Conversation.objects.select_for_update().get(pk=turn.conversation_id)
    running = Turn.objects.select_for_update().filter(pk=turn.pk, status=TurnStatus.RUNNING)
    if not running.exists():
        # A person came first. What was done until then (a refund, say) stays on record.
        Turn.objects.filter(pk=turn.pk, steps=[]).update(steps=record.steps)
        return
    _store_reply(turn, record, action)
    _store_found(turn, record.found, action.knowledge)
    running.update(
        status=TurnStatus.FAILED if error else TurnStatus.DONE,
        steps=record.steps,
        output=action.as_dict() | _pending(record),
        timings=record.timings,
        error=error,
        leased_until=None,
        finished_at=timezone.now(),
    )
    if action.name == HANDOFF:
        services.ask_for_person(conversation=turn.conversation)


def _pending(record: Record) -> dict[str, Any]:
    return {"pending": record.pending.as_dict()} if record.pending else {}


def confirmed_by(turn: Turn) -> Call | None:
    """Return the call that the turn before asked about, if what the customer wrote is a yes."""
    before = turn.conversation.turns.filter(asked_seq__lt=turn.asked_seq).last()
    pending = before.output.get("pending") if before else None
    if before is None or not pending:
        return None
    said = turn.conversation.events.filter(
        kind=EventKind.MESSAGE,
        role=Role.CUSTOMER,
        seq__gt=before.asked_seq,
        seq__lte=turn.asked_seq,
    )
    texts = list(said.values_list("text", flat=True))
    return Call(**pending) if texts and all(map(says_yes, texts)) else None


def _store_reply(turn: Turn, record: Record, action: DialogueAction) -> None:
    cited = [item for item in record.found if item.unit_id in action.knowledge]
    services.append(
        conversation=turn.conversation,
        kind=EventKind.MESSAGE,
        role=Role.AGENT,
        text=action.reply,
        data={
            "citations": [{"unit": item.unit_id, "title": item.title} for item in cited],
            "release": turn.release.name if turn.release else None,
            "turn": str(turn.public_id),
            "choices": list(CHOICES) if record.pending else [],
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
