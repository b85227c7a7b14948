"""Judging turns: verdicts are history, the case is how a turn is classed now."""

from collections.abc import Sequence
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from agents.actions import BUILT_IN, REPLY, DialogueAction, UnreadableAction, read_action
from dialogues.models import (
    Case,
    IssueType,
    Judgement,
    JudgementSource,
    Turn,
    TurnStatus,
    Verdict,
)
from wowconsole.errors import Invalid, Refused


class TurnRunning(Refused):
    code = "turn_running"


class UnknownIssue(Invalid):
    code = "unknown_issue"


class NothingWrong(Invalid):
    code = "good_reply_has_no_fault"


class RewriteEmpty(Invalid):
    code = "rewrite_empty"


class RewriteUnchanged(Invalid):
    code = "rewrite_unchanged"


class RewriteUnfounded(Invalid):
    code = "rewrite_unfounded"


@transaction.atomic
def judge_turn(
    *,
    turn: Turn,
    by: User | None,
    source: str,
    verdict: str,
    issue_types: Sequence[str] = (),
    rewrite: dict[str, Any] | None = None,
    comment: str = "",
) -> Judgement:
    """Add a verdict on a turn and class the turn by it.

    `rewrite` is a whole dialogue action, or empty for none. What a reviewer decided is
    changed by reviewers only: a verdict from elsewhere is then added to the history alone.

    Raises:
        TurnRunning: its reply is still being written.
        UnknownIssue, NothingWrong, RewriteEmpty, RewriteUnchanged, RewriteUnfounded:
            the verdict does not fit the turn or itself.
        ValidationError: a field does not hold, such as a bad reply without an issue.
    """
    turn = Turn.objects.select_for_update().get(pk=turn.pk)
    if turn.status == TurnStatus.RUNNING:
        raise TurnRunning("This reply is still being written. Judge it when it is done.")
    judgement = Judgement(
        turn=turn,
        author=by,
        source=source,
        verdict=verdict,
        issue_types=known_issues(issue_types),
        rewrite=checked_rewrite(turn, rewrite) if rewrite else {},
        comment=comment,
    )
    if verdict == Verdict.GOOD and (judgement.issue_types or judgement.rewrite):
        raise NothingWrong("A good reply has neither issues nor a rewrite.")
    # The author may be null, but not left out by a form: Django's check knows no difference.
    judgement.full_clean(exclude=["author"])
    settled = _is_settled(turn)
    judgement.save()
    if source == JudgementSource.REVIEWER or not settled:
        _class_turn(turn, judgement)
    return judgement


def known_issues(names: Sequence[str]) -> list[str]:
    """Return the issue types once each, in their fixed order.

    Raises:
        UnknownIssue: a name is none of the eight.
    """
    if unknown := sorted(set(names) - set(IssueType.values)):
        raise UnknownIssue(f"Unknown issue type: {', '.join(unknown)}.")
    return [name for name in IssueType.values if name in names]


def _is_settled(turn: Turn) -> bool:
    return turn.judgements.filter(source=JudgementSource.REVIEWER).exists()


def _class_turn(turn: Turn, judgement: Judgement) -> None:
    # The lock on the turn's row keeps two judges from creating the case twice.
    Case.objects.update_or_create(
        turn=turn,
        defaults={
            "label": judgement.verdict,
            "issue_types": judgement.issue_types,
            "rewrite": judgement.rewrite,
            "updated_at": timezone.now(),
        },
    )


def spoken_action(turn: Turn) -> DialogueAction:
    """Return what the turn said; a failed turn said nothing."""
    try:
        return read_action(turn.output)
    except UnreadableAction:
        return DialogueAction(name=REPLY, reply="")


def build_rewrite(
    turn: Turn,
    *,
    reply: str,
    knowledge: Sequence[int] | None = None,
    action: str = "",
) -> dict[str, Any]:
    """Put what a person changed on top of what the turn said.

    `knowledge` None keeps the cited rules, `action` "" keeps the action and its
    arguments; another action is one of the built-in ones and takes none. Nothing changed
    gives {}.
    """
    spoken = spoken_action(turn)
    keeps_action = action in ("", spoken.name)
    rewritten = DialogueAction(
        thought=spoken.thought,
        knowledge=spoken.knowledge if knowledge is None else list(knowledge),
        name=spoken.name if keeps_action else action,
        arguments=spoken.arguments if keeps_action else {},
        reply="\n".join(reply.strip().splitlines()),  # browsers send CRLF
    )
    return {} if _same(rewritten, spoken) else rewritten.as_dict()


def checked_rewrite(turn: Turn, rewrite: dict[str, Any]) -> dict[str, Any]:
    """Return the rewrite with nothing in it but the parts of a dialogue action.

    Raises:
        RewriteEmpty: it is not a dialogue action, or says nothing.
        RewriteUnchanged: it equals what was said.
        RewriteUnfounded: it cites a rule that the turn did not find, or acts otherwise
            than the turn could have.
    """
    try:
        wanted = read_action(rewrite)
    except UnreadableAction as error:
        raise RewriteEmpty(f"The rewrite is unreadable. {error}") from None
    if not wanted.reply.strip():
        raise RewriteEmpty("A rewrite needs a reply.")
    spoken = spoken_action(turn)
    if _same(wanted, spoken):
        raise RewriteUnchanged("The rewrite equals what was said.")
    if not _is_founded(turn, wanted, spoken):
        raise RewriteUnfounded("Cite rules that this turn found, and keep to its actions.")
    return wanted.as_dict()


def _same(one: DialogueAction, other: DialogueAction) -> bool:
    """Compare what was decided and said; spaces and the thought make no difference."""
    return _decided(one) == _decided(other)


def _decided(action: DialogueAction) -> tuple[object, ...]:
    return action.knowledge, action.name, action.arguments, action.reply.split()


def _is_founded(turn: Turn, wanted: DialogueAction, spoken: DialogueAction) -> bool:
    found = set(turn.units.values_list("unit_id", flat=True)) | set(spoken.knowledge)
    called = {spoken.name} | {step_action(step).get("name") for step in turn.steps}
    return set(wanted.knowledge) <= found and wanted.name in {*BUILT_IN, *called, *_tools(turn)}


def _tools(turn: Turn) -> set[str]:
    return set(turn.release.tools) if turn.release else set()


def step_action(step: dict[str, Any]) -> dict[str, Any]:
    """Return {"name", "arguments"} of a stored step, {} where the engine wrote none."""
    action: dict[str, Any] = step.get("action") or {}
    inner = action.get("action")  # a whole dialogue action holds it one level down
    return inner if isinstance(inner, dict) else action
