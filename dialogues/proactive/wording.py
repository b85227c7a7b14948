"""Having the agent say news in its own words, without changing what they say."""

import re

from asgiref.sync import async_to_sync

from agents import engines, master
from agents.actions import REPLY
from agents.master import TurnContext
from agents.models import Release, live_release
from agents.prompting import LINES_SHOWN, Line
from dialogues.history import as_line
from dialogues.models import Conversation, EventKind, ProactiveDecision, Wording

FIGURE = re.compile(r"[A-Za-z]*\d[\w.,:]*\w|\d")
LONGEST = 600  # characters


def word(decision: ProactiveDecision, conversation: Conversation | None, plain: str) -> str:
    """Return the message as it is to be said: `plain`, or the agent's words for it.

    The agent's words are taken only if they hold the very figures of `plain`; without an
    engine it is said as written.
    """
    if decision.version.wording != Wording.AGENT:
        return plain
    release = conversation.release if conversation else None
    release = release or live_release(conversation.scene if conversation else None)
    if release is None:
        return plain
    said = async_to_sync(_said)(_context(decision, release, conversation, plain))
    kept = set(FIGURE.findall(said)) == set(FIGURE.findall(plain))
    return said if kept and 0 < len(said) <= LONGEST else plain


def _context(
    decision: ProactiveDecision,
    release: Release,
    conversation: Conversation | None,
    plain: str,
) -> TurnContext:
    lines: list[Line] = []
    if conversation is not None:
        said = conversation.events.filter(kind=EventKind.MESSAGE).order_by("-seq")
        lines = [as_line(event) for event in reversed(said[: LINES_SHOWN - 2])]
    lines.append(Line("tool", name="news", result={"tell_the_customer": plain}))
    scene = conversation.scene if conversation else decision.event.scene
    return TurnContext(str(decision.public_id), release, scene, lines)


async def _said(context: TurnContext) -> str:
    try:
        action = await master.rehearse(context, [])
    except engines.EngineUnavailable:
        return ""
    finally:
        await engines.close()
    return action.reply.strip() if action.name == REPLY else ""
