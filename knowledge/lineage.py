"""Rules made of rules: merging several into one, splitting one into several.

What a rule was made of stays known, so that hits and labels of the sources count for it. A
trigger of the database refuses circles whoever writes the row.
"""

from collections.abc import Iterable, Sequence

from django.contrib.auth.models import User
from django.db import connection, transaction

from knowledge import services
from knowledge.models import KnowledgeUnit, Lineage, LineageKind, Revision, UnitStatus
from knowledge.publishing import latest_of, locked_units
from knowledge.texts import MAX_QUESTIONS, REVISION_FIELDS, RevisionFields
from wowconsole.errors import Invalid, Refused

MOST_SOURCES = 20
MOST_PARTS = 20
PART_TEXTS = ("title", "condition", "content")


class NotToMerge(Refused):
    code = "not_to_merge"


class CyclicMerge(Refused):
    code = "cyclic_merge"


class NotToSplit(Refused):
    code = "not_to_split"


@transaction.atomic
def merge_units(
    *,
    survivor: KnowledgeUnit,
    others: Sequence[KnowledgeUnit],
    fields: RevisionFields,
    by: User,
    based_on: int,
) -> KnowledgeUnit:
    """Save the merged text as the survivor's next revision and archive the others.

    Agents use the merged text once it is published; the others they stop using at once.

    Args:
        fields: the merged text; without questions, those of all rules are taken.
        based_on: number of the survivor's revision that the author had before their eyes.

    Raises:
        NotToMerge: archived, of another scene, the rule itself, or too many.
        CyclicMerge: the survivor was once merged into, or split off from what it would take in.
        StaleEdit, ValidationError: see `services.revise_unit`.
    """
    locked = {unit.pk: unit for unit in locked_units([survivor.pk, *_keys(others)])}
    into = locked[survivor.pk]
    sources = [locked[pk] for pk in dict.fromkeys(_keys(others)) if pk in locked]
    _refuse_merge(into, sources)
    merged: RevisionFields = {"questions": united_questions([into, *sources]), **fields}
    services.revise_unit(unit=into, author=by, based_on=based_on, **merged)
    for source in sources:
        services.archive_unit(unit=source, by=by)
        _note(source, into, LineageKind.MERGE, by)
    return KnowledgeUnit.objects.with_latest().get(pk=into.pk)


@transaction.atomic
def split_unit(
    *,
    unit: KnowledgeUnit,
    parts: Sequence[RevisionFields],
    by: User,
    based_on: int,
    keep: bool,
) -> list[KnowledgeUnit]:
    """Make drafts of the parts of a rule; what they don't say they take from it.

    Args:
        keep: the first part becomes the rule's own next revision, and the rule lives on;
            else all parts are new rules and the old one is archived at once.

    Raises:
        NotToSplit: archived, or not into two or more parts.
        StaleEdit: somebody saved another revision meanwhile.
        ValidationError: see `services.draft_unit`.
    """
    [unit] = locked_units([unit.pk])
    latest = latest_of(unit)
    _refuse_split(unit, parts)
    if latest.number != based_on:
        raise services.StaleEdit("This rule was edited meanwhile. Read the new text, then split.")
    first = [_kept(unit, parts[0], by, based_on)] if keep else []
    new = [_drafted(unit, latest, part, by) for part in parts[len(first) :]]
    for part in new:
        _note(unit, part, LineageKind.SPLIT, by)
    if not keep:
        services.archive_unit(unit=unit, by=by)
    return first + new


def united_questions(units: Iterable[KnowledgeUnit]) -> list[str]:
    """Return the other wordings of all units, and the titles of those after the first."""
    first, *rest = [latest_of(unit) for unit in units]
    texts = [*first.questions, *(text for one in rest for text in (one.title, *one.questions))]
    distinct: dict[str, str] = {}
    for text in texts:
        distinct.setdefault(text.casefold(), text)
    return list(distinct.values())[:MAX_QUESTIONS]


def ancestors(unit_pk: int) -> set[int]:
    """Return the keys of what a rule was made of, however long ago."""
    return _walk(ANCESTORS, unit_pk)


def descendants(unit_pk: int) -> set[int]:
    """Return the keys of what a rule has become part of, or was split into."""
    return _walk(DESCENDANTS, unit_pk)


def _keys(units: Iterable[KnowledgeUnit]) -> list[int]:
    return [unit.pk for unit in units]


def _refuse_merge(into: KnowledgeUnit, sources: Sequence[KnowledgeUnit]) -> None:
    if not sources:
        raise NotToMerge("Name at least one other rule to merge.")
    if len(sources) > MOST_SOURCES:
        raise NotToMerge(f"At most {MOST_SOURCES} rules are merged at once.")
    for source in sources:
        if source.pk == into.pk:
            raise NotToMerge(f"Rule {into.pk} can't be merged into itself.")
        if source.scene_id != into.scene_id:
            raise NotToMerge(
                f"Rule {source.pk} belongs to the scene {source.scene.name}, "
                f"rule {into.pk} to {into.scene.name}: merge rules of one scene."
            )
    for unit in (into, *sources):
        if unit.status == UnitStatus.ARCHIVED:
            raise NotToMerge(f"Rule {unit.pk} is archived. Restore it first, then merge.")
    _refuse_cycle(into, sources)


def _refuse_cycle(into: KnowledgeUnit, sources: Sequence[KnowledgeUnit]) -> None:
    after = descendants(into.pk)
    for source in sources:
        if source.pk in after:
            raise CyclicMerge(
                f"Rule {source.pk} was made of rule {into.pk}: merging it back would go in "
                f"circles. Merge rule {into.pk} into rule {source.pk} instead."
            )


def _refuse_split(unit: KnowledgeUnit, parts: Sequence[RevisionFields]) -> None:
    if unit.status == UnitStatus.ARCHIVED:
        raise NotToSplit("This rule is archived. Restore it first, then split it.")
    if not 2 <= len(parts) <= MOST_PARTS:
        raise NotToSplit(f"A rule is split into 2 to {MOST_PARTS} parts.")
    texts = [tuple(part.get(name, "") for name in PART_TEXTS) for part in parts]
    if len(set(texts)) < len(texts):
        raise Invalid("Two parts are the same.")


def _kept(unit: KnowledgeUnit, part: RevisionFields, by: User, based_on: int) -> KnowledgeUnit:
    return services.revise_unit(unit=unit, author=by, based_on=based_on, **part)


def _drafted(
    unit: KnowledgeUnit, latest: Revision, part: RevisionFields, by: User
) -> KnowledgeUnit:
    # Wordings belong to one part: customers who use them would else be shown every part.
    values = {name: getattr(latest, name) for name in REVISION_FIELDS if name != "questions"}
    fields = RevisionFields(**values | part)  # type: ignore[typeddict-item]  # names from the tuple
    return services.draft_unit(author=by, scene=unit.scene, **fields)


def _note(source: KnowledgeUnit, target: KnowledgeUnit, kind: LineageKind, by: User) -> None:
    Lineage.objects.get_or_create(source=source, target=target, defaults={"kind": kind, "by": by})


def _walk(sql: str, unit_pk: int) -> set[int]:
    with connection.cursor() as cursor:
        cursor.execute(sql, [unit_pk])
        return {key for (key,) in cursor.fetchall()}


# UNION, not UNION ALL: an end even if the rows held a circle.
ANCESTORS = """
WITH RECURSIVE before (id) AS (
    SELECT source_id FROM knowledge_lineage WHERE target_id = %s
    UNION
    SELECT lineage.source_id
    FROM knowledge_lineage AS lineage JOIN before ON lineage.target_id = before.id
)
SELECT id FROM before
"""
DESCENDANTS = """
WITH RECURSIVE after (id) AS (
    SELECT target_id FROM knowledge_lineage WHERE source_id = %s
    UNION
    SELECT lineage.target_id
    FROM knowledge_lineage AS lineage JOIN after ON lineage.source_id = after.id
)
SELECT id FROM after
"""
