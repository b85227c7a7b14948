"""Rows of files to rules: what is written, what is published, and a report line per row."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, cast

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.text import slugify

from knowledge import conflicts, publishing, services
from knowledge.exporting import referred
from knowledge.indexing import EmbeddingUnavailable, analyse
from knowledge.models import KnowledgeUnit, Revision, Scene
from knowledge.reading import Row
from knowledge.rows import fields_of, in_words, plain, revision_of, text_of, value_of
from knowledge.texts import REVISION_FIELDS, check_revision, clean_name, tidied
from wowconsole.errors import Refused

PUBLISH_BATCH = 100  # rules embedded and published together
EDITED_SINCE = "The row is as it was exported, but the rule was edited here since."

Known = dict[tuple[int, str], KnowledgeUnit]  # by scene and external id


@dataclass(frozen=True)
class Line:
    """What became of one row. `action`: created, revised, unchanged, drafted, refused."""

    line: int
    external_id: str | None
    action: str
    error: str = ""
    unit: int | None = None  # null in a dry run's new rules, and where nothing was written
    revision: int | None = None  # number of the text that the row stands for; null likewise


@dataclass(frozen=True)
class Draft:
    """What one row asks for: a text to store, or why there is none."""

    number: int
    name: str | None
    action: str
    error: str = ""
    unit: KnowledgeUnit | None = None
    revision: Revision | None = None

    def line(self) -> Line:
        if self.unit is None:
            return Line(self.number, self.name, self.action, self.error)
        text = self.revision or publishing.latest_of(self.unit)
        return Line(self.number, self.name, self.action, self.error, self.unit.pk, text.number)


@dataclass(frozen=True)
class Import:
    """How rows become rules: who writes them, where, and whether they go live.

    Args:
        scenes: scenes that rows may name, by slug.
        scene: overrides what the rows say.
        make_scene: called with an unknown slug; None refuses such rows.
        publisher: publishes what was written; None leaves drafts.
    """

    author: User
    scenes: dict[str, Scene]
    scene: Scene | None = None
    make_scene: Callable[[str], Scene] | None = None
    publisher: User | None = None
    # Lines by scene and external id: a second row of the same name is a mistake.
    _seen: dict[tuple[str, str], int] = field(default_factory=dict, init=False)

    def run(self, rows: Iterable[Row], *, dry_run: bool = False) -> list[Line]:
        """Write every row that can be written; a bad one is reported and skipped.

        A row with an external id that its scene knows becomes a revision of that rule.
        A dry run does all of it and rolls it back, so that its report is the truth.
        """
        if not dry_run:
            return list(self._written_and_published(rows))
        return [line for batch in batches(rows, PUBLISH_BATCH) for line in self.rehearse(batch)]

    def rehearse(self, rows: Sequence[Row]) -> list[Line]:
        """Write some rows and roll them back: what the lines say is the truth, nothing stays."""
        scenes = dict(self.scenes)
        with transaction.atomic():
            lines = self.write(rows)
            transaction.set_rollback(True)
        self.scenes.clear()  # without those that were made
        self.scenes.update(scenes)
        return [
            line if line.action == "unchanged" else replace(line, unit=None, revision=None)
            for line in lines
        ]

    def _written_and_published(self, rows: Iterable[Row]) -> Iterator[Line]:
        for batch in batches(rows, PUBLISH_BATCH):
            lines = self.write(batch)
            refused = publish(publishable(lines), self.publisher) if self.publisher else {}
            yield from (drafted(line, refused) for line in lines)
        if self.publisher:
            analyse()

    @transaction.atomic
    def write(self, rows: Sequence[Row]) -> list[Line]:
        """Write some rows as drafts; the lines say what publishing will refuse, too."""
        self._lock_scenes(rows)
        known = self._known(rows)
        drafts = [self._read_row(number, values, known) for number, values in rows]
        _store([draft for draft in drafts if draft.revision])
        units = [draft.unit for draft in drafts if draft.unit]
        refused = publishing.refusals(units, self.publisher) if self.publisher else {}
        conflicts.check_later([draft.unit.pk for draft in drafts if draft.unit and draft.revision])
        return [drafted(draft.line(), refused) for draft in drafts]

    def _lock_scenes(self, rows: Sequence[Row]) -> None:
        """Of two imports that take one name at once, the second sees the first."""
        named = {self._slug(values) for _, values in rows}
        scenes = [self.scene] if self.scene else [self.scenes.get(slug) for slug in named]
        pks = [scene.pk for scene in scenes if scene]
        list(Scene.objects.select_for_update(no_key=True).filter(pk__in=pks).order_by("pk"))

    def remember(self, rows: Iterable[Row]) -> None:
        """Take note of rows that were written before, so that their names stay taken."""
        for number, values in rows:
            if name := plain(values, "external_id"):
                self._seen.setdefault((self._slug(values), name), number)

    def _known(self, rows: Sequence[Row]) -> Known:
        names = {plain(values, "external_id") for _, values in rows} - {""}
        scenes = [self.scene] if self.scene else list(self.scenes.values())
        units = KnowledgeUnit.objects.filter(scene__in=scenes, external_id__in=names)
        return {
            (unit.scene_id, unit.external_id): unit
            for unit in units.select_related("latest", "live").locked()
            if unit.external_id
        }

    def _slug(self, values: dict[str, Any]) -> str:
        return self.scene.slug if self.scene else plain(values, "scene")

    def _read_row(self, number: int, values: dict[str, Any], known: Known) -> Draft:
        name = None
        try:
            name = text_of(value_of(values, "external_id")) or None
            self._take_name(name, self._slug(values), number)
            return self._planned(number, values, name, known)
        except ValidationError as error:
            return Draft(number, name, "refused", in_words(error))
        except Refused as error:
            return Draft(number, name, "refused", str(error))

    def _take_name(self, name: str | None, slug: str, number: int) -> None:
        if name is None:
            return
        first = self._seen.setdefault((slug, name), number)
        if first != number:
            raise ValidationError({"external_id": f"Line {first} has the same external id."})

    def _planned(
        self, number: int, values: dict[str, Any], name: str | None, known: Known
    ) -> Draft:
        scene, fields = self._scene_of(values), tidied(cast(Any, fields_of(values)))
        unit = known.get((scene.pk, name)) if name else None
        if unit is None and name:
            unit = referred(name, scene.units.select_related("latest", "live"))
        if unit is None:
            return Draft(number, name, "created", "", *self._new(scene, name, fields))
        latest = publishing.latest_of(unit)
        if all(getattr(latest, key) == value for key, value in fields.items()):
            return Draft(number, name, "unchanged", "", unit)
        based_on = revision_of(values, latest.number)
        if based_on != latest.number and _untouched(unit, based_on, fields):
            return Draft(number, name, "unchanged", EDITED_SINCE)  # nor published: not its text
        if based_on != latest.number:  # says what others changed
            services.revise_unit(unit=unit, author=self.author, based_on=based_on, **fields)
        texts = {key: getattr(latest, key) for key in REVISION_FIELDS} | fields
        revision = Revision(number=latest.number + 1, author=self.author, **texts)
        check_revision(revision)
        return Draft(number, name, "revised", "", unit, revision)

    def _new(
        self, scene: Scene, name: str | None, fields: dict[str, Any]
    ) -> tuple[KnowledgeUnit, Revision]:
        revision = Revision(number=1, author=self.author, **fields)
        check_revision(revision)
        unit = KnowledgeUnit(scene=scene, owner=self.author, external_id=clean_name(name))
        unit.clean_fields(exclude={"scene", "owner", "latest", "live"})
        return unit, revision

    def _scene_of(self, values: dict[str, Any]) -> Scene:
        if self.scene:
            return self.scene
        slug = text_of(value_of(values, "scene"))
        if not slug:
            raise ValidationError({"scene": "Name a scene."})
        if slug not in self.scenes:
            if self.make_scene is None or slug != slugify(slug):
                raise ValidationError({"scene": f"There is no scene “{slug[:50]}” you work in."})
            self.scenes[slug] = self.make_scene(slug)
        return self.scenes[slug]


def _untouched(unit: KnowledgeUnit, number: int, fields: Mapping[str, Any]) -> bool:
    """Say whether a row still says what it said when it was exported."""
    seen = Revision.objects.filter(unit=unit, number=number).first()
    return seen is not None and all(getattr(seen, key) == value for key, value in fields.items())


def _store(drafts: Sequence[Draft]) -> None:
    """Store the texts of a batch, and the rules that are new, in three statements."""
    pairs = [(draft.unit, draft.revision) for draft in drafts if draft.unit and draft.revision]
    KnowledgeUnit.objects.bulk_create([unit for unit, _ in pairs if unit._state.adding])
    for unit, revision in pairs:
        revision.unit = unit
    Revision.objects.bulk_create([revision for _, revision in pairs])
    for unit, revision in pairs:
        unit.latest, unit.updated_at = revision, revision.created_at
    KnowledgeUnit.objects.bulk_update([unit for unit, _ in pairs], ["latest", "updated_at"])


def batches(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    iterator = iter(rows)
    while batch := list(islice(iterator, size)):
        yield batch


def publishable(lines: Iterable[Line]) -> dict[int, int]:
    """Return the texts that went in and that nothing keeps from being published.

    Numbers of revisions by the rules' keys.
    """
    actions = {"created", "revised", "unchanged"}
    texts = [(line.unit, line.revision) for line in lines if line.action in actions]
    return {unit: number for unit, number in texts if unit and number}


def publish(numbers: Mapping[int, int], by: User) -> dict[int, Refused]:
    """Publish what can be published; returns what was refused, by key.

    Args:
        numbers: of the revisions, by the rules' keys; what was edited since is refused.

    Raises:
        EmbeddingUnavailable: nothing more can be published now.
    """
    units = list(KnowledgeUnit.objects.filter(pk__in=numbers))
    try:
        services.publish_many(units=units, by=by, seen=numbers)
    except EmbeddingUnavailable:
        raise
    except Refused as refusal:
        if len(units) == 1:
            return {units[0].pk: refusal}
        # One of them stopped all: let the others pass.
        alone = ({unit.pk: numbers[unit.pk]} for unit in units)
        return {pk: why for one in alone for pk, why in publish(one, by).items()}
    return {}


def drafted(line: Line, refused: dict[int, Refused]) -> Line:
    """Return the line as it is after publishing was refused for these rules."""
    refusal = refused.get(line.unit or 0)
    if refusal is None:
        return line
    waits = "Waits for approval. " if isinstance(refusal, services.ApprovalNeeded) else ""
    return replace(line, action="drafted", error=f"{waits}{refusal}")


def make_scene(slug: str) -> Scene:
    return Scene.objects.create(slug=slug, name=slug.replace("_", " ").replace("-", " ").title())
