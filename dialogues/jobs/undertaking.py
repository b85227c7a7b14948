"""Doing the jobs of sub-agents: claimed by one process, kept as they go, ended once.

A worker may be killed at any line: its lease lapses, and another one goes on from what was
kept last. A task that is delivered twice finds nothing to claim.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from asgiref.sync import async_to_sync, sync_to_async
from celery import current_app
from django.db import Error
from django.utils import timezone

from agents import engines
from agents.budgeting import cost_of
from agents.models import Release, live_release
from agents.subagents import REGISTRY, GaveUp, Outcome, Parked, Said, TryAgain
from dialogues.costs import capping
from dialogues.jobs import leasing
from dialogues.jobs.leasing import LostJob
from dialogues.models import SubagentJob, SubagentState
from wowconsole.logs import bind

logger = logging.getLogger(__name__)

BEAT_SECONDS = 2.0  # how soon a worker notices that its job was cancelled
BROKE_OFF = "It broke off on a fault of ours, which is logged."


@dataclass(slots=True)
class JobWork:
    """A claimed job as its sub-agent sees it (agents.subagents.Work)."""

    row: SubagentJob
    lines: list[Said]
    release: Release | None
    customer: str = ""

    @property
    def job(self) -> UUID:
        return self.row.public_id

    @property
    def key(self) -> str:
        return self.row.key

    @property
    def arguments(self) -> dict[str, Any]:
        return dict(self.row.arguments)

    @property
    def memory(self) -> dict[str, Any]:
        return dict(self.row.memory)

    @property
    def attempt(self) -> int:
        return self.row.attempts

    @property
    def most_attempts(self) -> int:
        return self.row.most_attempts

    async def money_left(self) -> Decimal | None:
        return await sync_to_async(capping.money_left)(self.row.conversation)

    async def keep(
        self,
        *,
        memory: dict[str, Any],
        lines: Sequence[Said] = (),
        progress: str | None = None,
        tokens: tuple[int, int] = (0, 0),
        paid: Decimal = Decimal(0),
        heard: int | None = None,
    ) -> None:
        """Store where the work stands, as agents.subagents.Work says.

        Raises:
            LostJob: it is not ours any more.
            Overtaken: the callee has said more than was `heard`.
        """
        cost = paid + (cost_of(self.release.version, *tokens) if self.release else 0)
        keep = sync_to_async(leasing.keep)
        stored = await keep(self.row, memory, lines, progress, tokens, cost, heard)
        self.lines.extend(stored)


def do_job(job_pk: int) -> None:
    """Do a job as far as it goes now; nothing if it is not due, or another process has it."""
    job = leasing.claim(job_pk)
    if job is None:
        return
    bind(conversation=job.conversation.public_id)
    if job.attempts > job.most_attempts:
        error = f"{job.most_attempts} attempts came to nothing."
        leasing.end(job, SubagentState.FAILED, error=error)
        return
    async_to_sync(_do)(job)


async def _do(job: SubagentJob) -> None:
    work = await sync_to_async(_work)(job)
    doing = asyncio.ensure_future(REGISTRY[job.subagent].run(work))
    lease = asyncio.create_task(_keep_lease(job, doing))
    left = (job.deadline - timezone.now()).total_seconds()
    try:
        await asyncio.wait([doing], timeout=left)
        if doing.done():
            await sync_to_async(_complete)(job, await doing)
        else:
            await sync_to_async(leasing.end)(job, SubagentState.EXPIRED, error=leasing.NO_TIME)
    except (LostJob, asyncio.CancelledError):
        logger.info("Job %s is not ours any more", job.public_id)
    except Exception as error:  # noqa: BLE001 (the worker's outermost frame; _broken logs)
        await sync_to_async(_broken)(job, error)
    finally:
        lease.cancel()
        doing.cancel()
        await asyncio.wait([doing, lease])  # it hangs up
        await engines.close()


def _work(job: SubagentJob) -> JobWork:
    lines = [Said(row.speaker, row.text, row.data, row.number) for row in job.lines.all()]
    conversation = job.conversation
    release = job.release or conversation.release or live_release(conversation.scene)
    return JobWork(job, lines, release, conversation.customer_ref)


def _broken(job: SubagentJob, error: Exception) -> None:
    """Store why the work stopped: it waits, is tried again, or has failed."""
    match error:
        case Parked():
            leasing.park(job, error)
        case TryAgain():
            leasing.retry(job, error)
        case GaveUp():
            leasing.end(job, SubagentState.FAILED, error=str(error))
        case _:
            logger.error("Job %s failed", job.public_id, exc_info=error)
            leasing.end(job, SubagentState.FAILED, error=BROKE_OFF)


async def _keep_lease(job: SubagentJob, doing: "asyncio.Future[Outcome]") -> None:
    """Renew the lease while the work runs; stop the work when the job is not ours any more.

    What the database refuses is tried again: until the lease has passed nobody else is at it.
    That is told by this process's own clock, even if the database does not answer at all.
    """
    loop, seconds = asyncio.get_running_loop(), leasing.LEASE_SECONDS
    ours = SubagentJob.objects.filter(pk=job.pk, owner=job.owner)
    end = loop.call_later(seconds, doing.cancel)
    try:
        while True:
            asked = loop.time()
            try:
                if not await ours.aupdate(leased_until=leasing.lease()):
                    doing.cancel()
                    return
            except Error:
                logger.warning("The lease of job %s can't be renewed; trying again", job.public_id)
            else:
                end.cancel()
                end = loop.call_at(asked + seconds, doing.cancel)
            await asyncio.sleep(BEAT_SECONDS)
    finally:
        end.cancel()


def _complete(job: SubagentJob, outcome: Outcome) -> None:
    subagent = REGISTRY[job.subagent]
    if wrong := subagent.wrong_result(outcome.result):
        logger.error("Result of job %s breaks its schema: %s", job.public_id, wrong)
        leasing.end(job, SubagentState.FAILED, error=BROKE_OFF)
        return
    leasing.end(job, SubagentState.DONE, outcome=outcome)


def sweep() -> None:
    """Take up what lies idle and end what is out of time; from beat, every few seconds."""
    for job_pk in SubagentJob.objects.late().values_list("pk", flat=True):
        leasing.expire(job_pk)
    for job_pk in SubagentJob.objects.due().values_list("pk", flat=True):
        current_app.send_task("dialogues.tasks.do_job", [job_pk], expires=leasing.LEASE_SECONDS)
