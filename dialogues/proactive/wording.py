"""Having the agent say news in its own words, without changing what they say."""

from collections.abc import Sequence
from decimal import Decimal

from asgiref.sync import async_to_sync
from django.db.models import F

from agents import engines, rehearsing
from agents.actions import REPLY
from agents.happenings import Step, TurnContext
from agents.models import Release, live_release
from agents.promising import unbacked
from agents.prompting import LINES_SHOWN, Line
from agents.sources import Grounds, source
from dialogues.costs import capping
from dialogues.history import as_line
from dialogues.models import Conversation, EventKind, ProactiveDecision, Wording
from dialogues.proactive.keeping import keeps_to

LONGEST = 600  # characters


def word(decision: ProactiveDecision, conversation: Conversation | None, plain: str) -> str:
    """Return the message as it is to be said: `plain`, or the agent's words for it.

    The agent's words are taken only if they say what `plain` does; without an engine, or above a
    cap, it is said as written. What they cost is added to the decision, said or not.
    """
    if decision.version.wording != Wording.AGENT:
        return plain
    release = conversation.release if conversation else None
    release = release or live_release(conversation.scene if conversation else None)
    left = capping.money_left(conversation)
    if release is None or (left is not None and left <= 0):
        return plain
    steps: list[Step] = []
    said = async_to_sync(_said)(_context(decision, release, conversation, plain, left), steps)
    _add_cost(decision, steps)
    return said if may_be_said(plain, said) else plain


def may_be_said(plain: str, said: str) -> bool:
    """Say whether words tell what `plain` does, and promise no more."""
    is_fit = 0 < len(said) <= LONGEST and keeps_to(plain, said)
    return is_fit and not unbacked(said, Grounds([source(plain)]))


def _add_cost(decision: ProactiveDecision, steps: Sequence[Step]) -> None:
    ProactiveDecision.objects.filter(pk=decision.pk).update(
        prompt_tokens=F("prompt_tokens") + sum(step.prompt_tokens for step in steps),
        completion_tokens=F("completion_tokens") + sum(step.completion_tokens for step in steps),
        cost=F("cost") + sum((Decimal(str(step.cost)) for step in steps), Decimal(0)),
    )


def _context(
    decision: ProactiveDecision,
    release: Release,
    conversation: Conversation | None,
    plain: str,
    money_left: Decimal | None,
) -> TurnContext:
    lines: list[Line] = []
    if conversation is not None:
        said = conversation.events.filter(kind=EventKind.MESSAGE).order_by("-seq")
        lines = [as_line(event) for event in reversed(said[: LINES_SHOWN - 2])]
    lines.append(Line("tool", name="news", result={"tell_the_customer": plain}))
    scene = conversation.scene if conversation else decision.event.scene
    return TurnContext(str(decision.public_id), release, scene, lines, money_left=money_left)


async def _said(context: TurnContext, steps: list[Step]) -> str:
    try:
        action = await rehearsing.rehearse(context, [], steps=steps)
    except engines.EngineUnavailable:
        return ""
    finally:
        await engines.close()
    return action.reply.strip() if action.name == REPLY else ""
