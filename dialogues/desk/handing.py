"""What colleagues hand to the customer besides text, and that they are writing."""

from typing import Any

from django.contrib.auth.models import User
from django.core.files.uploadedfile import UploadedFile

from dialogues.chat import frames, writing
from dialogues.desk.holding import check_holds
from dialogues.models import Attachment, Conversation, Role
from dialogues.senses import attaching


def upload(
    *, conversation: Conversation, by: User, file: "UploadedFile[Any] | None", description: str = ""
) -> Attachment:
    """Keep a file for the customer, to be sent with an answer.

    Raises:
        ConversationClosed, HeldByOther, NotHeld: `by` doesn't hold the conversation.
        Invalid, UnknownKind, TooLarge, TooMany: it is nothing that is taken.
    """
    check_holds(conversation, by)
    content = attaching.content_of(file)
    name = (file.name if file else "") or ""
    return attaching.upload(
        conversation=conversation, name=name, content=content, by=by, description=description
    )


def note_writing(*, conversation: Conversation, by: User) -> None:
    """Show the customer, for some seconds, that the person they talk to writes.

    Of others it is not told, nor where the conversation has ended.

    Raises:
        TooMany: more often than a window does.
    """
    frames.spend(conversation.pk, "staff_typing")
    held = conversation.handovers.open().filter(holder=by)
    if not conversation.closed_at and held.exists():
        writing.note_sync(conversation.public_id, Role.STAFF)
