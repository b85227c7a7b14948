"""Doors from the queue into the gerunds of agents."""

from celery import shared_task

from agents import settling


@shared_task
def settle_conflicts() -> None:
    """Every half minute, from beat: does nothing where no judge is configured."""
    settling.settle_some()
