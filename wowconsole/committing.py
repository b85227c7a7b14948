"""What is done once a transaction has committed: tasks are sent, windows are told.

What was stored is stored by then, so whoever asked for it hears that it went well: a fault in
what follows is logged, never raised. Sweeps of beat make up for what failed.
"""

from collections.abc import Callable
from typing import ParamSpec

from celery import current_app
from django.db import transaction

Given = ParamSpec("Given")


def after_commit(do: Callable[Given, object], *args: Given.args, **named: Given.kwargs) -> None:
    """Call `do` after the commit; what it raises is logged, and what else waits goes on."""

    def call() -> None:  # no partial: Django logs a fault by the function's name
        do(*args, **named)

    transaction.on_commit(call, robust=True)


def send_after_commit(task: str, *args: int) -> None:
    """Put a task on the queue after the commit, by its name.

    Only for what a sweep finds in the rows and sends again: the broker may be away.
    """
    after_commit(current_app.send_task, task, args)
