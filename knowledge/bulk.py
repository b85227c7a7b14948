"""What one edit would do to many rules: which change, how, and which must not."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.dateparse import parse_datetime

from knowledge import publishing
from knowledge.differing import Piece, differences, pieces
from knowledge.models import KnowledgeUnit, Revision, UnitStatus
from knowledge.texts import REVISION_FIELDS, check_revision, tidied
from wowconsole.roles import can, sees_every_scene

MAX_UNITS = 2000  # of one edit: more could neither be read before nor undone in one go
SEARCHED = ("title", "condition", "content")


class Operation(models.TextChoices):
    REPLACE = "replace", "Replace words"
    RISK = "risk", "Set the risk"
    PRIORITY = "priority", "Set the priority"
    VALIDITY = "validity", "Set the validity"
    AUDIENCE = "audience", "Set whom they are for"
    OWNER = "owner", "Set the owner"
    PUBLISH = "publish", "Publish"
    ARCHIVE = "archive", "Archive"
    RESTORE = "restore", "Restore"


@dataclass(frozen=True)
class Wanted:
    """An operation and what it needs, as JSON keeps it (times as ISO 8601, users by name).

    replace {find, replacement, match_case} · risk {risk} · priority {priority} · validity
    {valid_from, valid_until: each only if it is to be set, null takes the limit away} ·
    audience {field, names, add} · owner {owner} · publish, archive, restore {}
    """

    operation: Operation
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class Change:
    """What would become of one rule; `after` is not stored yet, and `before` but for text."""

    unit: KnowledgeUnit
    after: Revision
    moves: tuple[tuple[str, str, str], ...] = ()  # label, from, to: what is not text
    refusal: str = ""

    @property
    def before(self) -> Revision:
        return publishing.latest_of(self.unit)

    def differences(self) -> list[tuple[str, list[Piece]]]:
        """Return what differs word by word, by label."""
        shown = differences(self.before, self.after)
        if self.after.pk and self.unit.live:  # publishing: what customers' answers gain
            shown = differences(self.unit.live, self.after)
        return shown + [(label, list(pieces(old, new))) for label, old, new in self.moves]


def preview(units: Sequence[KnowledgeUnit], wanted: Wanted, by: User) -> list[Change]:
    """Return the changes in the order of the units; rules that stay as they are have none.

    Args:
        units: with scene, latest, live and owner at hand.

    Raises:
        ValidationError: nobody has the owner's name.
    """
    if wanted.operation == Operation.PUBLISH:
        return _publications(units, by)
    if wanted.operation == Operation.OWNER:
        return _handovers(units, wanted)
    if wanted.operation in (Operation.ARCHIVE, Operation.RESTORE):
        return _moves(units, wanted.operation)
    found = (_edited(unit, _FIELDS[wanted.operation], wanted.parameters, by) for unit in units)
    return [change for change in found if change]


def owner_of(wanted: Wanted) -> User:
    """Return the owner-to-be.

    Raises:
        ValidationError: there is no such person, or they don't write rules.
    """
    name = str(wanted.parameters["owner"])
    user = User.objects.filter(is_active=True, username=name).first()
    if user is None or not can(user, "knowledge.write"):
        raise ValidationError({"owner": f"There is nobody called “{name}” who writes rules."})
    return user


def told_to(user: User, rules: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Keep those of an edit's `skipped` or `undo_skipped` whose rule the user works with."""
    named = KnowledgeUnit.objects.visible_to(user).filter(pk__in=[rule["unit"] for rule in rules])
    known = set(named.order_by().values_list("pk", flat=True))
    return [rule for rule in rules if rule["unit"] in known]


Fields = Callable[[Mapping[str, Any], Revision], dict[str, Any]]


def _edited(
    unit: KnowledgeUnit, fields_of: Fields, parameters: Mapping[str, Any], by: User
) -> Change | None:
    latest = publishing.latest_of(unit)
    fields: Any = fields_of(parameters, latest)
    values = {name: getattr(latest, name) for name in REVISION_FIELDS}
    changed = values | tidied(fields)
    if changed == values:
        return None
    after = Revision(unit=unit, number=latest.number + 1, author=by, **changed)
    archived = "It is archived. Restore it first." if unit.status == UnitStatus.ARCHIVED else ""
    return Change(unit, after, refusal=archived or _fault(after))


def _fault(revision: Revision) -> str:
    try:
        check_revision(revision)
    except ValidationError as error:
        return " ".join(error.messages)
    return ""


def _replaced(parameters: Mapping[str, Any], latest: Revision) -> dict[str, Any]:
    flags = 0 if parameters["match_case"] else re.IGNORECASE
    pattern = re.compile(re.escape(str(parameters["find"])), flags)

    replacement = str(parameters["replacement"])

    def change(text: str) -> str:
        return pattern.sub(lambda _: replacement, text)

    # A text that does not mention it is left as it is, spaces and all.
    texts: dict[str, Any] = {name: change(getattr(latest, name)) for name in SEARCHED}
    return texts | {"questions": [change(question) for question in latest.questions]}


def _set(parameters: Mapping[str, Any], latest: Revision) -> dict[str, Any]:
    return dict(parameters)


def _validity(parameters: Mapping[str, Any], latest: Revision) -> dict[str, datetime | None]:
    return {name: parse_datetime(text) if text else None for name, text in parameters.items()}


def _audience(parameters: Mapping[str, Any], latest: Revision) -> dict[str, Any]:
    name = parameters["field"]
    kept = getattr(latest, name) if parameters["add"] else []
    # Empty means everybody: who adds a name to that would shut all others out.
    if parameters["add"] and not kept:
        return {}
    return {name: [*kept, *parameters["names"]]}


_FIELDS: dict[Operation, Fields] = {
    Operation.REPLACE: _replaced,
    Operation.RISK: _set,
    Operation.PRIORITY: _set,
    Operation.VALIDITY: _validity,
    Operation.AUDIENCE: _audience,
}


def _publications(units: Sequence[KnowledgeUnit], by: User) -> list[Change]:
    waiting = [unit for unit in units if unit.live_id != unit.latest_id]
    refused = publishing.refusals(waiting, by)
    return [
        Change(
            unit,
            publishing.latest_of(unit),
            _status(unit, UnitStatus.PUBLISHED),
            refusal=str(refused.get(unit.pk, "")),
        )
        for unit in waiting
    ]


def _moves(units: Sequence[KnowledgeUnit], operation: Operation) -> list[Change]:
    archive = operation == Operation.ARCHIVE
    return [
        Change(
            unit,
            publishing.latest_of(unit),
            _status(unit, UnitStatus.ARCHIVED if archive else UnitStatus.DRAFT),
        )
        for unit in units
        if (unit.status == UnitStatus.ARCHIVED) != archive
    ]


def _status(unit: KnowledgeUnit, status: UnitStatus) -> tuple[tuple[str, str, str], ...]:
    before = UnitStatus(unit.status)
    return (("Status", before.label, status.label),) if before != status else ()


def _handovers(units: Sequence[KnowledgeUnit], wanted: Wanted) -> list[Change]:
    owner = owner_of(wanted)
    scenes = None if sees_every_scene(owner) else set(owner.scenes.values_list("pk", flat=True))
    return [
        Change(
            unit,
            publishing.latest_of(unit),
            (("Owner", str(unit.owner), str(owner)),),
            ""
            if scenes is None or unit.scene_id in scenes
            else f"{owner} does not work in {unit.scene}.",
        )
        for unit in units
        if unit.owner_id != owner.pk
    ]
