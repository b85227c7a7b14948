"""What would have been answered: one turn asked again with one thing changed.

The model reads the rules as they were found then, less one, with another version of one, or
by another release, and what tools had told. No tool is called, and no customer notices.
"""

from dataclasses import replace
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from agents.budgeting import budget_of
from agents.master import TurnContext
from agents.models import Release, live_release
from agents.prompting import Line
from agents.turning import rule_of
from dialogues import answering
from dialogues.history import answer_by
from dialogues.loop.replaying import EngineDown, rehearsed
from dialogues.loop.reviewing import step_action
from dialogues.models import Turn, WhatIf, WhatIfKind
from knowledge import jobs
from knowledge.models import UNFINISHED, Job, Revision
from wowconsole.errors import Invalid, Refused

TASK = "dialogues.tasks.suppose"


class NoRule(Refused):
    code = "rested_on_no_rule"


@transaction.atomic
def suppose(
    *, turn: Turn, by: User, revision: Revision | None = None, release: Release | None = None
) -> WhatIf:
    """Ask a turn again without a rule, with a revision in its place, or by another release.

    Args:
        revision: the very one that was found means: without it. Another one of the same rule
            is read in its place.

    Returns the same what-if while it waits or runs.

    Raises:
        Invalid: nothing is changed, two things are, or the rule was not found for the turn.
        NoRule: the turn was answered in fixed words, whatever the rules say.
    """
    if why := why_no_rule(turn):
        raise NoRule(why)
    if (revision is None) == (release is None):
        raise Invalid("Choose one thing to change: a rule, its version, or the release.")
    kind = WhatIfKind.RELEASE if revision is None else _kind(turn, revision)
    if release is not None and release.pk == turn.release_id:
        raise Invalid("That release gave this answer. Choose another one.")
    same = WhatIf.objects.filter(turn=turn, kind=kind, revision=revision, release=release)
    if known := same.filter(job__state__in=UNFINISHED).select_related("job").first():
        return known
    title = f"What if, turn {turn.public_id}"
    job = jobs.start(task=TASK, title=title, by=by, total=1)
    return WhatIf.objects.create(turn=turn, kind=kind, revision=revision, release=release, job=job)


def why_no_rule(turn: Turn) -> str:
    """Say why no rule and no release had to do with the answer; "" where they had.

    Such words are the same for every release: of a cap, a picture, a fault, or after a no.
    """
    if turn.timings and "search_ms" not in turn.timings:
        return "This answer rested on no rule: none was searched for, and its words are fixed."
    answered = answer_by(turn)
    if answered is not None and not answered[1]:
        return "This answer rested on no rule: the customer said no, so nothing was done."
    return ""


def _kind(turn: Turn, revision: Revision) -> WhatIfKind:
    found = turn.units.filter(unit=revision.unit_id).first()
    if found is None:
        raise Invalid("That rule was not found for this turn, so leaving it out changes nothing.")
    is_same = found.revision_id == revision.pk
    return WhatIfKind.WITHOUT if is_same else WhatIfKind.REVISION


def run(job: Job) -> None:
    """Ask again; called by the worker that holds the job.

    Raises:
        EngineDown: not now.
    """
    parts = ("turn__conversation__scene", "turn__release__version", "release__version", "revision")
    row = WhatIf.objects.select_related(*parts).filter(job=job).first()
    if row is None or row.output:
        return
    jobs.advance(job, done=0, note="Asking the model again")
    context = _context(row)
    shown = _shown(row)[: budget_of(context.release, None).rules]
    near = dict(row.turn.units.values_list("unit_id", "similarity"))
    rules = [rule_of(each, near.get(each.unit_id) or 0.0) for each in shown]
    action = rehearsed(context, rules, _told(row.turn))
    jobs.advance(job, done=1, note="Asked")
    told = [{"unit_id": e.unit_id, "revision_id": e.pk, "title": e.title} for e in shown]
    WhatIf.objects.filter(pk=row.pk).update(output=action.as_dict(), shown=told)


def _shown(row: WhatIf) -> list[Revision]:
    """Return the texts that the model reads, in the order in which they were found."""
    found = [each.revision for each in row.turn.units.select_related("revision")]
    if row.kind == WhatIfKind.WITHOUT:
        return [each for each in found if each.pk != row.revision_id]
    if row.kind == WhatIfKind.REVISION and row.revision is not None:
        changed = row.revision
        return [changed if each.unit_id == changed.unit_id else each for each in found]
    return found


def _context(row: WhatIf) -> TurnContext:
    """Return what the agent knew of the dialogue; nothing can be started from here, nor paid."""
    release = row.release or row.turn.release or live_release(row.turn.conversation.scene)
    if release is None:
        raise EngineDown("No release is live, so nothing can answer. Promote one first.")
    return replace(answering.context_of(row.turn, release), delegate=None, money_left=None)


def _told(turn: Turn) -> list[Line]:
    """Return what tools told in the turn: without it the model would only ask for it again."""
    return [_line(step) for step in turn.steps if step.get("result") is not None]


def _line(step: dict[str, Any]) -> Line:
    action = step_action(step)
    arguments = action.get("arguments") or {}
    return Line("tool", name=action.get("name", ""), arguments=arguments, result=step["result"])
