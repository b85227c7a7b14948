"""What the demo's people have at the desk: a survey, and answers that they give often."""

from django.contrib.auth.models import User

from dialogues.chat.surveying import ask_the_usual
from dialogues.models import CannedReply, Survey

CANNED = {
    "hello": "Hello, this is a colleague of the agent. Let me look into it.",
    "number": "Could you give me the order number? It stands in the app under Orders.",
    "thanks": "You are welcome. Is there anything else I can do?",
}


def make_desk(by: User) -> None:
    """Add survey and canned replies, unless there are any."""
    if not Survey.objects.exists():
        ask_the_usual(survey=Survey.objects.create(scene=None))
    if not CannedReply.objects.exists():
        for shortcut, text in CANNED.items():
            CannedReply.objects.create(scene=None, shortcut=shortcut, text=text, updated_by=by)
