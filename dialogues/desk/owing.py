"""What the agent owes an answer when people let go of a conversation."""

from django.db.models import Q

from dialogues.models import (
    BY_PERSON,
    Conversation,
    EventKind,
    Role,
    TurnStatus,
    brings_news,
)
from wowconsole.committing import send_after_commit


def owed(conversation: Conversation, *, after: int = 0) -> dict[str, bool]:
    """Return what a change of control says of it, where news still waits for an answer.

    What the customer wrote last, or a job brought, was silenced by a person, or came while one
    had control, and none has answered it since. Not what the customer stopped, and nothing up to
    the event `after`. The caller holds the conversation's lock.
    """
    news = conversation.events.filter(brings_news(), seq__gt=after).last()
    if news is None:
        return {}
    said = Q(kind=EventKind.MESSAGE, role=Role.AGENT, turn__asked_seq__gte=news.seq)
    dealt_with = said | Q(BY_PERSON, seq__gt=news.seq)
    stopped = conversation.turns.filter(status=TurnStatus.DROPPED, asked_seq__gte=news.seq)
    if conversation.events.filter(dealt_with).exists() or stopped.exists():
        return {}
    send_after_commit("dialogues.tasks.answer_conversation", conversation.pk)
    return {"owes": True}
