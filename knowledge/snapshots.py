"""Named pictures of what was live, and what has changed between two of them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import Count, Q, QuerySet

from knowledge.differing import Piece, differences
from knowledge.models import KnowledgeUnit, Revision, Scene, Snapshot, SnapshotEntry
from knowledge.texts import not_storable
from wowconsole.errors import Invalid
from wowconsole.roles import AnyUser, sees_every_scene

TAKE = """
INSERT INTO knowledge_snapshotentry (snapshot_id, unit_id, revision_id)
SELECT %(snapshot)s, id, live_id FROM knowledge_knowledgeunit
WHERE live_id IS NOT NULL AND (%(scene)s::bigint IS NULL OR scene_id = %(scene)s)
"""
IN_SNAPSHOT = (
    "SELECT unit_id, revision_id FROM knowledge_snapshotentry WHERE snapshot_id = %({side})s"
)
LIVE_NOW = (
    "SELECT id AS unit_id, live_id AS revision_id FROM knowledge_knowledgeunit "
    "WHERE live_id IS NOT NULL AND %({side})s::bigint IS NULL"
)
# What differs in either direction, of the scenes that count; the whole count beside each row.
CHANGES = """
WITH earlier AS ({earlier}), later AS ({later})
SELECT unit.id, earlier.revision_id, later.revision_id, count(*) OVER (),
       count(*) FILTER (WHERE earlier.revision_id IS NULL) OVER (),
       count(*) FILTER (WHERE later.revision_id IS NULL) OVER ()
FROM earlier FULL JOIN later USING (unit_id)
JOIN knowledge_knowledgeunit unit ON unit.id = unit_id
WHERE earlier.revision_id IS DISTINCT FROM later.revision_id AND unit.scene_id = ANY(%(scenes)s)
ORDER BY unit.id LIMIT %(limit)s OFFSET %(offset)s
"""


@dataclass(frozen=True)
class Change:
    """One rule that differs: `earlier` is null where it was added, `later` where removed."""

    unit: KnowledgeUnit
    earlier: Revision | None
    later: Revision | None
    fields: list[tuple[str, list[Piece]]]

    @property
    def kind(self) -> str:
        if self.earlier is None:
            return "added"
        return "removed" if self.later is None else "changed"


@dataclass(frozen=True)
class Comparison:
    """A page of changes, and how many there are in all."""

    changes: list[Change]
    total: int
    added: int
    removed: int

    @property
    def changed(self) -> int:
        return self.total - self.added - self.removed


def visible_to(user: AnyUser) -> QuerySet[Snapshot]:
    """Return the snapshots of the user's scenes, and those of the whole base."""
    snapshots = Snapshot.objects.select_related("scene", "by")
    if sees_every_scene(user):
        return snapshots
    return snapshots.filter(Q(scene=None) | Q(scene__in=Scene.objects.visible_to(user)))


def take(*, name: str, by: User, scene: Scene | None = None, comment: str = "") -> Snapshot:
    """Keep what is live now, by name: one statement, so one consistent picture.

    Raises:
        ValidationError: the name is empty, too long or taken.
        Invalid: the whole base is for those who see every scene.
    """
    if scene is None and not sees_every_scene(by):
        raise Invalid("Choose a scene: only administrators take the whole base.")
    if fault := not_storable([name, comment]):
        raise Invalid(fault)
    snapshot = Snapshot(name=name.strip(), scene=scene, comment=comment.strip(), by=by)
    with transaction.atomic():
        snapshot.full_clean(exclude={"by"})
        snapshot.save()
        with connection.cursor() as cursor:
            cursor.execute(TAKE, {"snapshot": snapshot.pk, "scene": scene.pk if scene else None})
    return snapshot


def compare(
    earlier: Snapshot, later: Snapshot | None, *, user: AnyUser, start: int = 0, limit: int = 50
) -> Comparison:
    """Say how `later`, or what is live now, differs from `earlier` in the user's scenes.

    Where one side holds a single scene, only that scene is compared.

    Raises:
        Invalid: the two hold different scenes.
    """
    rows = _rows(earlier, later, _scenes(earlier, later, user), start, limit)
    if not rows:
        return Comparison([], 0, 0, 0)
    total, added, removed = rows[0][3:]
    return Comparison(_changes(rows), total, added, removed)


def sizes(taken: Iterable[Snapshot]) -> Counter[int]:
    """Count the rules in each snapshot, by its key."""
    entries = SnapshotEntry.objects.filter(snapshot__in=[snapshot.pk for snapshot in taken])
    counted = entries.order_by().values_list("snapshot").annotate(Count("pk"))
    return Counter(dict(counted))


def _scenes(earlier: Snapshot, later: Snapshot | None, user: AnyUser) -> list[int]:
    limits = {snapshot.scene_id for snapshot in (earlier, later) if snapshot and snapshot.scene_id}
    if len(limits) > 1:
        raise Invalid("These two snapshots hold different scenes: there is nothing to compare.")
    scenes = Scene.objects.visible_to(user)
    return list((scenes.filter(pk__in=limits) if limits else scenes).values_list("pk", flat=True))


def _rows(
    earlier: Snapshot, later: Snapshot | None, scenes: list[int], start: int, limit: int
) -> list[tuple[Any, ...]]:
    statement = CHANGES.format(
        earlier=IN_SNAPSHOT.format(side="earlier"),
        later=(IN_SNAPSHOT if later else LIVE_NOW).format(side="later"),
    )
    values = {
        "earlier": earlier.pk,
        "later": later.pk if later else None,
        "scenes": scenes,
        "limit": limit,
        "offset": start,
    }
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())


def _changes(rows: Sequence[tuple[Any, ...]]) -> list[Change]:
    units = KnowledgeUnit.objects.with_latest().in_bulk([row[0] for row in rows])
    keys = {key for row in rows for key in row[1:3] if key}
    revisions = Revision.objects.in_bulk(keys)
    pairs = [(units[row[0]], revisions.get(row[1]), revisions.get(row[2])) for row in rows]
    return [
        Change(unit, old, new, differences(old, new) if old and new else [])
        for unit, old, new in pairs
    ]
