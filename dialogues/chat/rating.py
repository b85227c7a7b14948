"""What customers think of the service: stars for a conversation, a thumb for one message."""

from django.db import transaction

from agents.masking import masked
from dialogues.appending import LONGEST_MESSAGE, append, check_rate, done_lately
from dialogues.models import (
    Conversation,
    Event,
    EventKind,
    Judgement,
    JudgementSource,
    Role,
    Verdict,
)
from wowconsole.errors import Invalid, Refused

# Why a reply was disliked, as chats offer it; customers may use their own words instead.
REASONS = {
    "wrong": "The answer is wrong",
    "unhelpful": "It does not help me",
    "misunderstood": "My question was misunderstood",
    "repeated": "It was said before",
    "rude": "The tone is wrong",
}


def in_words(reason: str) -> str:
    """Return why a reply was disliked: one of REASONS, own words, or both with ": " between."""
    code, colon, own = reason.partition(": ")
    return REASONS.get(code, code) + colon + own


class NothingToRate(Refused):
    code = "no_such_message"
    status = 404


@transaction.atomic
def rate(*, conversation: Conversation, score: int, comment: str = "") -> Event:
    """Store the customer's rating of the conversation, 1 to 5; the last one counts.

    Raises:
        Invalid: the score is no whole number from 1 to 5.
        TooMany: it can't be taken now.
    """
    if type(score) is not int or not 1 <= score <= 5:  # True is an int too
        raise Invalid("Rate with a whole number from 1 to 5.")
    check_rate(done_lately(conversation))
    Conversation.objects.filter(pk=conversation.pk).update(rating=score)
    return append(
        conversation=conversation,
        kind=EventKind.RATING,
        role=Role.CUSTOMER,
        data={"score": score, "comment": masked(comment)[:LONGEST_MESSAGE]},
    )


@transaction.atomic
def give_feedback(*, conversation: Conversation, message: str, value: str, reason: str) -> Event:
    """Store like or dislike of one message of the agent, and a judgement of its turn.

    The same again, from a window that heard no answer, returns the stored event.

    Args:
        reason: one of REASONS, the customer's own words, or both (`in_words`).

    Raises:
        Invalid: neither like nor dislike.
        TooMany: it can't be taken now.
        NothingToRate: the message is not one of the agent's here.
    """
    if value not in {"like", "dislike"}:
        raise Invalid("Feedback is like or dislike.")
    Conversation.objects.select_for_update().get(pk=conversation.pk)  # one at a time
    reason = masked(reason)[:LONGEST_MESSAGE]
    said = {"message": message, "value": value, "reason": reason}
    of_message = conversation.events.filter(kind=EventKind.FEEDBACK, data__message=message)
    if (known := of_message.last()) and known.data == said:
        return known
    check_rate(done_lately(conversation))
    agents = conversation.events.filter(role=Role.AGENT, kind=EventKind.MESSAGE)
    about = next((event for event in agents if str(event.public_id) == message), None)
    if about is None:
        raise NothingToRate("That message is not in this conversation.")
    if about.turn is not None:
        Judgement.objects.create(
            turn=about.turn,
            source=JudgementSource.CUSTOMER,
            verdict=Verdict.GOOD if value == "like" else Verdict.BAD,
            comment=in_words(reason),
        )
    return append(
        conversation=conversation,
        kind=EventKind.FEEDBACK,
        role=Role.CUSTOMER,
        data=said,
    )
