"""What people do with rules: draft, revise, publish, archive, restore."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, TypedDict, Unpack

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from knowledge.embedding import embed_passages
from knowledge.indexing import live_index
from knowledge.models import (
    TEXT_LENGTH,
    Hook,
    HookKind,
    HookVector,
    KnowledgeUnit,
    Publication,
    Revision,
    Risk,
    Scene,
    UnitStatus,
)
from wowconsole.errors import Refused
from wowconsole.roles import can

MAX_QUESTIONS = 50
EMBED_BATCH = 64  # texts per call: longer batches hold the embedder's lock too long
TEXT_FIELDS = ("title", "condition", "content", "source")
AUDIENCE_FIELDS = ("channels", "segments", "regions")
REVISION_FIELDS = (
    *("title", "condition", "content", "questions"),
    *("priority", "risk", "valid_from", "valid_until", "source"),
    *AUDIENCE_FIELDS,
)


Vectored = tuple[Hook, list[float]]


class StaleEdit(Refused):
    code = "stale_edit"


class ApprovalNeeded(Refused):
    code = "approval_needed"


class UnitArchived(Refused):
    code = "unit_archived"


class RevisionFields(TypedDict, total=False):
    """The text of a rule; what is left out keeps its value, or its default in a new rule."""

    title: str
    condition: str
    content: str
    questions: Sequence[str]
    priority: int
    risk: str
    valid_from: datetime | None
    valid_until: datetime | None
    source: str
    channels: Sequence[str]
    segments: Sequence[str]
    regions: Sequence[str]


@transaction.atomic
def draft_unit(
    *, author: User, scene: Scene, external_id: str | None = None, **fields: Unpack[RevisionFields]
) -> KnowledgeUnit:
    """Write a new rule that agents don't use yet.

    Raises:
        ValidationError: a text is empty or too long, the external id is taken in the
            scene, or the rule ends before it begins.
    """
    revision = _clean_revision(Revision(number=1, author=author, **_tidied(fields)))
    unit = KnowledgeUnit(scene=scene, owner=author, external_id=_clean_name(external_id))
    unit.clean_fields(exclude={"scene", "owner", "latest", "live"})
    if unit.external_id:  # of two that take one name at once, the second sees the first
        Scene.objects.select_for_update(no_key=True).get(pk=scene.pk)
    unit.validate_constraints()
    unit.save()
    _add_revision(unit, revision)
    return unit


@transaction.atomic
def revise_unit(
    *, unit: KnowledgeUnit, author: User, based_on: int, **fields: Unpack[RevisionFields]
) -> KnowledgeUnit:
    """Save an edit as the next revision; saving what is already there adds nothing.

    Args:
        based_on: number of the revision that the author had before their eyes.

    Raises:
        StaleEdit: somebody saved another revision meanwhile.
        ValidationError: see `draft_unit`.
    """
    unit = _locked(unit.pk)
    latest = _latest(unit)
    changes = _tidied(fields)
    if latest.number != based_on:
        raise StaleEdit(_what_others_changed(unit, latest, based_on))
    if all(getattr(latest, name) == value for name, value in changes.items()):
        return unit
    values = {name: getattr(latest, name) for name in REVISION_FIELDS} | changes
    revision = Revision(number=latest.number + 1, author=author, **values)
    _add_revision(unit, _clean_revision(revision))
    return unit


def restore_revision(
    *, unit: KnowledgeUnit, author: User, number: int, based_on: int
) -> KnowledgeUnit:
    """Save the text of an earlier revision as the newest one; it is not published yet."""
    old = Revision.objects.get(unit=unit, number=number)
    fields = RevisionFields(**{name: getattr(old, name) for name in REVISION_FIELDS})  # type: ignore[typeddict-item]  # names from the tuple above
    return revise_unit(unit=unit, author=author, based_on=based_on, **fields)


def publish_unit(*, unit: KnowledgeUnit, by: User) -> KnowledgeUnit:
    """Let agents use the unit's latest revision from now on.

    Raises:
        ApprovalNeeded: a high-risk rule is published by its author or without the right to.
        UnitArchived: it must be restored first.
        StaleEdit: somebody saved a revision in this very moment.
    """
    return publish_many(units=[unit], by=by)[0]


def publish_many(*, units: Sequence[KnowledgeUnit], by: User) -> list[KnowledgeUnit]:
    """Publish the latest revisions together, or none of them; raises as `publish_unit`."""
    pks = [unit.pk for unit in units]
    fresh = KnowledgeUnit.objects.filter(pk__in=pks).select_related("latest")
    waiting = [_latest(unit) for unit in fresh if unit.live_id != unit.latest_id]
    hooks = _hooks_of(waiting)  # slow: before any lock is held
    with transaction.atomic():
        locked = {unit.pk: unit for unit in _lock(pks)}
        _go_live([(locked[revision.unit_id], revision) for revision in waiting], hooks, by)
    return [locked[pk] for pk in pks]


def why_not_publish(unit: KnowledgeUnit, by: User) -> Refused | None:
    """Return what keeps `by` from publishing the unit's latest revision, if anything does."""
    latest = _latest(unit)
    if unit.status == UnitStatus.ARCHIVED:
        return UnitArchived("This rule is archived. Restore it, then publish it.")
    if latest.risk != Risk.HIGH:
        return None
    if not can(by, "knowledge.approve"):
        return ApprovalNeeded("A high-risk rule is published by an approver. Ask one to do it.")
    if latest.author_id == by.pk:
        return ApprovalNeeded(
            "You wrote this high-risk rule. Another approver must read and publish it."
        )
    return None


@transaction.atomic
def archive_unit(*, unit: KnowledgeUnit, by: User) -> KnowledgeUnit:
    """Take the rule away from agents; its history stays."""
    unit = _locked(unit.pk)
    if unit.live_id is not None:
        unit.hooks.all().delete()
        Publication.objects.create(unit=unit, revision=None, by=by)
    return _moved(unit, UnitStatus.ARCHIVED)


@transaction.atomic
def restore_unit(*, unit: KnowledgeUnit) -> KnowledgeUnit:
    """Bring an archived rule back as a draft; publishing it is a decision of its own."""
    unit = _locked(unit.pk)
    return _moved(unit, UnitStatus.DRAFT) if unit.status == UnitStatus.ARCHIVED else unit


def _moved(unit: KnowledgeUnit, status: UnitStatus) -> KnowledgeUnit:
    unit.status, unit.live, unit.updated_at = status, None, timezone.now()
    unit.save(update_fields=["status", "live", "updated_at"])
    return unit


def _lock(pks: Iterable[int]) -> Iterable[KnowledgeUnit]:
    """Lock in order of keys, so that two batches never wait for each other."""
    units = KnowledgeUnit.objects.select_for_update(of=("self",)).select_related("latest", "scene")
    return units.filter(pk__in=pks).order_by("pk")


def _locked(pk: int) -> KnowledgeUnit:
    return next(iter(_lock([pk])))


def _latest(unit: KnowledgeUnit) -> Revision:
    assert unit.latest is not None  # noqa: S101  # null only while the unit is being created
    return unit.latest


def _go_live(
    pairs: Sequence[tuple[KnowledgeUnit, Revision]], hooks: list[Vectored], by: User
) -> None:
    now = timezone.now()
    for unit, revision in pairs:
        if unit.latest_id != revision.pk:
            raise StaleEdit(f"{unit} was edited in this moment. Read the new text, then publish.")
        if refusal := why_not_publish(unit, by):
            raise refusal
        unit.live, unit.status, unit.updated_at = revision, UnitStatus.PUBLISHED, now
    units = [unit for unit, _ in pairs]
    Hook.objects.filter(unit__in=units).delete()
    Hook.objects.bulk_create([hook for hook, _ in hooks], batch_size=500)
    _write_vectors(hooks, {unit.pk: unit.scene_id for unit in units})
    KnowledgeUnit.objects.bulk_update(units, ["live", "status", "updated_at"], batch_size=500)
    Publication.objects.bulk_create(
        Publication(unit=unit, revision=revision, by=by, at=now) for unit, revision in pairs
    )


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


def _hooks_of(revisions: Sequence[Revision]) -> list[Vectored]:
    hooks = [
        Hook(unit_id=revision.unit_id, kind=kind, text=text)
        for revision in revisions
        for kind, text in hook_texts(revision)
    ]
    # Rules of one flow share conditions: each text is embedded once.
    texts = list(dict.fromkeys(hook.text for hook in hooks))
    vectors: dict[str, list[float]] = {}
    for start in range(0, len(texts), EMBED_BATCH):
        batch = texts[start : start + EMBED_BATCH]
        vectors |= zip(batch, embed_passages(batch), strict=True)
    return [(hook, vectors[hook.text]) for hook in hooks]


def _write_vectors(hooks: list[Vectored], scenes: dict[int, int]) -> None:
    index = live_index()
    HookVector.objects.bulk_create(
        (
            HookVector(
                index=index,
                hook=hook,
                unit_id=hook.unit_id,
                scene_id=scenes[hook.unit_id],
                embedding=vector,
            )
            for hook, vector in hooks
        ),
        batch_size=500,
    )


def _add_revision(unit: KnowledgeUnit, revision: Revision) -> None:
    revision.unit = unit
    revision.save(force_insert=True)
    unit.latest, unit.updated_at = revision, revision.created_at
    unit.save(update_fields=["latest", "updated_at"])


def _tidied(fields: RevisionFields) -> dict[str, Any]:
    """Strip the texts and drop empty or repeated wordings."""
    values: dict[str, Any] = dict(fields)
    for name in TEXT_FIELDS:
        if name in values:
            values[name] = values[name].replace("\r\n", "\n").strip()
    for name in {"questions", *AUDIENCE_FIELDS} & values.keys():
        texts = [text.strip() for text in values[name]]
        values[name] = list(dict.fromkeys(text for text in texts if text))
    for name in set(AUDIENCE_FIELDS) & values.keys():
        values[name] = [text.lower() for text in values[name]]
    return values


def _clean_revision(revision: Revision) -> Revision:
    errors: dict[str, str] = {}
    for name in TEXT_FIELDS:
        text = getattr(revision, name)
        if "\0" in text:
            errors[name] = "The text holds a NUL byte, which cannot be stored."
        elif len(text) > TEXT_LENGTH:  # TextField.max_length is a form's matter to Django
            errors[name] = f"At most {TEXT_LENGTH:,} characters; this has {len(text):,}."
    if any("\0" in question for question in revision.questions):
        errors["questions"] = "A wording holds a NUL byte, which cannot be stored."
    if len(revision.questions) > MAX_QUESTIONS:
        errors["questions"] = f"At most {MAX_QUESTIONS} other wordings."
    if errors:
        raise ValidationError(errors)
    revision.full_clean(exclude={"unit", "author", "number"})
    return revision


def _clean_name(external_id: str | None) -> str | None:
    name = (external_id or "").strip()
    if "\0" in name:
        raise ValidationError({"external_id": "The id holds a NUL byte, which cannot be stored."})
    return name or None


def _what_others_changed(unit: KnowledgeUnit, latest: Revision, based_on: int) -> str:
    seen = Revision.objects.filter(unit=unit, number=based_on).first()
    names = [n for n in REVISION_FIELDS if seen and getattr(seen, n) != getattr(latest, n)]
    what = "; ".join(f"{name} is now “{getattr(latest, name)}”" for name in names)
    return (
        f"{latest.author} saved revision {latest.number} at {latest.created_at:%H:%M} UTC, after "
        f"you opened revision {based_on}. {what or 'Its text differs'}. Take what you need from "
        "it and save again."
    )
