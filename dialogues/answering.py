"""Answering a turn: what the master agent does becomes events, and the turn is stored whole.

Runs where the customer's socket is, for speed; when that process dies, a worker finishes.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from asgiref.sync import sync_to_async
from django.db import DataError, Error, IntegrityError, close_old_connections

from agents import master, telling
from agents.actions import HANDOFF, DialogueAction
from agents.confirming import Call
from agents.finding import unanswered
from agents.master import TurnContext
from agents.models import Release
from agents.phrases import Phrase
from dialogues import agreeing, events, recording, services
from dialogues.costs import capping
from dialogues.history import answer_by, asked_about, done_in, is_retold, lines_for
from dialogues.jobs.delegating import delegate_for
from dialogues.models import Turn, TurnStatus
from dialogues.proactive import declining
from dialogues.recording import Record
from dialogues.senses import looking
from wowconsole.logs import bind

logger = logging.getLogger(__name__)

OVER_CAP = "What this conversation or this day may cost is used up."
NO_RELEASE = Phrase(
    "Nobody can answer yet: no release is live. A colleague will read this.",
    zh="目前还没有可用的智能客服，同事会阅读您的消息。",
)
# (seconds after the question, what is shown if nothing of the reply is there by then)
PATIENCE = (
    (1.8, "One moment, please…"),
    (8.0, "This takes a little longer than usual…"),
    (20.0, "Still at it. A colleague takes over if I can't answer."),
)
LOOK_SECONDS = 1.0  # how soon an answer stops that was dropped
MOST_ATTEMPTS = 3  # processes that may die over one turn
_background: set[asyncio.Task[None]] = set()  # asyncio itself holds tasks only weakly
_works: dict[int, asyncio.Task[None]] = {}  # by turn, of this process


def in_background(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Run `work` on this loop, and keep it from being collected half way."""
    task = asyncio.create_task(work)
    _background.add(task)
    task.add_done_callback(_ended)
    return task


def _ended(task: asyncio.Task[None]) -> None:
    _background.discard(task)
    if not task.cancelled() and (error := task.exception()):
        logger.error("It broke off; what is left of it a worker takes up", exc_info=error)


async def answer_conversation(conversation_pk: int) -> None:
    """Answer until nothing the customer said is left unanswered."""
    while turn := await sync_to_async(services.begin_turn)(conversation_pk):
        await answer_turn(await sync_to_async(with_parts)(turn.pk))


def with_parts(turn_pk: int) -> Turn:
    """Fetch a turn with all that answering it needs."""
    parts = ("conversation__scene", "release__version")
    return Turn.objects.select_related(*parts).get(pk=turn_pk)


def stop(turn_pk: int) -> None:
    """Stop writing an answer that was dropped, where this process writes it.

    Another one notices it within LOOK_SECONDS; windows show nothing of it meanwhile.
    """
    if work := _works.get(turn_pk):
        work.cancel()


async def answer_turn(turn: Turn, hear: Callable[[str], None] | None = None) -> None:
    """Run the master agent for a leased turn; whatever happens, the customer hears something.

    Args:
        hear: also called with each piece of the reply as it is written. Pieces may be
            withdrawn: only what is stored was said.
    """
    bind(conversation=turn.conversation.public_id, turn=turn.public_id)
    record = Record(hear=hear)
    work = _works[turn.pk] = asyncio.create_task(_answer(turn, record))
    lease = asyncio.create_task(_keep_lease(turn, work))
    patience = asyncio.create_task(_reassure(turn, record))
    try:
        await work
    except asyncio.CancelledError:
        if not work.cancelled() or _is_cancelled():
            raise
        logger.info("Turn dropped: the customer wrote on, or stopped it")
    finally:
        _works.pop(turn.pk, None)
        work.cancel()
        lease.cancel()
        patience.cancel()


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _answer(turn: Turn, record: Record) -> None:
    try:
        if turn.release is None:
            await _hand_over(turn, record, NO_RELEASE, "No release is live.")
        elif turn.attempts > MOST_ATTEMPTS:
            error = f"{MOST_ATTEMPTS} processes died over this turn."
            await _hand_over(turn, record, master.SORRY, error)
        else:
            await _follow(turn, record)
    except recording.LostTurn:
        await sync_to_async(recording.store_steps)(turn, record)
    except Exception as error:
        logger.exception("Turn failed")
        await _apologise(turn, record, repr(error))


async def _apologise(turn: Turn, record: Record, error: str) -> None:
    """End the turn with an apology; without its record, if that is what can't be stored."""
    try:
        await _hand_over(turn, record, master.SORRY, error)
    except (IntegrityError, DataError):
        logger.exception("The record of the turn can't be stored")
        await _hand_over(turn, Record(started=record.started), master.SORRY, error)


async def _keep_lease(turn: Turn, work: asyncio.Task[None]) -> None:
    """Renew the lease while the turn runs; stop the work when it was dropped.

    Where a person or another process came first, the work goes on unheard: what was done is to
    stay on record.
    """
    is_ours = True
    while is_ours:
        await asyncio.sleep(min(LOOK_SECONDS, services.LEASE_SECONDS / 3))
        is_ours = await _renewed(turn)
    if turn.status == TurnStatus.DROPPED:
        work.cancel()
    elif turn.status == TurnStatus.RUNNING:  # elsewhere: of this process nothing is heard
        turn.status = TurnStatus.DROPPED
    else:
        await keep_call(turn)


async def _renewed(turn: Turn) -> bool:
    """Renew the lease. False: the turn is not ours any more, and says how it stands.

    A try that fails loses nothing. It closes a connection that was cut off, by a restart of the
    database: the next try, and what else the turn stores, has a new one.
    """
    try:
        if await Turn.objects.held(turn).aupdate(leased_until=services.lease_end()):
            return True
        await turn.arefresh_from_db(fields=["status"])
    except Error:
        logger.warning("The lease could not be renewed; the next try may do it.", exc_info=True)
        await sync_to_async(close_old_connections)()
        return True
    return False


async def keep_call(turn: Turn) -> None:
    """Keep a call ours that goes on in a silenced turn, until what came of it is stored."""
    ours = Turn.objects.filter(pk=turn.pk, attempts=turn.attempts, under_way__isnull=False)
    while True:
        try:
            if not await ours.aupdate(leased_until=services.lease_end()):
                return
        except Error:
            logger.warning("The lease could not be renewed; the next try may do it.", exc_info=True)
            await sync_to_async(close_old_connections)()
        await asyncio.sleep(services.LEASE_SECONDS / 3)


async def _may_act(turn: Turn, agreed: Call | None = None) -> bool:
    """Say whether the turn is still ours, and keep it from being dropped from now on.

    Args:
        agreed: the call about to be made, if it can't be undone: it is noted first.
    """
    turn.under_way = asdict(agreed) if agreed else None
    return bool(await Turn.objects.held(turn).aupdate(acts=True, under_way=turn.under_way))


async def _follow(turn: Turn, record: Record) -> None:
    """Turn each happening into an event; the last one ends the turn."""
    assert turn.release is not None  # noqa: S101 (narrows the type; _answer checked)
    said = await looking.answer_for(turn, partial(_status, turn), record.waits)
    context = await sync_to_async(context_of)(turn, turn.release)
    said = said or await sync_to_async(declining.answer_for)(turn, unanswered(context.lines))
    if said is None and context.money_left is not None and context.money_left <= 0:
        said = await master.news(context)
        record.degraded = "" if said else OVER_CAP
        said = said or DialogueAction(HANDOFF, capping.CAPPED)
    if said:
        await _finish(turn, record, telling.with_news(context, said), "")
        return
    await _status(turn, "searching", "Looking for the rule that applies")
    async for happening in master.answer(context):
        if isinstance(happening, master.Calling) and not await _may_act(turn, happening.agreed):
            raise recording.LostTurn
        await _take(happening, turn, record)


def context_of(turn: Turn, release: Release) -> TurnContext:
    """Return all that the agent of a release may know when it answers a turn."""
    call, agreed = answer_by(turn) or (None, True)
    confirmed = replace(call, key=agreeing.key_of(turn.conversation, call)) if call else None
    unfinished = turn.conversation.jobs.unfinished()
    left = capping.money_left(turn.conversation, but=turn.pk)
    return TurnContext(
        str(turn.public_id),
        release,
        turn.conversation.scene,
        lines_for(turn),
        audience=turn.conversation.audience,
        confirmed=confirmed if agreed else None,
        declined=not agreed,
        asked_about=asked_about(turn),
        may_ask=not is_retold(turn),
        delegate=delegate_for(turn),
        under_way=agreeing.under_way(turn),
        customer=turn.conversation.customer_ref,
        at_work=[str(job) for job in unfinished.values_list("public_id", flat=True)],
        money_left=left,
        reserve=None if left is None else partial(sync_to_async(capping.reserve), turn),
        done=done_in(turn),
    )


async def _take(happening: master.Happening, turn: Turn, record: Record) -> None:
    match happening:
        case master.Thinking():
            record.found = happening.found
            record.timings["search_ms"] = happening.search_ms
            await _status(turn, "thinking", "Writing an answer")
        case master.Delta():
            await _pass_on(happening, turn, record)
        case master.Calling():
            await _status(turn, "calling", happening.detail)
        case master.Step():
            record.steps.append(asdict(happening))
        case master.Called():
            is_ours = await sync_to_async(recording.store_call)(turn, happening)
            turn.under_way = None
            if not is_ours:
                raise recording.LostTurn
        case master.Finished():
            record.pending, record.degraded = happening.pending, happening.degraded
            await _finish(turn, record, happening.action, happening.error)


async def _pass_on(delta: master.Delta, turn: Turn, record: Record) -> None:
    if delta.text:
        record.timings.setdefault("first_text_ms", record.milliseconds)
    event = {"type": "delta", "turn": str(turn.public_id), "text": delta.text}
    withdrawn = {"withdraws": True} if delta.withdraws else {}
    await _tell(turn, event | withdrawn)
    record.was_withdrawn |= delta.withdraws
    # Who can't take a piece back is told the whole at the end instead.
    if record.hear and delta.text and not record.was_withdrawn:
        record.hear(delta.text)


async def _reassure(turn: Turn, record: Record) -> None:
    """Say something while nothing of the reply is there yet: nobody looks at silence."""
    for seconds, words in PATIENCE:
        await asyncio.sleep(max(seconds - record.milliseconds / 1000, 0))
        if "first_text_ms" in record.timings:
            return
        await _status(turn, "thinking", words)


async def _status(turn: Turn, state: str, detail: str) -> None:
    named = {"turn": str(turn.public_id)}
    await _tell(turn, {"type": "status", "state": state, "detail": detail} | named)


async def _tell(turn: Turn, event: dict[str, Any]) -> None:
    """Show a passing event, but not of a turn that ended: its conversation may be handed back."""
    if turn.status == TurnStatus.RUNNING:
        await events.passing(turn.conversation.public_id, event)


async def _hand_over(turn: Turn, record: Record, words: Phrase, error: str) -> None:
    said = await sync_to_async(turn.conversation.say)(words)
    await _finish(turn, record, DialogueAction(HANDOFF, said), error)


async def _finish(turn: Turn, record: Record, action: DialogueAction, error: str) -> None:
    record.finish()
    await sync_to_async(recording.store_end)(turn, record, action, error)
