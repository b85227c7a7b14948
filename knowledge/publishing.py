"""Letting agents use a revision: who may, what stands against it, and the change itself."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from knowledge import indexing, vocabulary
from knowledge.models import (
    OPEN_SUBMISSION,
    Conflict,
    Hook,
    HookKind,
    KnowledgeUnit,
    Publication,
    Revision,
    Risk,
    Submission,
    SubmissionState,
    UnitStatus,
)
from wowconsole.errors import Invalid, Refused
from wowconsole.roles import can

SHORTEST_REASON = 10  # characters: "urgent" tells an auditor nothing
LONGEST_REASON = 500

Guard = Callable[[Mapping[int, KnowledgeUnit]], None]


class StaleEdit(Refused):
    code = "stale_edit"


class ApprovalNeeded(Refused):
    code = "approval_needed"


class UnitArchived(Refused):
    code = "unit_archived"


class Contradiction(Refused):
    code = "contradiction"


def publish_unit(
    *, unit: KnowledgeUnit, by: User, override_reason: str = "", seen: int | None = None
) -> KnowledgeUnit:
    """Let agents use the unit's latest revision from now on.

    Args:
        override_reason: why an approver passes over what else would keep them from it; it
            is stored in the ledger where it did.
        seen: number of the revision that `by` has read; None: of whatever is the latest.

    Raises:
        ApprovalNeeded: a high-risk rule is published by its author or without the right to.
        Contradiction: another rule was proven to say the opposite.
        UnitArchived: it must be restored first.
        StaleEdit: somebody saved a revision since.
        EmbeddingUnavailable: the embedding model failed; nothing was changed.
    """
    numbers = {} if seen is None else {unit.pk: seen}
    return publish_many(units=[unit], by=by, override_reason=override_reason, seen=numbers)[0]


def publish_many(
    *,
    units: Sequence[KnowledgeUnit],
    by: User,
    override_reason: str = "",
    seen: Mapping[int, int] | None = None,
) -> list[KnowledgeUnit]:
    """Publish the latest revisions together, or none of them; raises as `publish_unit`.

    Args:
        seen: numbers of the revisions that are meant, by the units' keys.
    """
    pks, meant = [unit.pk for unit in units], seen or {}
    fresh = KnowledgeUnit.objects.filter(pk__in=pks).select_related("latest")
    waiting = [latest_of(unit) for unit in fresh if unit.live_id != unit.latest_id]

    def nothing_newer(locked: Mapping[int, KnowledgeUnit]) -> None:
        for revision in waiting:
            unit, number = locked[revision.unit_id], revision.number
            if unit.latest_id != revision.pk or meant.get(unit.pk, number) != number:
                raise StaleEdit(f"{unit} was edited meanwhile. Read the new text first.")

    locked = _publish(pks, waiting, by, override_reason, nothing_newer)
    return [locked[pk] for pk in pks]


def publish_revision(*, revision: Revision, by: User, guard: Guard) -> KnowledgeUnit:
    """Publish this revision, though there may be later ones; raises as `publish_unit`.

    Args:
        guard: called with the locked unit by its key; what it raises stops the publication.
    """
    return _publish([revision.unit_id], [revision], by, "", guard)[revision.unit_id]


def why_not_publish(
    unit: KnowledgeUnit, by: User, revision: Revision | None = None
) -> Refused | None:
    """Return what keeps `by` from publishing a revision, the latest unless one is named."""
    wanted = revision or latest_of(unit)
    return _forbidden(unit, wanted, by) or _contradictions([wanted]).get(wanted.pk)


def refusals(units: Sequence[KnowledgeUnit], by: User) -> dict[int, Refused]:
    """Return `why_not_publish` of those units that have one, by key, in one query."""
    opposed = _contradictions([latest_of(unit) for unit in units])
    found = {
        unit.pk: _forbidden(unit, latest_of(unit), by) or opposed.get(latest_of(unit).pk)
        for unit in units
    }
    return {pk: refusal for pk, refusal in found.items() if refusal}


def needs_approval(unit: KnowledgeUnit, revision: Revision) -> bool:
    """Say whether four eyes must have read it: it is of high risk, or replaces what is."""
    live = unit.live
    return Risk.HIGH in {revision.risk, live.risk if live else ""}


def locked_units(pks: Iterable[int]) -> Iterable[KnowledgeUnit]:
    units = KnowledgeUnit.objects.filter(pk__in=pks)
    return units.select_related("latest", "live", "scene").locked()


def locked_unit(pk: int) -> KnowledgeUnit:
    return next(iter(locked_units([pk])))


def latest_of(unit: KnowledgeUnit) -> Revision:
    assert unit.latest is not None  # noqa: S101  # null only while the unit is being created
    return unit.latest


def _publish(
    pks: Sequence[int],
    revisions: Sequence[Revision],
    by: User,
    override_reason: str,
    guard: Guard,
) -> dict[int, KnowledgeUnit]:
    reason = _checked_reason(override_reason, by)
    hooks = hooks_of(revisions)
    # Slow: before any lock is held.
    vectors = indexing.vectors_for([hook.text for hook in hooks])
    with transaction.atomic():
        locked = {unit.pk: unit for unit in locked_units(pks)}
        guard(locked)
        pairs = [(locked[revision.unit_id], revision) for revision in revisions]
        submitted = _open_submissions(pairs)
        reasons = _passed_over(pairs, submitted, by, reason)
        _close(submitted, {revision.pk for revision in revisions}, by)
        go_live(pairs, hooks, vectors)
        Publication.objects.bulk_create(
            Publication(unit=unit, revision=revision, by=by, override_reason=passed)
            for (unit, revision), passed in zip(pairs, reasons, strict=True)
        )
    return locked


def _checked_reason(override_reason: str, by: User) -> str:
    reason = override_reason.strip()
    if reason and not can(by, "knowledge.approve"):
        raise ApprovalNeeded("Only an approver may pass over a check.")
    if reason and not SHORTEST_REASON <= len(reason) <= 500:
        raise Invalid(f"Say why in {SHORTEST_REASON} to 500 characters: auditors read it.")
    return reason


def _passed_over(
    pairs: Sequence[tuple[KnowledgeUnit, Revision]],
    submitted: Sequence[Submission],
    by: User,
    reason: str,
) -> list[str]:
    """Return the override's reason for each pair that needs it; refuse where there is none."""
    opposed = _contradictions([revision for _, revision in pairs])
    own = {
        submission.revision_id
        for submission in submitted
        if submission.state == SubmissionState.WAITING and submission.by_id == by.pk
    }
    reasons = []
    for unit, revision in pairs:
        refusal = _forbidden(unit, revision, by) or opposed.get(revision.pk)
        if refusal is None and revision.pk in own:
            refusal = ApprovalNeeded("You submitted this rule. Somebody else must approve it.")
        if refusal and (not reason or isinstance(refusal, UnitArchived)):
            raise refusal
        reasons.append(reason if refusal else "")
    return reasons


def _forbidden(unit: KnowledgeUnit, revision: Revision, by: User) -> Refused | None:
    if unit.status == UnitStatus.ARCHIVED:
        return UnitArchived("This rule is archived. Restore it, then publish it.")
    if not needs_approval(unit, revision):
        return None
    if not can(by, "knowledge.approve"):
        return ApprovalNeeded("A high-risk rule is published by an approver. Ask one to do it.")
    if revision.author_id == by.pk:
        return ApprovalNeeded(
            "You wrote this high-risk rule. Another approver must read and publish it."
        )
    return None


def _contradictions(revisions: Sequence[Revision]) -> dict[int, Refused]:
    """Return by revision what is proven to contradict it and is in use, or about to be."""
    pks = {revision.pk for revision in revisions}
    proven = Conflict.objects.blocking().filter(Q(left__in=pks) | Q(right__in=pks))
    found: dict[int, Refused] = {}
    for conflict in proven.select_related("left__unit", "right__unit"):
        for own, other in ((conflict.left, conflict.right), (conflict.right, conflict.left)):
            if own.pk in pks and _matters(other):
                found[own.pk] = Contradiction(
                    f"It contradicts rule {other.unit_id}, “{other.title}”: {conflict.reason}. "
                    "Mend one of the two, or say on the conflict why both may stand."
                )
    return found


def _matters(revision: Revision) -> bool:
    unit = revision.unit
    is_current = revision.pk in (unit.latest_id, unit.live_id)
    return is_current and unit.status != UnitStatus.ARCHIVED


def _open_submissions(pairs: Sequence[tuple[KnowledgeUnit, Revision]]) -> list[Submission]:
    units = [unit for unit, _ in pairs]
    found = Submission.objects.filter(unit__in=units, state__in=OPEN_SUBMISSION)
    return list(found.select_for_update())


def _close(submitted: Sequence[Submission], published: set[int], by: User) -> None:
    """Publishing answers what was submitted; an earlier text must not go live after it."""
    now = timezone.now()
    for submission in submitted:
        if submission.revision_id in published:
            submission.state = SubmissionState.PUBLISHED
        else:
            submission.state = SubmissionState.WITHDRAWN
            submission.decision = "Another revision was published instead."
        if submission.decided_by_id is None and submission.by_id != by.pk:
            submission.decided_by, submission.decided_at = by, now
    fields = ["state", "decision", "decided_by", "decided_at"]
    Submission.objects.bulk_update(submitted, fields, batch_size=500)


def go_live(
    pairs: Sequence[tuple[KnowledgeUnit, Revision]],
    hooks: list[Hook],
    vectors: list[indexing.TextVectors],
) -> None:
    """Put revisions and their hooks in place; inside a transaction, with the units locked."""
    now = timezone.now()
    for unit, revision in pairs:
        unit.live, unit.status, unit.updated_at = revision, UnitStatus.PUBLISHED, now
    units = [unit for unit, _ in pairs]
    Hook.objects.filter(unit__in=units).delete()
    Hook.objects.bulk_create(hooks, batch_size=500)
    vocabulary.learn([hook.text for hook in hooks])
    indexing.write_vectors(hooks, vectors, {unit.pk: unit.scene_id for unit in units})
    KnowledgeUnit.objects.bulk_update(units, ["live", "status", "updated_at"], batch_size=500)


def hook_texts(revision: Revision) -> list[tuple[HookKind, str]]:
    """Return the texts a revision is found by.

    The last is the whole rule: a lone answer ("Yes, within 30 days.") lacks its subject.
    """
    whole = f"{revision.title}. {revision.condition}. {revision.content}"
    return [
        (HookKind.TITLE, revision.title),
        (HookKind.CONDITION, revision.condition),
        *((HookKind.QUESTION, question) for question in revision.questions),
        (HookKind.CONTENT, whole),
    ]


def hooks_of(revisions: Sequence[Revision]) -> list[Hook]:
    """Return the hooks of revisions, not yet stored."""
    return [
        Hook(unit_id=revision.unit_id, kind=kind, text=text)
        for revision in revisions
        for kind, text in hook_texts(revision)
    ]
