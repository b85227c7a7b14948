"""Saving what people arrange: one row, its change on record, and nobody's change overwritten.

A row says of itself what is kept (`KEPT`), of which kind it is (`ARRANGED`) and under which
name its changes stand (`arranged_as`): a site, a plan of calls, the rules of contact.
"""

from collections.abc import Iterator
from datetime import datetime, time
from itertools import zip_longest
from typing import Any

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import Max, Model

from dialogues.models import Arranged, Arrangement, CallPlan, ContactRules, Site
from knowledge.differing import Piece, pieces
from wowconsole.errors import Refused

Arrangeable = Site | CallPlan | ContactRules
NEVER_EDITED = "As it stood before"
NOTHING = "—"


class ChangedMeanwhile(Refused):
    """Somebody else saved the row since it was read."""

    code = "changed_meanwhile"


def snapshot(row: Arrangeable) -> dict[str, Any]:
    """Return what the record keeps of a row."""
    return {name: _plain(getattr(row, name)) for name in row.KEPT}


def _plain(value: Any) -> Any:
    match value:
        case Model():
            return getattr(value, "slug", str(value))
        case datetime() | time():
            return value.isoformat(timespec="minutes")
    return value


def changes_of(kind: str, name: str) -> Any:
    """Return the record of a row, the newest change first."""
    return Arrangement.objects.filter(kind=kind, name=name).order_by("-number")


def revision_of(row: Arrangeable) -> int:
    """Return the number of a row's newest change; 0: nobody changed it on a page yet."""
    newest = changes_of(row.ARRANGED, row.arranged_as).first()
    return newest.number if newest else 0


def revisions(kind: str) -> dict[str, int]:
    """Return the numbers of the newest changes of every row of a kind, by name."""
    rows = Arrangement.objects.filter(kind=kind).order_by()
    return dict(rows.values_list("name").annotate(Max("number")))


@transaction.atomic
def save(
    row: Arrangeable, *, by: User, based_on: int | None = None, note: str = ""
) -> Arrangement | None:
    """Save a new or changed row and put the change on record; None: nothing had changed.

    Args:
        based_on: the number of the change that the editor had read; None does not ask.

    Raises:
        ChangedMeanwhile: somebody saved another one since.
        ValidationError: a field is wrong.
    """
    stored = None
    if row.pk is not None:
        stored = type(row)._default_manager.select_for_update().get(pk=row.pk)
        _check_newest(stored, based_on)
    row.full_clean()
    if stored is not None:
        _begin_record(stored)
    _store(row)
    if stored is not None and snapshot(stored) == snapshot(row):
        return None
    return write(row.ARRANGED, row.arranged_as, snapshot(row), by=by, note=note)


def _store(row: Arrangeable) -> None:
    """Save it; of two who add the same at the same moment the second is told."""
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError as error:
        raise ChangedMeanwhile("Somebody added the same meanwhile. Look at it first.") from error


def _check_newest(row: Arrangeable, based_on: int | None) -> None:
    newest = changes_of(row.ARRANGED, row.arranged_as).select_related("by").first()
    if based_on is not None and newest and newest.number != based_on:
        who = newest.by.get_username() if newest.by else "Somebody"
        raise ChangedMeanwhile(f"{who} changed this meanwhile. Look at it before you save.")


def _begin_record(row: Arrangeable) -> None:
    """Keep how a row stood that was made before its changes were recorded."""
    if not changes_of(row.ARRANGED, row.arranged_as).exists():
        write(row.ARRANGED, row.arranged_as, snapshot(row), by=None, note=NEVER_EDITED)


@transaction.atomic
def remove(row: Arrangeable, *, by: User) -> None:
    """Delete a row; its record stays, and says who did it."""
    _begin_record(row)
    write(row.ARRANGED, row.arranged_as, {}, by=by, note="Removed")
    row.delete()


def write(
    kind: str, name: str, data: dict[str, Any], *, by: User | None, note: str = ""
) -> Arrangement:
    """Put a change on record. The caller holds the row's lock: it numbers them."""
    newest = changes_of(kind, name).first()
    return Arrangement.objects.create(
        kind=Arranged(kind),
        name=name,
        number=newest.number + 1 if newest else 1,
        data=data,
        note=note[:200],
        by=by,
    )


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[tuple[str, list[Piece]]]:
    """Return the fields that differ, parts of objects apart, each with its label and pieces."""
    before, after = _parts(old), _parts(new)
    return [
        (label, list(pieces(was, now)))
        for label in {**before, **after}
        if (was := before.get(label, NOTHING)) != (now := after.get(label, NOTHING))
    ]


def _parts(data: dict[str, Any], within: str = "") -> dict[str, str]:
    """Return each field as people read it, by label; what an object holds by labels of its own."""
    parts: dict[str, str] = {}
    for name, value in data.items():
        words = name.replace("_", " ")
        label = f"{within}: {words}" if within else words.capitalize()
        if isinstance(value, dict) and value and not within:
            parts |= _parts(value, label)
        else:
            parts[label] = _text(value)
    return parts


def _text(value: Any) -> str:
    if value in (None, "", [], {}):
        return NOTHING
    match value:
        case bool():
            return "yes" if value else "no"
        case list():
            return "\n".join(_line(item) for item in value)
        case dict():
            return _line(value)
    return str(value)


def _line(value: Any) -> str:
    """Write what stands in a list in one line."""
    match value:
        case dict() if value:
            return "; ".join(f"{name}: {_line(item)}" for name, item in value.items())
        case list() if value:
            return ", ".join(_line(item) for item in value)
    return _text(value)


def history(kind: str, name: str, *, limit: int = 10) -> Iterator[dict[str, Any]]:
    """Yield the newest changes with what each changed, for the pages."""
    rows = list(changes_of(kind, name).select_related("by")[: limit + 1])
    for row, before in zip_longest(rows[:limit], rows[1:]):
        changes = differences(before.data, row.data) if before else []
        yield {"row": row, "changes": changes}
