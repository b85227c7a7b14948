"""What colleagues write beside a conversation: notes for each other, summaries for the agent."""

from django.contrib.auth.models import User

from dialogues.appending import checked
from dialogues.models import LONGEST_SUMMARY, Conversation, Note
from wowconsole.errors import Invalid


def add_note(*, conversation: Conversation, by: User, text: str) -> Note:
    """Store a note; it is no event, so no customer and no agent can come to read it.

    Raises:
        Invalid: the text is empty or too long.
    """
    return Note.objects.create(conversation=conversation, author=by, text=checked(text))


def checked_summary(text: str) -> str:
    """Return a summary of what a person did as it is stored.

    Raises:
        Invalid: it is empty, or longer than what the agent is shown.
    """
    text = checked(text.replace("\r\n", "\n"))  # browsers count a line break as one, and send two
    if len(text) > LONGEST_SUMMARY:
        raise Invalid(f"A summary has at most {LONGEST_SUMMARY} characters.")
    return text
