"""Carrying out bulk edits: only what was previewed, in one transaction."""

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from knowledge import conflicts, jobs, publishing
from knowledge.bulk import MAX_UNITS, Change, Operation, Wanted, owner_of, preview
from knowledge.indexing import EmbeddingUnavailable
from knowledge.models import (
    BulkChange,
    BulkEdit,
    Hook,
    Job,
    KnowledgeUnit,
    Publication,
    Revision,
    UnitStatus,
)
from wowconsole.errors import Invalid, Refused
from wowconsole.roles import can

AT_ONCE = 5  # rules embedded while somebody waits: each takes a tenth of a second or more
TASK = "knowledge.tasks.publish_bulk"

Seen = Mapping[int, int]  # number of the revision that was previewed, by the unit's key


def apply(*, wanted: Wanted, seen: Seen, by: User) -> BulkEdit:
    """Do what was previewed, in one transaction; publishing many rules is left to a worker.

    A rule that was edited after the preview is left alone, and so is one that must not
    change: the edit's `skipped` names them.

    Raises:
        Invalid: too many rules, or nothing is left to be done.
    """
    if len(seen) > MAX_UNITS:
        raise Invalid(f"At most {MAX_UNITS:,} rules at once. Narrow the list down.")
    edit = _apply(wanted, seen, by)
    finish_small(edit.job)
    return edit


@transaction.atomic
def _apply(wanted: Wanted, seen: Seen, by: User) -> BulkEdit:
    units = locked(seen, by)
    fresh = [unit for unit in units if publishing.latest_of(unit).number == seen[unit.pk]]
    changes = preview(fresh, wanted, by)
    skipped = [skipped_rule(unit.pk, stale(unit)) for unit in units if unit not in fresh]
    skipped += [
        skipped_rule(change.unit.pk, change.refusal) for change in changes if change.refusal
    ]
    allowed = [change for change in changes if not change.refusal]
    if not allowed:
        why = skipped[0]["why"] if skipped else "Every rule is so already."
        raise Invalid(f"Nothing would change. {why}")
    edit = BulkEdit.objects.create(
        operation=wanted.operation, parameters=dict(wanted.parameters), by=by, skipped=skipped
    )
    _CARRY_OUT[wanted.operation](edit, wanted, allowed)
    return edit


def locked(pks: Collection[int], by: User) -> list[KnowledgeUnit]:
    """Lock those of the rules that the user works with, in order of keys."""
    units = KnowledgeUnit.objects.filter(pk__in=pks).select_related(
        "scene", "latest__author", "live", "owner"
    )
    visible = set(KnowledgeUnit.objects.visible_to(by).filter(pk__in=pks).values_list("pk"))
    return [unit for unit in units.locked() if (unit.pk,) in visible]


def skipped_rule(pk: int, why: str) -> dict[str, Any]:
    return {"unit": pk, "why": why}


def stale(unit: KnowledgeUnit) -> str:
    latest = publishing.latest_of(unit)
    return f"{latest.author} saved revision {latest.number} meanwhile."


def _record(edit: BulkEdit, changes: Sequence[Change], **after: Any) -> None:
    BulkChange.objects.bulk_create(
        BulkChange(
            **{
                "bulk": edit,
                "unit": change.unit,
                "before": change.before,
                "after": change.after,
                "live_before_id": change.unit.live_id,
                "status_before": change.unit.status,
                "status_after": change.unit.status,
                **after,
            }
        )
        for change in changes
    )


def _save_texts(edit: BulkEdit, wanted: Wanted, changes: Sequence[Change]) -> None:
    Revision.objects.bulk_create([change.after for change in changes])
    _record(edit, changes)
    point_at([(change.unit, change.after) for change in changes])


def point_at(pairs: Sequence[tuple[KnowledgeUnit, Revision]]) -> None:
    for unit, revision in pairs:
        unit.latest, unit.updated_at = revision, timezone.now()
    units = [unit for unit, _ in pairs]
    KnowledgeUnit.objects.bulk_update(units, ["latest", "updated_at"], batch_size=500)
    conflicts.check_later([unit.pk for unit in units])


def _hand_over(edit: BulkEdit, wanted: Wanted, changes: Sequence[Change]) -> None:
    owner = owner_of(wanted)
    BulkChange.objects.bulk_create(
        BulkChange(
            bulk=edit,
            unit=change.unit,
            before=change.before,
            after=change.before,
            live_before_id=change.unit.live_id,
            owner_before=change.unit.owner,
            status_before=change.unit.status,
            status_after=change.unit.status,
        )
        for change in changes
    )
    pks = [change.unit.pk for change in changes]
    KnowledgeUnit.objects.filter(pk__in=pks).update(owner=owner, updated_at=timezone.now())


def _archive(edit: BulkEdit, wanted: Wanted, changes: Sequence[Change]) -> None:
    _record(edit, changes, status_after=UnitStatus.ARCHIVED)
    live = [change.unit for change in changes if change.unit.live_id]
    Hook.objects.filter(unit__in=live).delete()
    Publication.objects.bulk_create(
        Publication(unit=unit, revision=None, by=edit.by) for unit in live
    )
    _move(changes, UnitStatus.ARCHIVED)


def _restore(edit: BulkEdit, wanted: Wanted, changes: Sequence[Change]) -> None:
    _record(edit, changes, status_after=UnitStatus.DRAFT)
    _move(changes, UnitStatus.DRAFT)
    conflicts.check_later([change.unit.pk for change in changes])


def _move(changes: Sequence[Change], status: UnitStatus) -> None:
    pks = [change.unit.pk for change in changes]
    moved = KnowledgeUnit.objects.filter(pk__in=pks)
    moved.update(status=status, live=None, updated_at=timezone.now())


def _plan_publications(edit: BulkEdit, wanted: Wanted, changes: Sequence[Change]) -> None:
    edit.planned = [
        {
            "unit": change.unit.pk,
            "latest": change.before.pk,
            "revision": change.before.pk,
            "live": change.unit.live_id,
            "status": change.unit.status,
        }
        for change in changes
    ]
    edit.job = job_for(edit, f"Publish {len(changes)} rules", edit.by)
    edit.save(update_fields=["planned", "job"])


_CARRY_OUT = {
    **dict.fromkeys(
        (
            *(Operation.REPLACE, Operation.RISK, Operation.PRIORITY),
            *(Operation.VALIDITY, Operation.AUDIENCE),
        ),
        _save_texts,
    ),
    Operation.OWNER: _hand_over,
    Operation.ARCHIVE: _archive,
    Operation.RESTORE: _restore,
    Operation.PUBLISH: _plan_publications,
}


def job_for(edit: BulkEdit, title: str, by: User) -> Job | None:
    """Return the job of what the edit has planned, if anything; a large one is sent."""
    total = len(edit.planned)
    if not total:
        return None
    if total > AT_ONCE:
        return jobs.start(task=TASK, title=title, by=by, total=total)
    # Not sent, but taken up by a worker should this process die.
    return Job.objects.create(task=TASK, title=title, by=by, total=total)


def finish_small(job: Job | None) -> None:
    """Do a small job before answering; call it after the commit."""
    if job and job.total <= AT_ONCE:
        go_live(job.pk)
        job.refresh_from_db()


def go_live(job_pk: int) -> None:
    """Publish what a bulk edit, or its undoing, has planned, from wherever it was left."""
    with jobs.at_work(job_pk) as job:
        if job is None:
            return
        edit = BulkEdit.objects.filter(job=job).first() or BulkEdit.objects.get(undo_job=job)
        if not can(job.by, "knowledge.write"):
            raise Invalid("You may not write rules any more; nothing further was published.")
        total = len(edit.planned)
        for done, item in list(enumerate(edit.planned, start=1))[job.done :]:
            with jobs.step(job, done=done, note=f"{done} of {total}"):
                _publish(edit, item, job.by)


def _publish(edit: BulkEdit, item: dict[str, Any], by: User) -> None:
    """Publish one rule, and keep how it was; what is refused is told in the edit."""
    revision = Revision.objects.get(pk=item["revision"])
    try:
        with transaction.atomic():
            publishing.publish_revision(
                revision=revision, by=by, guard=partial(_check_unmoved, item)
            )
            if edit.undone_at is None:
                BulkChange.objects.create(
                    bulk=edit,
                    unit_id=item["unit"],
                    before=revision,
                    after=revision,
                    live_before_id=item["live"],
                    status_before=item["status"],
                    status_after=UnitStatus.PUBLISHED,
                )
    except EmbeddingUnavailable:
        raise
    except Refused as refusal:
        skipped = edit.undo_skipped if edit.undone_at else edit.skipped
        skipped.append(skipped_rule(item["unit"], str(refusal)))
        edit.save(update_fields=["skipped", "undo_skipped"])


def _check_unmoved(item: dict[str, Any], units: Mapping[int, KnowledgeUnit]) -> None:
    unit = units[item["unit"]]
    if unit.latest_id != item["latest"]:
        raise publishing.StaleEdit(stale(unit))
    if unit.live_id == item["revision"]:
        raise publishing.StaleEdit("It is live already.")
