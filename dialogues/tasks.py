"""Doors from the queue into the gerunds of dialogues."""

from asgiref.sync import async_to_sync
from celery import shared_task

from dialogues import answering, gaps, noting, replaying, services
from dialogues.models import Conversation, Turn
from knowledge import jobs


@shared_task
def finish_abandoned_turns() -> None:
    """Every few seconds, from beat: answer what a dead process left unanswered."""
    for turn_pk in Turn.objects.abandoned().values_list("pk", flat=True):
        finish_turn.delay(turn_pk)
    waiting = Conversation.objects.unanswered(after_seconds=services.LEASE_SECONDS)
    for conversation_pk in waiting.values_list("pk", flat=True):
        answer_conversation.delay(conversation_pk)


@shared_task
def finish_turn(turn_pk: int) -> None:
    if not Turn.objects.filter(pk=turn_pk).exists():
        return
    turn = services.take_over(turn_pk)
    if turn is None:  # another worker was quicker, or its process lives after all
        return
    async_to_sync(_finish)(turn)


@shared_task
def answer_conversation(conversation_pk: int) -> None:
    """Take up what a process stored and then died; a second delivery finds nothing to do."""
    if Conversation.objects.filter(pk=conversation_pk).exists():
        async_to_sync(answering.answer_conversation)(conversation_pk)


async def _finish(turn: Turn) -> None:
    await answering.answer_turn(turn)
    await answering.answer_conversation(turn.conversation_id)


@shared_task
def note_questions() -> None:
    """Every few seconds, from beat: what was asked of late can be found by meaning."""
    noting.note_questions()


@shared_task
def look_for_gaps(job_pk: int) -> None:
    gaps.look_for_gaps(job_pk)


@shared_task
def look_for_gaps_everywhere() -> None:
    """Every night, from beat."""
    gaps.look_everywhere()


@shared_task
def replay(job_pk: int) -> None:
    with jobs.at_work(job_pk) as job:
        if job is not None:
            replaying.run(job)
