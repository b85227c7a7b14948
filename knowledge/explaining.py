"""Why a question does not find a rule that would fit: what the filters took away."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import F, Func, IntegerField, TextField, Value
from django.db.models.functions import Concat
from django.utils import timezone

from knowledge.models import (
    KnowledgeUnit,
    RetrievalSettings,
    Revision,
    Scene,
    UnitStatus,
    Words,
)
from knowledge.searching import AUDIENCE, Found, search
from wowconsole.roles import AnyUser

AT_MOST = 10  # rules told of, by each of the two ways
UNPUBLISHED_LOOKED_AT = 500  # newest drafts and archived rules: no index holds their words
ENOUGH_WORDS = 0.5  # share of the question's that such a rule holds


class SharedWords(Func):
    """How many words two texts have in common; takes two `Words`."""

    template = "cardinality(ARRAY(SELECT unnest(tsvector_to_array(%(expressions)s))))"
    arg_joiner = ")) INTERSECT SELECT unnest(tsvector_to_array("
    output_field = IntegerField()


@dataclass(frozen=True, slots=True)
class FilteredOut:
    """A rule that bears on the question, and in words why no agent may use it for it."""

    unit_id: int
    scene: str
    title: str
    content: str
    reasons: list[str]


def filtered_out(
    question: str,
    found: Sequence[Found],
    *,
    scene: Scene | None,
    audience: Mapping[str, str],
    visible_to: AnyUser,
    settings: RetrievalSettings,
) -> list[FilteredOut]:
    """Return the rules that fit the question but were not allowed, published ones first."""
    [fitting] = search(
        [question],
        scene=None,
        limit=AT_MOST + len(found),
        visible_to=visible_to,
        settings=settings,
        unfiltered=True,
    )
    known = {item.unit_id for item in found}
    pks = [item.unit_id for item in fitting if item.unit_id not in known][:AT_MOST]
    units = KnowledgeUnit.objects.select_related("scene", "live").in_bulk(pks)
    told = [_told(units[pk], scene, audience) for pk in pks]
    unpublished = _unpublished(question, visible_to)
    return [item for item in told if item.reasons] + unpublished


def _told(unit: KnowledgeUnit, scene: Scene | None, audience: Mapping[str, str]) -> FilteredOut:
    revision = unit.live or unit.latest
    assert revision is not None  # noqa: S101  # published, and null only while being created
    reasons = _reasons(unit, revision, scene, audience)
    return FilteredOut(unit.pk, unit.scene.slug, revision.title, revision.content, reasons)


def _reasons(
    unit: KnowledgeUnit, revision: Revision, scene: Scene | None, audience: Mapping[str, str]
) -> list[str]:
    if unit.status != UnitStatus.PUBLISHED:
        return ["a draft, never published" if unit.status == UnitStatus.DRAFT else "archived"]
    reasons = [*_when(revision, timezone.now()), *_for_whom(revision, audience)]
    if scene is not None and unit.scene_id != scene.pk:
        reasons.append(f"of another scene, {unit.scene.name}")
    return reasons


def _when(revision: Revision, now: datetime) -> list[str]:
    if revision.valid_from and revision.valid_from > now:
        return [f"not valid before {revision.valid_from:%Y-%m-%d %H:%M} UTC"]
    if revision.valid_until and revision.valid_until <= now:
        return [f"expired on {revision.valid_until:%Y-%m-%d %H:%M} UTC"]
    return []


def _for_whom(revision: Revision, audience: Mapping[str, str]) -> list[str]:
    reasons = []
    for name in AUDIENCE:
        allowed = getattr(revision, f"{name}s")
        given = audience.get(name, "").lower()
        if allowed and given not in allowed:
            who = f"the customer's is {given}" if given else "the customer's is not known"
            reasons.append(f"only for the {name} {' or '.join(allowed)}; {who}")
    return reasons


def _unpublished(question: str, visible_to: AnyUser) -> list[FilteredOut]:
    """Return drafts and archived rules with enough of the question's words."""
    newest = (
        KnowledgeUnit.objects.visible_to(visible_to)
        .exclude(status=UnitStatus.PUBLISHED)
        .order_by("-updated_at")[:UNPUBLISHED_LOOKED_AT]
    )
    asked = Words(Value(question))
    whole = Concat(
        *("latest__title", Value(" "), "latest__condition", Value(" "), "latest__content"),
        output_field=TextField(),
    )
    units = (
        KnowledgeUnit.objects.filter(pk__in=newest.values("pk"))
        .annotate(shared=SharedWords(Words(whole), asked), wanted=Func(asked, function="length"))
        .filter(shared__gt=0, shared__gte=ENOUGH_WORDS * F("wanted"))
        .select_related("scene", "latest")
        .order_by("-shared", "-updated_at")
    )
    return [_told(unit, None, {}) for unit in units[:AT_MOST]]
