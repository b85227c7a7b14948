"""What people do with rules: draft, revise, publish, archive, restore."""

from typing import Unpack

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from knowledge.differing import COMPARED, shown
from knowledge.models import KnowledgeUnit, Publication, Revision, Scene, UnitStatus
from knowledge.publishing import ApprovalNeeded as ApprovalNeeded
from knowledge.publishing import Contradiction as Contradiction
from knowledge.publishing import StaleEdit as StaleEdit
from knowledge.publishing import UnitArchived as UnitArchived
from knowledge.publishing import hook_texts as hook_texts
from knowledge.publishing import latest_of as latest_of
from knowledge.publishing import locked_unit
from knowledge.publishing import publish_many as publish_many
from knowledge.publishing import publish_unit as publish_unit
from knowledge.publishing import why_not_publish as why_not_publish
from knowledge.texts import AUDIENCE_FIELDS as AUDIENCE_FIELDS
from knowledge.texts import REVISION_FIELDS as REVISION_FIELDS
from knowledge.texts import RevisionFields as RevisionFields
from knowledge.texts import clean_name, clean_revision, tidied
from wowconsole.errors import Invalid
from wowconsole.roles import CAPABILITIES


@transaction.atomic
def draft_unit(
    *, author: User, scene: Scene, external_id: str | None = None, **fields: Unpack[RevisionFields]
) -> KnowledgeUnit:
    """Write a new rule that agents don't use yet.

    Raises:
        ValidationError: a text is empty or too long, the external id is taken in the
            scene, or the rule ends before it begins.
    """
    revision = clean_revision(Revision(number=1, author=author, **tidied(fields)))
    unit = KnowledgeUnit(scene=scene, owner=author, external_id=clean_name(external_id))
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
    unit = locked_unit(unit.pk)
    latest = latest_of(unit)
    changes = tidied(fields)
    if latest.number != based_on:
        raise StaleEdit(_what_others_changed(unit, latest, based_on))
    if all(getattr(latest, name) == value for name, value in changes.items()):
        return unit
    values = {name: getattr(latest, name) for name in REVISION_FIELDS} | changes
    revision = Revision(number=latest.number + 1, author=author, **values)
    _add_revision(unit, clean_revision(revision))
    return unit


def restore_revision(
    *, unit: KnowledgeUnit, author: User, number: int, based_on: int
) -> KnowledgeUnit:
    """Save the text of an earlier revision as the newest one; it is not published yet."""
    old = Revision.objects.get(unit=unit, number=number)
    fields = RevisionFields(**{name: getattr(old, name) for name in REVISION_FIELDS})  # type: ignore[typeddict-item]  # names from the tuple above
    return revise_unit(unit=unit, author=author, based_on=based_on, **fields)


@transaction.atomic
def archive_unit(*, unit: KnowledgeUnit, by: User) -> KnowledgeUnit:
    """Take the rule away from agents; its history stays."""
    unit = locked_unit(unit.pk)
    if unit.live_id is not None:
        unit.hooks.all().delete()
        Publication.objects.create(unit=unit, revision=None, by=by)
    return _moved(unit, UnitStatus.ARCHIVED)


@transaction.atomic
def restore_unit(*, unit: KnowledgeUnit) -> KnowledgeUnit:
    """Bring an archived rule back as a draft; publishing it is a decision of its own."""
    unit = locked_unit(unit.pk)
    return _moved(unit, UnitStatus.DRAFT) if unit.status == UnitStatus.ARCHIVED else unit


def change_owner(*, unit: KnowledgeUnit, owner: User) -> KnowledgeUnit:
    """Name whom colleagues ask about the rule.

    Raises:
        Invalid: they do not work in the rule's scene.
    """
    if not possible_owners(unit).filter(pk=owner.pk).exists():
        raise Invalid(f"{owner} does not keep rules of {unit.scene.name}.")
    unit.owner, unit.updated_at = owner, timezone.now()
    unit.save(update_fields=["owner", "updated_at"])
    return unit


def possible_owners(unit: KnowledgeUnit) -> QuerySet[User]:
    """Return who may write rules and works in the unit's scene, and who owns it now."""
    writers = [role for role, granted in CAPABILITIES.items() if "knowledge.write" in granted]
    in_scene = Q(scenes=unit.scene_id, groups__name__in=writers) | Q(groups__name="admin")
    people = User.objects.filter(in_scene | Q(is_superuser=True), is_active=True)
    return User.objects.filter(Q(pk__in=people.values("pk")) | Q(pk=unit.owner_id)).order_by(
        "username"
    )


def _moved(unit: KnowledgeUnit, status: UnitStatus) -> KnowledgeUnit:
    unit.status, unit.live, unit.updated_at = status, None, timezone.now()
    unit.save(update_fields=["status", "live", "updated_at"])
    return unit


def _add_revision(unit: KnowledgeUnit, revision: Revision) -> None:
    revision.unit = unit
    revision.save(force_insert=True)
    unit.latest, unit.updated_at = revision, revision.created_at
    unit.save(update_fields=["latest", "updated_at"])


def _what_others_changed(unit: KnowledgeUnit, latest: Revision, based_on: int) -> str:
    seen = Revision.objects.filter(unit=unit, number=based_on).first()
    names = [n for n in REVISION_FIELDS if seen and getattr(seen, n) != getattr(latest, n)]
    what = "; ".join(f"{COMPARED[name]}: now “{shown(latest, name)}”" for name in names)
    return (
        f"{latest.author} saved revision {latest.number} at {latest.created_at:%H:%M} UTC, after "
        f"you opened revision {based_on}. {what or 'Its text differs'}. Take what you need from "
        "it and save again."
    )
