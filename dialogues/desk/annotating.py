"""Notes that colleagues leave each other beside a conversation."""

from django.contrib.auth.models import User

from dialogues.appending import checked
from dialogues.models import Conversation, Note


def add_note(*, conversation: Conversation, by: User, text: str) -> Note:
    """Store a note; it is no event, so no customer and no agent can come to read it.

    Raises:
        Invalid: the text is empty or too long.
    """
    return Note.objects.create(conversation=conversation, author=by, text=checked(text))
