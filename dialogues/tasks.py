"""Doors from the queue into the gerunds of dialogues."""

from asgiref.sync import async_to_sync
from celery import shared_task

from dialogues import answering, services, settling, supposing
from dialogues.chat import identifying
from dialogues.desk import drafting, leaving, noting, queueing
from dialogues.jobs import trying, undertaking
from dialogues.loop import gaps, replaying
from dialogues.models import Conversation, Turn, TurnStatus
from dialogues.proactive import deciding, promises, receiving
from dialogues.senses import attaching
from knowledge import jobs

OLD_MESSAGES_SECONDS = 600  # from one look at what days left to the next
LONGEST_OUTAGE_DAYS = 7  # after more, an answer would surprise who has long gone elsewhere


@shared_task
def finish_abandoned_turns() -> None:
    """Every few seconds, from beat: answer what a dead process left unanswered.

    What no worker takes up in time expires in the queue: what still waits is sent again.
    """
    pks = Turn.objects.abandoned().values_list("pk", flat=True)
    for turn_pk in [*pks, *Turn.objects.unsettled().values_list("pk", flat=True)]:
        finish_turn.apply_async((turn_pk,), expires=services.LEASE_SECONDS)
    _take_up(days=1, seconds=services.LEASE_SECONDS)


@shared_task
def take_up_old_messages() -> None:
    """Every ten minutes, from beat, since many are looked through: what an outage of days left."""
    _take_up(days=LONGEST_OUTAGE_DAYS, seconds=OLD_MESSAGES_SECONDS)


def _take_up(*, days: int, seconds: float) -> None:
    """Have answered what was left within so many days; what is not begun in time is sent again."""
    waiting = Conversation.objects.unanswered(after_seconds=services.LEASE_SECONDS, days=days)
    for conversation_pk in waiting.values_list("pk", flat=True):
        answer_conversation.apply_async((conversation_pk,), expires=seconds)


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
    if turn.status == TurnStatus.RUNNING:
        await answering.answer_turn(turn)
    else:
        await settling.settle(turn)
    await answering.answer_conversation(turn.conversation_id)


@shared_task
def note_questions() -> None:
    """Every few seconds, from beat: what was asked of late can be found by meaning."""
    noting.note_questions()


@shared_task
def sweep_desk() -> None:
    """Every minute, from beat: what is left by who held it, hours that begin or end."""
    leaving.put_back_what_is_left()
    queueing.tell_of_hours()


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


@shared_task
def draft(job_pk: int) -> None:
    with jobs.at_work(job_pk) as job:
        if job is not None:
            drafting.run(job)


@shared_task
def do_job(job_pk: int) -> None:
    """Do a sub-agent's job as far as it goes now."""
    undertaking.do_job(job_pk)


@shared_task
def try_call(job_pk: int) -> None:
    """Lead a plan's call with somebody simulated."""
    with jobs.at_work(job_pk) as job:
        if job is not None:
            trying.run(job)


@shared_task
def sweep_jobs() -> None:
    """Every few seconds, from beat: jobs of dead workers, jobs out of time."""
    undertaking.sweep()


@shared_task
def sweep_files() -> None:
    """Every few minutes, from beat: what was uploaded and never sent, files without a row."""
    attaching.sweep()


@shared_task
def forget_spent_proofs() -> None:
    """Every hour, from beat."""
    identifying.forget_spent()


@shared_task
def handle_business_event(event_pk: int) -> None:
    """Match an event with the policies; a second delivery finds it handled."""
    receiving.handle(event_pk)


@shared_task
def decide_contact(decision_pk: int) -> None:
    """Decide whether a customer is told, and tell them; a second delivery finds it decided."""
    deciding.decide(decision_pk)


@shared_task
def sweep_proactive() -> None:
    """Every few seconds, from beat: events, decisions and promises that are due."""
    receiving.sweep()
    deciding.sweep()
    promises.sweep()


@shared_task
def suppose(job_pk: int) -> None:
    with jobs.at_work(job_pk) as job:
        if job is not None:
            supposing.run(job)
