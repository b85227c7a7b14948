"""Doors from the queue into the gerunds of knowledge."""

from celery import shared_task

from knowledge import jobs


@shared_task
def resend_silent_jobs() -> None:
    """Every few seconds, from beat: no job is lost with its worker or its broker."""
    jobs.resend_silent()
