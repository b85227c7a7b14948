"""A revision's way to customers: asked for, approved by somebody else, published in time.

Low and medium risk need no second person: their submission is a date. What was submitted is
one revision; a later edit neither changes it nor goes along.
"""

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from knowledge import publishing
from knowledge.indexing import EmbeddingUnavailable
from knowledge.models import (
    OPEN_SUBMISSION,
    KnowledgeUnit,
    Submission,
    SubmissionQuerySet,
    SubmissionState,
    UnitStatus,
)
from wowconsole.errors import Invalid, Refused
from wowconsole.roles import AnyUser, can

logger = logging.getLogger(__name__)

LONGEST_COMMENT = 1000
DUE_AT_ONCE = 50  # submissions per round of beat
GIVE_UP_AFTER = timedelta(hours=1)  # of an embedder that fails; then a person must look
BROKE_OFF = "It broke off on a fault of ours, which is logged."


class SubmissionClosed(Refused):
    code = "submission_closed"


class SubmissionOpen(Refused):
    code = "submission_open"


class NothingToPublish(Refused):
    code = "nothing_to_publish"


def submit(
    *,
    unit: KnowledgeUnit,
    by: User,
    seen: int,
    publish_at: datetime | None = None,
    comment: str = "",
) -> Submission:
    """Ask for the latest revision to be published, at once or at a time.

    A high-risk rule then waits for an approver; any other is scheduled, or published now.

    Args:
        seen: number of the revision that the one who asks has read.

    Raises:
        StaleEdit: somebody saved another revision since.
        SubmissionOpen: the unit has one already.
        NothingToPublish: it is live as it stands.
        Refused: as `publish_unit`, where no approval is needed.
    """
    now = timezone.now()
    if publish_at and publish_at <= now:
        raise Invalid("That moment is over. Choose a later one, or none to publish at once.")
    with transaction.atomic():
        submission = _opened(unit, by, seen, publish_at, _text(comment))
    if submission.state == SubmissionState.SCHEDULED and publish_at is None:
        publish(submission)
    return _fresh(submission)


def publish_or_submit(
    *, unit: KnowledgeUnit, by: User, seen: int, publish_at: datetime | None, comment: str
) -> Submission | None:
    """Publish the latest revision if `by` may at once; else schedule it, or ask for approval.

    Return the submission where there is one; raises as `submit` and `publish_unit`.
    """
    refusal = publishing.why_not_publish(unit, by)
    if publish_at is None and not isinstance(refusal, publishing.ApprovalNeeded):
        publishing.publish_unit(unit=unit, by=by, seen=seen)
        return None
    return submit(unit=unit, by=by, seen=seen, publish_at=publish_at, comment=comment)


def approve(*, submission: Submission, by: User, at_once: bool = False) -> Submission:
    """Say yes: it goes live at the time that was asked for, or now.

    Raises:
        ApprovalNeeded: `by` wrote it, submitted it, or is no approver.
        SubmissionClosed: somebody decided already.
        Refused: as `publish_unit`.
    """
    if refusal := why_not_approve(submission, by):
        raise refusal
    now = timezone.now()
    is_due = at_once or submission.publish_at is None or submission.publish_at <= now
    _decide(
        submission,
        SubmissionState.SCHEDULED,
        by,
        publish_at=now if is_due else submission.publish_at,
    )
    if is_due:
        publish(submission)
    return _fresh(submission)


def why_not_approve(submission: Submission, by: User) -> Refused | None:
    """Return what keeps `by` from saying yes, if anything does."""
    if submission.state != SubmissionState.WAITING:
        return SubmissionClosed(f"This was decided meanwhile: {_said(submission)}.")
    if not can(by, "knowledge.approve"):
        return publishing.ApprovalNeeded("Only an approver decides on a high-risk rule.")
    if by.pk in (submission.by_id, submission.revision.author_id):
        return publishing.ApprovalNeeded(
            "You wrote or submitted this rule. Another approver must read it."
        )
    return publishing.why_not_publish(submission.unit, by, submission.revision)


def may_decide(submission: Submission, by: User) -> bool:
    """Say whether it waits for `by`; a contradiction may still stand in the way."""
    own = by.pk in (submission.by_id, submission.revision.author_id)
    is_waiting = submission.state == SubmissionState.WAITING
    return is_waiting and not own and can(by, "knowledge.approve")


def reject(*, submission: Submission, by: User, reason: str) -> Submission:
    """Send it back to its author with the reason; raises as `approve`, or Invalid."""
    if not can(by, "knowledge.approve"):
        raise publishing.ApprovalNeeded("Only an approver decides on a high-risk rule.")
    if not _text(reason):
        raise Invalid("Say what is to be changed, so that the author can do it.")
    _decide(submission, SubmissionState.REJECTED, by, decision=_text(reason))
    return _fresh(submission)


def withdraw(*, submission: Submission, by: User) -> Submission:
    """Take it back before it is live; its submitter, its author and approvers may.

    Raises:
        Refused: somebody else asks.
        SubmissionClosed: it is over already.
    """
    if not may_withdraw(submission, by):
        raise Refused("Only who wrote or submitted it, or an approver, takes it back.")
    still_open = Submission.objects.filter(pk=submission.pk, state__in=OPEN_SUBMISSION)
    if not still_open.update(state=SubmissionState.WITHDRAWN):
        raise SubmissionClosed(f"This was decided meanwhile: {_said(_fresh(submission))}.")
    return _fresh(submission)


def may_withdraw(submission: Submission, by: User) -> bool:
    own = by.pk in (submission.by_id, submission.revision.author_id)
    return submission.state in OPEN_SUBMISSION and (own or can(by, "knowledge.approve"))


def waiting_for(user: AnyUser) -> SubmissionQuerySet:
    """Keep what this user could decide upon."""
    waiting = Submission.objects.visible_to(user).filter(state=SubmissionState.WAITING)
    if not can(user, "knowledge.approve"):
        return waiting.none()
    return waiting.exclude(by=user.pk).exclude(revision__author=user.pk)


def publish(submission: Submission) -> None:
    """Publish what is scheduled and due; safe to call twice.

    Raises:
        Refused: it could not be; the submission says why. Where the embedding model failed
            it stays scheduled, to be tried again.
    """
    by = submission.decided_by or submission.by
    guard = partial(_still_scheduled, submission.pk)
    try:
        publishing.publish_revision(revision=submission.revision, by=by, guard=guard)
    except SubmissionClosed:  # by beat, in this moment, what was wanted is done
        if _fresh(submission).state != SubmissionState.PUBLISHED:
            raise
    except EmbeddingUnavailable as error:
        _put_off(submission, str(error))
        raise
    except Refused as refusal:
        _note(submission, str(refusal), state=SubmissionState.FAILED)
        raise


def publish_due() -> None:
    """Publish what is due; from beat, every few seconds."""
    rows = Submission.objects.due().select_related("unit", "revision", "by", "decided_by")
    for submission in rows.order_by("publish_at", "pk")[:DUE_AT_ONCE]:
        try:
            publish(submission)
        except Refused as refusal:
            logger.info("submission %s: %s", submission.pk, refusal)
        except Exception:  # the worker's outermost frame: one fault must not stop the others
            logger.exception("submission %s could not be published", submission.pk)
            _put_off(submission, BROKE_OFF)


def _opened(
    unit: KnowledgeUnit, by: User, seen: int, publish_at: datetime | None, comment: str
) -> Submission:
    unit = publishing.locked_unit(unit.pk)
    latest = publishing.latest_of(unit)
    if latest.number != seen:
        raise publishing.StaleEdit("This rule was edited meanwhile. Read the new text first.")
    if unit.live_id == latest.pk:
        raise NothingToPublish("This text is live already.")
    if unit.submissions.filter(state__in=OPEN_SUBMISSION).exists():
        raise SubmissionOpen("A submission of this rule is open. Withdraw it first.")
    needs_approval = publishing.needs_approval(unit, latest)
    refusal = publishing.why_not_publish(unit, by)
    # What an approver will look at may still need them; an archived rule needs its author.
    if refusal and (unit.status == UnitStatus.ARCHIVED or not needs_approval):
        raise refusal
    return Submission.objects.create(
        unit=unit,
        revision=latest,
        state=SubmissionState.WAITING if needs_approval else SubmissionState.SCHEDULED,
        publish_at=publish_at if needs_approval or publish_at else timezone.now(),
        comment=comment,
        by=by,
    )


def _text(text: str) -> str:
    clean = text.replace("\r\n", "\n").strip()
    if len(clean) > LONGEST_COMMENT or "\0" in clean:
        raise Invalid(f"At most {LONGEST_COMMENT} characters, none of them NUL.")
    return clean


def _decide(
    submission: Submission,
    state: SubmissionState,
    by: User,
    *,
    decision: str = "",
    publish_at: datetime | None = None,
) -> None:
    """Of two who decide at once, the second is told what the first decided."""
    waiting = Submission.objects.filter(pk=submission.pk, state=SubmissionState.WAITING)
    now = timezone.now()
    changed = waiting.update(
        state=state,
        decided_by=by,
        decided_at=now,
        decision=decision,
        publish_at=publish_at or submission.publish_at,
    )
    if not changed:
        raise SubmissionClosed(f"This was decided meanwhile: {_said(_fresh(submission))}.")
    submission.decided_by = by
    submission.publish_at = publish_at or submission.publish_at


def _still_scheduled(pk: int, locked: Mapping[int, KnowledgeUnit]) -> None:
    found = Submission.objects.select_for_update().filter(pk=pk, state=SubmissionState.SCHEDULED)
    if found.first() is None:
        raise SubmissionClosed("It was taken back or published meanwhile.")


def _put_off(submission: Submission, why: str) -> None:
    since = submission.publish_at or submission.at
    is_over = timezone.now() - since > GIVE_UP_AFTER
    _note(submission, why, state=SubmissionState.FAILED if is_over else SubmissionState.SCHEDULED)


def _note(submission: Submission, why: str, *, state: SubmissionState) -> None:
    scheduled = Submission.objects.filter(pk=submission.pk, state=SubmissionState.SCHEDULED)
    scheduled.update(state=state, decision=why[:LONGEST_COMMENT])


def _said(submission: Submission) -> str:
    return submission.get_state_display().lower()


def _fresh(submission: Submission) -> Submission:
    related = ("unit__scene", "unit__live", "unit__latest", "revision__author", "by", "decided_by")
    return Submission.objects.select_related(*related).get(pk=submission.pk)
