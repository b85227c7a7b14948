"""A job's row while a worker holds it: claimed, kept, parked, tried again, ended.

Every write is refused to whom the job no longer belongs to. The conversation is locked first,
then the job's row: the order is the same everywhere.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

from celery import current_app
from django.db import transaction
from django.db.models import F, Max, Value
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from agents.cleaning import storable
from agents.masking import masked
from agents.subagents import Outcome, Overtaken, Parked, Said, TryAgain
from dialogues.jobs.delegating import announce, send_soon
from dialogues.models import (
    CallLink,
    Control,
    Conversation,
    Speaker,
    SubagentJob,
    SubagentLine,
    SubagentState,
)
from wowconsole.committing import after_commit

LEASE_SECONDS = 15
FIRST_RETRY_SECONDS = 10.0  # doubled each time
NO_TIME = "There was no result in time."


class LostJob(Exception):
    """The job was cancelled, has ended, or another process is at it: stop without a trace."""


@transaction.atomic
def claim(job_pk: int) -> SubagentJob | None:
    """Make a due job ours, or return None. One UPDATE decides between processes.

    Going on after a wait is no new attempt; going on after a dead process is.
    """
    now = timezone.now()
    state = SubagentJob.objects.filter(pk=job_pk).values_list("state", flat=True).first()
    claimed = (
        SubagentJob.objects.due()
        .filter(pk=job_pk, state=state, deadline__gt=now)
        .update(
            state=SubagentState.RUNNING,
            owner=uuid4(),
            leased_until=lease(),
            attempts=F("attempts") + (0 if state == SubagentState.WAITING else 1),
            started_at=Coalesce(F("started_at"), Value(now)),
            due_at=F("deadline"),  # somebody who acts from now on brings it forward: see park
        )
    )
    if claimed and state == SubagentState.QUEUED:
        CallLink.objects.filter(job=job_pk).dial_again()
    parts = ("conversation__scene", "conversation__release__version", "release__version")
    return SubagentJob.objects.select_related(*parts).get(pk=job_pk) if claimed else None


def lease() -> CombinedExpression:
    """Return until when a job belongs to who takes it now, by the database's clock.

    By the clock of a host that is slow, a job that lives would be claimed, and dialled, twice.
    """
    return Now() + timedelta(seconds=LEASE_SECONDS)


def ours(job: SubagentJob) -> SubagentJob:
    """Lock the job's conversation, then its row; the order is the same everywhere.

    Raises:
        LostJob: it is not ours any more.
    """
    Conversation.objects.select_for_update().get(pk=job.conversation_id)
    row = SubagentJob.objects.select_for_update().filter(pk=job.pk, owner=job.owner).first()
    if row is None:
        raise LostJob
    row.conversation = job.conversation
    return row


@transaction.atomic
def keep(
    job: SubagentJob,
    memory: dict[str, Any],
    lines: Sequence[Said],
    progress: str | None,
    tokens: tuple[int, int],
    cost: Decimal = Decimal(0),
    heard: int | None = None,
) -> list[Said]:
    """Store where a job stands and what was said.

    Raises:
        LostJob: it is not ours any more.
        Overtaken: the callee has said more than was `heard`.
    """
    row = ours(job)
    said = row.lines.filter(speaker=Speaker.CALLEE)
    if heard is not None and said.filter(number__gt=heard).exists():
        raise Overtaken
    stored = add_lines(row, lines)
    news = progress is not None and progress != row.progress
    row.memory, row.progress = storable(memory), (progress or row.progress)[:300]
    row.prompt_tokens += tokens[0]
    row.completion_tokens += tokens[1]
    row.cost += cost
    row.leased_until = lease()
    row.save()
    job.memory, job.progress = row.memory, row.progress
    if news:
        announce(row)
    return stored


def add_lines(job: SubagentJob, lines: Sequence[Said], client_id: str | None = None) -> list[Said]:
    """Add lines to a job's transcript. The caller holds the job's lock: it numbers them."""
    last = job.lines.aggregate(last=Max("number"))["last"] or 0
    rows = [
        SubagentLine(
            job=job,
            number=number,
            speaker=Speaker(line.speaker),
            text=masked(str(storable(line.text))),
            data=storable(line.data),
            client_id=client_id,
        )
        for number, line in enumerate(lines, start=last + 1)
    ]
    SubagentLine.objects.bulk_create(rows)
    return [Said(row.speaker, row.text, row.data, row.number) for row in rows]


@transaction.atomic
def park(job: SubagentJob, parked: Parked) -> None:
    """Let the job wait; if somebody acted while we worked, it is taken up again at once."""
    with suppress(LostJob):
        row = ours(job)
        now = timezone.now()
        acted = row.due_at <= now
        row.state, row.owner, row.leased_until = SubagentState.WAITING, None, None
        row.due_at = now if acted else now + timedelta(seconds=max(parked.seconds, 0))
        news = bool(parked.progress) and parked.progress != row.progress
        row.progress = (parked.progress or row.progress)[:300]
        row.save()
        if news:
            announce(row)
        if acted:
            send_soon(row.pk)


@transaction.atomic
def retry(job: SubagentJob, again: TryAgain) -> None:
    """Queue the next attempt, later each time; after the last one the job has failed."""
    if job.attempts >= job.most_attempts:
        end(job, SubagentState.FAILED, error=str(again))
        return
    with suppress(LostJob):
        row = ours(job)
        seconds = FIRST_RETRY_SECONDS * 2 ** (job.attempts - 1)
        wait = timedelta(seconds=seconds if again.seconds is None else again.seconds)
        row.state, row.owner, row.leased_until = SubagentState.QUEUED, None, None
        row.due_at = timezone.now() + wait
        row.progress = f"{again} Trying again soon."[:300]
        row.save()
        announce(row)


@transaction.atomic
def end(
    job: SubagentJob, state: SubagentState, *, outcome: Outcome | None = None, error: str = ""
) -> None:
    """Store how the job ended, tell the chat, and have the agent speak of it, all or nothing."""
    with suppress(LostJob):
        finish(ours(job), state, outcome=outcome, error=error)


def finish(
    row: SubagentJob, state: SubagentState, *, outcome: Outcome | None = None, error: str = ""
) -> None:
    """End a job whose conversation and row the caller has locked."""
    row.state, row.owner, row.leased_until = state, None, None
    row.finished_at, row.error = timezone.now(), error
    row.progress = row.get_state_display()
    row.result = storable(outcome.result) if outcome else {"error": error}
    row.report = storable(outcome.report) if outcome else row.report
    row.save()
    announce(row)
    after_commit(_have_answered, row.conversation_id)


def _have_answered(conversation_pk: int) -> None:
    """Have the agent speak of what came, unless a person has the conversation."""
    conversation = Conversation.objects.get(pk=conversation_pk)
    if conversation.control != Control.HUMAN and not conversation.closed_at:
        current_app.send_task("dialogues.tasks.answer_conversation", [conversation_pk])


@transaction.atomic
def expire(job_pk: int) -> None:
    job = SubagentJob.objects.select_related("conversation").get(pk=job_pk)
    Conversation.objects.select_for_update().get(pk=job.conversation_id)
    row = SubagentJob.objects.late().select_for_update().filter(pk=job_pk).first()
    if row is not None:
        row.conversation = job.conversation
        finish(row, SubagentState.EXPIRED, error=NO_TIME)
