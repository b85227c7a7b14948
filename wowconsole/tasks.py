"""Doors from the queue into the frame itself."""

from celery import shared_task

from wowconsole import idempotency


@shared_task
def forget_old_requests() -> None:
    """Each hour, from beat."""
    idempotency.forget_old()
