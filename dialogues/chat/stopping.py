"""The customer stops an answer: the turn is dropped, unless it has already acted."""

from asgiref.sync import async_to_sync
from django.db import transaction
from django.utils import timezone

from dialogues import events
from dialogues.models import Conversation, Turn, TurnStatus
from wowconsole.committing import after_commit
from wowconsole.errors import Refused

STOPPED = "The customer stopped this answer."


class NothingToStop(Refused):
    code = "nothing_to_stop"


class TooLateToStop(Refused):
    code = "too_late_to_stop"


@transaction.atomic
def stop_answer(*, conversation: Conversation) -> Turn:
    """Drop the answer that is being written. It is taken up again only by a new message.

    Raises:
        NothingToStop: nobody is writing one.
        TooLateToStop: a tool was called; what was done must be told.
    """
    Conversation.objects.select_for_update().get(pk=conversation.pk)  # as everywhere, first
    turn = conversation.turns.filter(status=TurnStatus.RUNNING).first()
    if turn is None:
        raise NothingToStop("No answer is being written.")
    running = Turn.objects.filter(pk=turn.pk, status=TurnStatus.RUNNING, acts=False)
    if not running.update(
        status=TurnStatus.DROPPED, finished_at=timezone.now(), leased_until=None, error=STOPPED
    ):
        raise TooLateToStop("Something was already done for you; the answer will say what.")
    stopped = {"type": "status", "state": "stopped", "detail": "", "turn": str(turn.public_id)}
    after_commit(async_to_sync(events.passing), conversation.public_id, stopped)
    return turn
