"""Running long work: claimed by one process, told of in its row, cancelled on request.

A task reads

    with jobs.at_work(job_pk) as job:
        if job is None:  # gone, finished, or another process is at it
            return
        for number, item in enumerate(items[job.done:], start=job.done + 1):
            ...
            jobs.advance(job, done=number)

and may be delivered twice or begin in the middle.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from celery import current_app
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from knowledge.models import Job, JobState
from wowconsole.committing import after_commit
from wowconsole.errors import Refused

logger = logging.getLogger(__name__)

LEASE_SECONDS = 60  # a process that says nothing for so long is taken for dead
SILENT = "The work broke off on a fault of ours, which is logged. Start it again."


class Cancelled(Exception):
    """Somebody asked for the job to end; raised by `advance`, between two pieces of work."""


class LostLease(Exception):
    """Another process has taken the job over; this one must stop without a trace."""


def start(*, task: str, title: str, by: User, total: int = 0) -> Job:
    """Store a job and have a worker do it once the transaction has committed.

    Args:
        task: name of the Celery task, called with the job's key.
    """
    job = Job.objects.create(task=task, title=title[:200], by=by, total=total)
    after_commit(send, job)
    return job


def send(job: Job, *, expires: float | None = None) -> None:
    """Put the job's task on the queue; a repeated delivery does no harm.

    Args:
        expires: seconds after which it is not worth delivering any more.
    """
    current_app.send_task(job.task, [job.pk], expires=expires)


def cancel(job: Job) -> None:
    """Ask for the job to end: at once if nobody has taken it up, else at its next step."""
    now = timezone.now()
    waiting = Job.objects.filter(pk=job.pk, state=JobState.QUEUED)
    if not waiting.update(state=JobState.CANCELLED, finished_at=now, cancel_requested=True):
        Job.objects.filter(pk=job.pk, state=JobState.RUNNING).update(cancel_requested=True)


def advance(job: Job, *, done: int, total: int | None = None, note: str = "") -> None:
    """Say how far the work is, and keep the lease.

    Raises:
        Cancelled: somebody asked for it.
        LostLease: another process is at it.
    """
    job.done, job.note = done, note[:300]
    job.total = job.total if total is None else total
    lease = timezone.now() + timedelta(seconds=LEASE_SECONDS)
    ours = Job.objects.filter(pk=job.pk, state=JobState.RUNNING, leased_until=job.leased_until)
    if not ours.update(done=done, total=job.total, note=job.note, leased_until=lease):
        raise LostLease
    job.leased_until = lease
    if Job.objects.filter(pk=job.pk, cancel_requested=True).exists():
        raise Cancelled


@contextmanager
def step(job: Job, *, done: int, note: str = "") -> Iterator[None]:
    """Store a piece of work and how far it brings the job in one transaction.

    So whoever takes over neither repeats nor leaves out a piece. A wish to cancel is heard
    after the commit; raises as `advance`.
    """
    cancelled: Cancelled | None = None
    with transaction.atomic():
        yield
        try:
            advance(job, done=done, note=note)
        except Cancelled as wish:
            cancelled = wish
    if cancelled:
        raise cancelled


@contextmanager
def at_work(job_pk: int) -> Iterator[Job | None]:
    """Claim a job for the length of the block and store how it ended. None: not ours to do."""
    job = _claim(job_pk)
    try:
        yield job
    except Cancelled:
        _finish(job, JobState.CANCELLED)
    except LostLease:
        logger.warning("job %s was taken over", job_pk)
    except Refused as refused:
        _finish(job, JobState.FAILED, str(refused))
    except Exception:  # the worker's outermost frame
        logger.exception("job %s failed", job_pk)
        _finish(job, JobState.FAILED, SILENT)
    else:
        _finish(job, JobState.DONE)


def resend_silent() -> None:
    """Send again what no process works on; from beat."""
    for job in Job.objects.silent().exclude(created_at__gt=_ago(LEASE_SECONDS / 4)):
        send(job, expires=LEASE_SECONDS / 2)  # busy workers get few copies


def _claim(job_pk: int) -> Job | None:
    now = timezone.now()
    free = Q(state=JobState.QUEUED) | Q(state=JobState.RUNNING, leased_until__lt=now)
    lease = now + timedelta(seconds=LEASE_SECONDS)
    claimed = Job.objects.filter(free, pk=job_pk).update(state=JobState.RUNNING, leased_until=lease)
    return Job.objects.select_related("by").get(pk=job_pk) if claimed else None


def _finish(job: Job | None, state: JobState, error: str = "") -> None:
    if job is None:
        return
    ours = Job.objects.filter(pk=job.pk, state=JobState.RUNNING, leased_until=job.leased_until)
    done = F("total") if state == JobState.DONE else F("done")
    ours.update(state=state, error=error, done=done, finished_at=timezone.now(), leased_until=None)


def _ago(seconds: float) -> datetime:
    return timezone.now() - timedelta(seconds=seconds)
