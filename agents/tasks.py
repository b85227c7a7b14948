"""Doors from the queue into the gerunds of agents."""

from celery import shared_task

from agents import listing, settling


@shared_task
def settle_conflicts() -> None:
    """Every half minute, from beat: does nothing where no judge is configured."""
    settling.settle_some()


@shared_task
def list_servers() -> None:
    """Every five minutes, from beat: holds back tools that their servers have changed."""
    listing.list_all()
