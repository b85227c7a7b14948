"""A chat that is asked for again because the answer was lost: a proof may be spent by then, and
the chat in which we spoke first given away. Who asks names the attempt by a secret of their own.
"""

import hashlib
from collections.abc import Callable

from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.utils.crypto import salted_hmac

from dialogues.chat.identifying import IdentitySpent
from dialogues.models import Conversation

SHORTEST, LONGEST = 32, 64  # characters: nobody may guess one

Opened = tuple[Conversation, str]  # with its secret


def once(attempt: str, work: Callable[[str], Opened | None]) -> Opened | None:
    """Open a chat by `work`, which is given its secret; in the same attempt only once.

    The secret follows from the attempt, so that it can be told again and only its SHA-256 is
    stored. Without an attempt `work` makes one.
    """
    if not attempt:
        return work("")
    token = salted_hmac("dialogues.chat.attempts", attempt, algorithm="sha256").hexdigest()
    try:
        return _opened(token) or work(token)
    except (
        IdentitySpent,
        ValidationError,
        IntegrityError,
    ):  # perhaps the first request was under way
        if opened := _opened(token):
            return opened
        raise


def _opened(token: str) -> Opened | None:
    digest = hashlib.sha256(token.encode()).hexdigest()
    conversation = Conversation.objects.filter(token_sha256=digest).first()
    return (conversation, token) if conversation else None
