"""Answering a turn: what the master agent does becomes events, and the turn is stored whole.

Runs where the customer's socket is, for speed; when that process dies, a worker finishes.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any

from asgiref.sync import sync_to_async
from django.db import IntegrityError, transaction
from django.utils import timezone

from agents import master
from agents.actions import HANDOFF, DialogueAction
from agents.confirming import CHOICES, Call
from agents.master import TurnContext
from dialogues import events, services
from dialogues.history import confirmed_by, lines_for
from dialogues.models import Conversation, EventKind, Role, Turn, TurnStatus, TurnUnit
from knowledge.searching import Found
from wowconsole.logs import bind

logger = logging.getLogger(__name__)

NO_RELEASE = "Nobody can answer yet: no release is live. A colleague will read this."
LOOK_SECONDS = 1.0  # how soon an answer stops that was dropped
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
    hear: Callable[[str], None] | None = None


def in_background(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Run `work` on this loop, and keep it from being collected half way."""
    task = asyncio.create_task(work)
    _background.add(task)
    task.add_done_callback(_background.discard)
    return task


async def answer_conversation(conversation_pk: int) -> None:
    """Answer until nothing the customer said is left unanswered."""
    while turn := await sync_to_async(services.begin_turn)(conversation_pk):
        await answer_turn(await sync_to_async(with_parts)(turn.pk))


def with_parts(turn_pk: int) -> Turn:
    """Fetch a turn with all that answering it needs."""
    parts = ("conversation__scene", "release__version")
    return Turn.objects.select_related(*parts).get(pk=turn_pk)


async def answer_turn(turn: Turn, hear: Callable[[str], None] | None = None) -> None:
    """Run the master agent for a leased turn; whatever happens, the customer hears something.

    Args:
        hear: also called with each piece of the reply as it is written. Pieces may be
            withdrawn: only what is stored was said.
    """
    bind(conversation=turn.conversation.public_id, turn=turn.public_id)
    record = Record(hear=hear)
    work = asyncio.create_task(_answer(turn, record))
    lease = asyncio.create_task(_keep_lease(turn.pk, work))
    try:
        await work
    except asyncio.CancelledError:
        if not work.cancelled() or _is_cancelled():
            raise
        logger.info("Turn dropped: the customer wrote on")
    finally:
        work.cancel()
        lease.cancel()


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _answer(turn: Turn, record: Record) -> None:
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


async def _keep_lease(turn_pk: int, work: asyncio.Task[None]) -> None:
    """Renew the lease while the turn runs; stop the work when it was dropped."""
    this = Turn.objects.filter(pk=turn_pk)
    while True:
        await asyncio.sleep(min(LOOK_SECONDS, services.LEASE_SECONDS / 3))
        until = timezone.now() + timedelta(seconds=services.LEASE_SECONDS)
        if await this.filter(status=TurnStatus.RUNNING).aupdate(leased_until=until):
            continue
        if await this.filter(status=TurnStatus.DROPPED).aexists():
            work.cancel()
        return


async def _may_act(turn: Turn) -> bool:
    """Say whether the turn still runs, and keep it from being dropped from now on."""
    running = Turn.objects.filter(pk=turn.pk, status=TurnStatus.RUNNING)
    return bool(await running.aupdate(acts=True))


async def _follow(turn: Turn, record: Record) -> None:
    """Turn each happening into an event; the last one ends the turn."""
    context = await sync_to_async(_context)(turn)
    await _status(turn, "searching", "Looking for the rule that applies")
    async for happening in master.answer(context):
        if isinstance(happening, master.Calling) and not await _may_act(turn):
            return
        await _take(happening, turn, record)


def _context(turn: Turn) -> TurnContext:
    assert turn.release is not None  # noqa: S101 (narrows the type; answer_turn checked)
    return TurnContext(
        str(turn.public_id),
        turn.release,
        turn.conversation.scene,
        lines_for(turn),
        audience=turn.conversation.audience,
        confirmed=confirmed_by(turn),
    )


async def _take(happening: master.Happening, turn: Turn, record: Record) -> None:
    match happening:
        case master.Thinking():
            record.found = happening.found
            record.timings["search_ms"] = happening.search_ms
            await _status(turn, "thinking", "Writing an answer")
        case master.Delta():
            await _pass_on(happening.text, turn, record)
        case master.Calling():
            await _status(turn, "calling", happening.detail)
        case master.Step():
            record.steps.append(asdict(happening))
        case master.Called():
            await sync_to_async(_store_call)(turn, happening)
        case master.Finished():
            record.pending = happening.pending
            await _finish(turn, record, happening.action, happening.error)


async def _pass_on(text: str, turn: Turn, record: Record) -> None:
    record.timings.setdefault("first_text_ms", _since(record))
    delta = {"type": "delta", "turn": str(turn.public_id), "text": text}
    await events.passing(turn.conversation.public_id, delta)
    if record.hear:
        record.hear(text)


def _since(record: Record) -> float:
    return round((time.perf_counter() - record.started) * 1000, 1)


async def _status(turn: Turn, state: str, detail: str) -> None:
    event = {"type": "status", "state": state, "detail": detail}
    await events.passing(turn.conversation.public_id, event)


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
