"""What a saved rule says twice, or the other way round, beside the rules of its scene.

Found right after saving (`check_soon`), or for many in the background (`check_later`). A
fault in here never loses what was saved: the check runs after the commit.
"""

from collections.abc import Sequence
from datetime import datetime

from celery import current_app
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from knowledge import jobs
from knowledge.comparing import Finding, Rule, compare
from knowledge.models import (
    UNFINISHED,
    Conflict,
    ConflictKind,
    ConflictState,
    Job,
    Revision,
    UnitStatus,
)
from knowledge.models import KnowledgeUnit as Unit
from knowledge.publishing import latest_of
from knowledge.resembling import resembling
from wowconsole.committing import after_commit
from wowconsole.errors import Invalid, Refused
from wowconsole.roles import can

# What is stored of one check: beyond that, nobody reads on.
MOST = {"contradiction": 10, "duplicate": 5, "overlap": 3}
OPEN = (ConflictState.SUSPECTED, ConflictState.PROVEN)
CHECK_TASK = "knowledge.tasks.check_units"
BASE_TASK = "knowledge.tasks.check_base"
UNITS_PER_TASK = 100
FINDING_LENGTH = 300  # of what is said of a finding
LONGEST_REASON = 500  # of an override


class NotToOverride(Refused):
    code = "not_to_override"


class AlreadyDecided(Refused):
    code = "already_decided"


class ApproverNeeded(Refused):
    code = "approver_needed"
    status = 403


def check_soon(unit: Unit) -> None:
    """Check the unit's latest revision once it is stored; a fault is logged, not raised."""
    after_commit(check, latest_of(unit))


def check_later(unit_pks: Sequence[int]) -> None:
    """Have workers check the latest texts of many rules, as after an import."""

    def send() -> None:
        for start in range(0, len(unit_pks), UNITS_PER_TASK):
            current_app.send_task(CHECK_TASK, [list(unit_pks[start : start + UNITS_PER_TASK])])

    after_commit(send)


def check(revision: Revision) -> list[Conflict]:
    """Store what is between a revision and the rules of its scene, and close what is over.

    Does nothing to a revision that is not the latest any more, or of an archived rule.
    Running it again adds nothing. Returns what is open now.
    """
    unit = Unit.objects.select_related("latest").get(pk=revision.unit_id)
    _close_outdated(unit)
    if unit.latest_id != revision.pk or unit.status == UnitStatus.ARCHIVED:
        return []
    revision.unit = unit
    rows = _compared(revision)
    for kind, most in MOST.items():
        of_kind = [(finding, other) for finding, other in rows if finding.kind == kind]
        for finding, other in of_kind[:most]:
            _keep(revision, other, finding)
    return list(open_of(unit))


def check_units(unit_pks: Sequence[int]) -> None:
    """Check the latest texts of many rules; those that are gone are passed over."""
    for unit in Unit.objects.filter(pk__in=unit_pks).select_related("latest").order_by("pk"):
        check(latest_of(unit))


def check_base(job: Job) -> None:
    """Check every rule of the scenes of the one who asked, going on from `job.done`."""
    units = Unit.objects.visible_to(job.by).select_related("latest").order_by("pk")
    total = units.count()
    found = Conflict.objects.visible_to(job.by)
    for number, unit in enumerate(units[job.done :], start=job.done + 1):
        check(latest_of(unit))
        open_now = f"{current(found).count()} open conflicts"
        jobs.advance(job, done=number, total=total, note=open_now)


def is_checking(by: User) -> bool:
    return Job.objects.filter(task=BASE_TASK, by=by, state__in=UNFINISHED).exists()


def current(conflicts: QuerySet[Conflict]) -> QuerySet[Conflict]:
    """Keep what is open between texts that are the latest or live of rules not archived."""
    left = Q(left__unit__latest=F("left")) | Q(left__unit__live=F("left"))
    right = Q(right__unit__latest=F("right")) | Q(right__unit__live=F("right"))
    archived = Q(left__unit__status=UnitStatus.ARCHIVED)
    archived |= Q(right__unit__status=UnitStatus.ARCHIVED)
    return conflicts.filter(left, right, state__in=OPEN).exclude(archived)


def open_of(unit: Unit) -> QuerySet[Conflict]:
    """Return what is open between a rule's texts and others, contradictions first."""
    ours = Conflict.objects.filter(Q(left__unit=unit) | Q(right__unit=unit))
    return current(ours).order_by("kind", "state", "-similarity", "-pk")


@transaction.atomic
def dismiss(*, conflict: Conflict, by: User) -> Conflict:
    """Note that there is no conflict.

    Raises:
        ApproverNeeded: it is a proven contradiction; to pass over one is an approver's.
        AlreadyDecided: somebody was quicker.
    """
    conflict = _undecided(conflict)
    if _stops_publishing(conflict) and not can(by, "knowledge.approve"):
        raise ApproverNeeded(
            "This contradiction is proven. Edit one of the rules, or ask an approver to look at it."
        )
    conflict.state = ConflictState.DISMISSED
    return _decided(conflict, by)


@transaction.atomic
def override(*, conflict: Conflict, by: User, reason: str) -> Conflict:
    """Let a proven contradiction be published all the same, for a reason that is kept.

    Raises:
        ApproverNeeded: without the right to approve.
        Invalid: no reason, or one that is too long.
        NotToOverride: it stops no publication.
        AlreadyDecided: somebody was quicker.
    """
    if not can(by, "knowledge.approve"):
        raise ApproverNeeded("Only an approver overrides a contradiction.")
    reason = reason.replace("\0", " ").strip()
    if not reason or len(reason) > LONGEST_REASON:
        raise Invalid(f"Give a reason of 1 to {LONGEST_REASON} characters: others will read it.")
    conflict = _undecided(conflict)
    if not _stops_publishing(conflict):
        raise NotToOverride("Only a proven contradiction stops publishing, and can be overridden.")
    conflict.override_reason = reason
    return _decided(conflict, by)


def _compared(revision: Revision) -> list[tuple[Finding, int]]:
    """Return the findings, gravest first, each with the key of the other revision."""
    here = Rule(revision.condition, revision.content)
    near = {other.revision_id: other for other in resembling(revision)}
    findings = []
    for other in Revision.objects.filter(pk__in=near):
        there = Rule(other.condition, other.content)
        finding = compare(here, there, cosine=near[other.pk].cosine)
        if finding and _may_meet(revision, other):
            findings.append((finding, other.pk))
    return sorted(findings, key=lambda pair: (pair[0].proven, pair[0].similarity), reverse=True)


def _may_meet(left: Revision, right: Revision) -> bool:
    """Say whether there is a customer and a moment to whom both rules apply."""
    for name in ("channels", "segments", "regions"):
        mine, other = set(getattr(left, name)), set(getattr(right, name))
        if mine and other and not mine & other:
            return False
    return not (_over_before(left, right.valid_from) or _over_before(right, left.valid_from))


def _over_before(revision: Revision, moment: datetime | None) -> bool:
    return bool(revision.valid_until and moment and revision.valid_until <= moment)


def _keep(revision: Revision, other_pk: int, finding: Finding) -> None:
    """Store a finding once, whichever of the two was saved first; what was closed, reopens."""
    pair = Q(left=revision, right=other_pk) | Q(left=other_pk, right=revision)
    state = ConflictState.PROVEN if finding.proven else ConflictState.SUSPECTED
    known = Conflict.objects.filter(pair, kind=finding.kind)
    if known.exists():
        known.filter(state=ConflictState.RESOLVED).update(state=state)
        return
    if _was_dismissed(revision, other_pk, finding):
        return
    Conflict.objects.get_or_create(
        left=revision,
        right_id=other_pk,
        kind=finding.kind,
        defaults={
            "state": state,
            "reason": finding.reason[:FINDING_LENGTH],
            "left_text": finding.left,
            "right_text": finding.right,
            "similarity": finding.similarity,
        },
    )


def _was_dismissed(revision: Revision, other_pk: int, finding: Finding) -> bool:
    """Say whether a person has looked at these two sentences of the two rules before."""
    texts = {finding.left, finding.right}
    return Conflict.objects.filter(
        Q(left__unit=revision.unit_id, right__unit__revisions=other_pk)
        | Q(right__unit=revision.unit_id, left__unit__revisions=other_pk),
        kind=finding.kind,
        state=ConflictState.DISMISSED,
        left_text__in=texts,
        right_text__in=texts,
    ).exists()


def _close_outdated(unit: Unit) -> None:
    ours = Conflict.objects.filter(Q(left__unit=unit) | Q(right__unit=unit), state__in=OPEN)
    ours.exclude(pk__in=current(ours).values("pk")).update(state=ConflictState.RESOLVED)


def _stops_publishing(conflict: Conflict) -> bool:
    contradiction = conflict.kind == ConflictKind.CONTRADICTION
    return contradiction and conflict.state == ConflictState.PROVEN


def _undecided(conflict: Conflict) -> Conflict:
    conflict = Conflict.objects.select_for_update(of=("self",)).get(pk=conflict.pk)
    if conflict.state not in OPEN or conflict.override_reason:
        raise AlreadyDecided("This was decided meanwhile. Reload the page.")
    return conflict


def _decided(conflict: Conflict, by: User) -> Conflict:
    conflict.decided_by, conflict.decided_at = by, timezone.now()
    conflict.save(update_fields=["state", "override_reason", "decided_by", "decided_at"])
    return conflict
