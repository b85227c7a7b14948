"""Undoing bulk edits: text, status, owner and what was live, but for rules edited since."""

from collections.abc import Sequence

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from knowledge import publishing, services
from knowledge.bulk_applying import (
    finish_small,
    job_for,
    locked,
    point_at,
    skipped_rule,
    stale,
)
from knowledge.models import (
    BulkChange,
    BulkEdit,
    KnowledgeUnit,
    Publication,
    Revision,
    UnitStatus,
)
from knowledge.texts import REVISION_FIELDS
from wowconsole.errors import Invalid, Refused


class AlreadyUndone(Refused):
    code = "already_undone"


class StillRunning(Refused):
    code = "still_running"


def undo(*, edit: BulkEdit, by: User) -> BulkEdit:
    """Bring back text, status, owner and what was live; history keeps both ways.

    A rule that was edited since is left alone: the edit's `undo_skipped` names it.

    Raises:
        AlreadyUndone: it was.
        StillRunning: its publications go on; cancel them first.
        Invalid: it changed rules of scenes that `by` does not work in.
    """
    edit = _undo(edit, by)
    finish_small(edit.undo_job)
    return edit


@transaction.atomic
def _undo(edit: BulkEdit, by: User) -> BulkEdit:
    edit = BulkEdit.objects.select_for_update().get(pk=edit.pk)
    if edit.undone_at:
        raise AlreadyUndone("This edit was undone already.")
    if edit.job and not edit.job.is_finished:
        raise StillRunning("This edit still goes on. Cancel it, then undo what it did.")
    changes = list(edit.changes.select_related("before", "after", "live_before", "owner_before"))
    units = {unit.pk: unit for unit in locked([change.unit_id for change in changes], by)}
    if len(units) < len(changes):
        raise Invalid("It changed rules in scenes you don't work in. Ask somebody who does.")
    edit.undone_by, edit.undone_at, edit.planned = by, timezone.now(), []
    undoing = []
    for change in changes:
        unit = units[change.unit_id]
        if why := _why_not_undo(edit, change, unit):
            edit.undo_skipped.append(skipped_rule(unit.pk, why))
        else:
            undoing.append((change, unit))
    _take_back(edit, undoing, by)
    edit.undo_job = job_for(edit, f"Put {len(edit.planned)} rules live again", by)
    edit.save(update_fields=["undone_by", "undone_at", "undo_skipped", "planned", "undo_job"])
    return edit


def _why_not_undo(edit: BulkEdit, change: BulkChange, unit: KnowledgeUnit) -> str:
    if unit.latest_id != change.after_id:
        return stale(unit)
    kept_text = change.before_id == change.after_id and not change.owner_before
    if kept_text and unit.status != change.status_after:
        return f"It was moved meanwhile: its status is “{unit.get_status_display()}”."
    if change.owner_before and str(unit.owner) != edit.parameters["owner"]:
        return f"It was handed to {unit.owner} meanwhile."
    return ""


def _take_back(
    edit: BulkEdit, undoing: Sequence[tuple[BulkChange, KnowledgeUnit]], by: User
) -> None:
    texts = [pair for pair in undoing if pair[0].before_id != pair[0].after_id]
    _restore_texts(texts, by)
    for change, unit in undoing:
        if change.owner_before:
            unit.owner = change.owner_before
            unit.save(update_fields=["owner"])
        elif (change.before_id == change.after_id) and _restore_status(change, unit, by):
            edit.planned.append(
                {"unit": unit.pk, "latest": unit.latest_id, "revision": change.live_before_id}
            )


def _restore_texts(pairs: Sequence[tuple[BulkChange, KnowledgeUnit]], by: User) -> None:
    """Save the earlier texts as new revisions; where that text is live, nothing waits."""
    restored = []
    for change, unit in pairs:
        values = {name: getattr(change.before, name) for name in REVISION_FIELDS}
        number = change.after.number + 1
        restored.append((unit, Revision(unit=unit, number=number, author=by, **values)))
    Revision.objects.bulk_create([revision for _, revision in restored])
    point_at(restored)
    same = [
        (unit, revision)
        for (change, unit), (_, revision) in zip(pairs, restored, strict=True)
        if unit.live_id == change.before_id and not publishing.needs_approval(unit, revision)
    ]
    for unit, revision in same:
        unit.live = revision
    KnowledgeUnit.objects.bulk_update([unit for unit, _ in same], ["live"], batch_size=500)
    Publication.objects.bulk_create(
        Publication(unit=unit, revision=revision, by=by) for unit, revision in same
    )


def _restore_status(change: BulkChange, unit: KnowledgeUnit, by: User) -> bool:
    """Undo a change of status; True: a revision must go live again, which takes time."""
    if change.status_before == UnitStatus.ARCHIVED:
        services.archive_unit(unit=unit, by=by)
        return False
    if change.live_before_id is None:
        if unit.live_id:
            services.archive_unit(unit=unit, by=by)
        services.restore_unit(unit=unit)
        return False
    services.restore_unit(unit=unit)
    return True
