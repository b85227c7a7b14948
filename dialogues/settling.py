"""Finding out what came of a call that was under way when a person silenced its turn.

For where its process died over it: one that lives tells that itself.
"""

import asyncio
from dataclasses import asdict, replace
from datetime import timedelta

from asgiref.sync import sync_to_async
from django.utils import timezone

from agents import master
from agents.models import Release
from dialogues import agreeing, answering, recording
from dialogues.models import Turn
from dialogues.recording import Record

# After a person was told that it was under way: later they may have done by hand what it does.
LATEST = timedelta(minutes=2)


async def settle(turn: Turn) -> None:
    """Make the call once more with its own key, so that it acts once, and say nothing.

    What it tells is a fact in the log. Later than LATEST nothing is made, and it stays unknown.
    """
    if turn.release and not _is_late(turn):
        lease = asyncio.create_task(answering.keep_call(turn))
        try:
            await _find_out(turn, turn.release)
        finally:
            lease.cancel()
    await Turn.objects.filter(pk=turn.pk).aupdate(under_way=None)


def _is_late(turn: Turn) -> bool:
    silenced_at = turn.finished_at or turn.created_at
    return turn.attempts > answering.MOST_ATTEMPTS or timezone.now() - silenced_at > LATEST


async def _find_out(turn: Turn, release: Release) -> None:
    context = await sync_to_async(answering.context_of)(turn, release)
    context = replace(context, confirmed=agreeing.as_call(turn.under_way), done=())
    record = Record()
    async for happening in master.make_agreed(context):
        match happening:
            case master.Step():
                record.steps.append(asdict(happening))
            case master.Called():
                await sync_to_async(recording.store_call)(turn, happening)
    await sync_to_async(recording.store_steps)(turn, record)
