"""Doors from the queue. Runs go to `gpu`, which one job at a time occupies."""

from datetime import timedelta

from celery import shared_task
from django.core.cache import cache
from django.db.models import Q
from django.utils import timezone

from training import evaluating, running
from training.models import LEASE_SECONDS, Run, RunStatus

NEVER_PICKED_UP = timedelta(seconds=60)
ASK_AGAIN_SECONDS = 600  # a queue behind a long run is not filled with the same question


@shared_task
def execute_run(run_pk: int) -> None:
    """Train a run, unless somebody else does; then measure what came of it."""
    if running.execute(run_pk):
        evaluate_run.delay(run_pk)


@shared_task
def evaluate_run(run_pk: int) -> None:
    """Measure a run's model, and what it started from, on the held-out examples."""
    run = Run.objects.filter(pk=run_pk, status=RunStatus.SUCCEEDED).first()
    if run is not None:
        evaluating.evaluate_run(run)


@shared_task
def evaluate_version(version_pk: int, dataset_pk: int, limit: int) -> None:
    evaluating.evaluate_by_pk(version_pk, dataset_pk, limit)


@shared_task
def requeue_silent_runs() -> None:
    """Ask again for runs whose worker fell silent, or whose message was lost."""
    forgotten = Q(status=RunStatus.QUEUED, created_at__lt=timezone.now() - NEVER_PICKED_UP)
    silent = Run.objects.silent()
    for run in Run.objects.filter(forgotten) | silent:
        pause = LEASE_SECONDS if run.status == RunStatus.RUNNING else ASK_AGAIN_SECONDS
        if cache.add(f"training:asked-again:{run.pk}:{run.status}", 1, pause):
            execute_run.delay(run.pk)
