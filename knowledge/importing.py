"""Rules in and out as files: CSV and JSONL, one report line per row."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import IO, Any, cast

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.text import slugify

from knowledge import services
from knowledge.models import KnowledgeUnit, Risk, Scene
from wowconsole.errors import Invalid, Refused

COLUMNS = [
    *("external_id", "scene", "title", "condition", "content", "questions"),
    *("priority", "risk", "valid_from", "valid_until", "source"),
]
# Other people's names for our columns: the first that is present counts.
ALIASES = {"external_id": ("id",), "scene": ("flow",)}
PUBLISH_BATCH = 100  # rules embedded and published together
UPLOAD_ROWS = 500  # embedded while the browser waits
MAX_LINE = 100_000  # characters: a longer line is not a rule

# A spreadsheet runs a cell that starts so; one apostrophe in front keeps it a text.
FORMULA = re.compile(r"'*[=+\-@\t\r]")

Row = tuple[int, dict[str, Any]]  # line number in the file, values by column


@dataclass(frozen=True)
class Line:
    """What became of one row. `action`: created, revised, unchanged, drafted, refused."""

    line: int
    external_id: str | None
    action: str
    error: str = ""


def read_rows(file: IO[bytes], name: str) -> Iterator[Row]:
    """Read a .csv or .jsonl file, UTF-8, lazily.

    Raises:
        Invalid: the format is another, the text is not UTF-8, or a line can't be read.
    """
    reader = {"csv": _csv_rows, "jsonl": _jsonl_rows}.get(name.rpartition(".")[2].lower())
    if reader is None:
        raise Invalid("Rules are read from .csv and .jsonl. Save a spreadsheet as CSV (UTF-8).")
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    try:
        yield from reader(text)
    except UnicodeDecodeError as error:
        raise Invalid(f"The file is not UTF-8 text: {error.reason}.") from None
    finally:
        text.detach()  # the caller's file stays open


def read_few(file: IO[bytes], name: str) -> list[Row]:
    """Read an upload's rows; raises Invalid above UPLOAD_ROWS and as `read_rows`."""
    rows = list(islice(read_rows(file, name), UPLOAD_ROWS + 1))
    if len(rows) > UPLOAD_ROWS:
        raise Invalid(f"More than {UPLOAD_ROWS} rules: use `manage.py import_knowledge`.")
    return rows


def _csv_rows(text: IO[str]) -> Iterator[Row]:
    reader = csv.DictReader(text, strict=True)
    try:
        missing = {"title", "condition", "content"} - set(reader.fieldnames or ())
        if missing:
            raise Invalid(f"The first line must name the columns; missing: {sorted(missing)}.")
        for row in reader:
            values = {key: _unguarded(value or "") for key, value in row.items() if key}
            yield reader.line_num, values
    except csv.Error as error:
        raise Invalid(f"Line {reader.line_num} is not CSV: {error}.") from None


def _jsonl_rows(text: IO[str]) -> Iterator[Row]:
    for number, line in enumerate(text, start=1):
        if not line.strip():
            continue
        if len(line) > MAX_LINE:
            raise Invalid(f"Line {number} is longer than {MAX_LINE:,} characters.")
        try:
            values = json.loads(line)
            json.dumps(values, ensure_ascii=False).encode()  # no halves of surrogate pairs
        except (ValueError, RecursionError):
            raise Invalid(f"Line {number} is not a JSON object.") from None
        if not isinstance(values, dict):
            raise Invalid(f"Line {number} is not a JSON object.")
        yield number, values


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

    def run(self, rows: Iterable[Row], *, dry_run: bool = False) -> list[Line]:
        """Write every row that can be written; a bad one is reported and skipped.

        A row with an external id that its scene knows becomes a revision of that rule.
        A dry run does all of it and rolls it back, so that its report is the truth.
        """
        if not dry_run:
            return self._write(rows)
        with transaction.atomic():
            report = self._write(rows, embed=False)
            transaction.set_rollback(True)
        return report

    def _write(self, rows: Iterable[Row], *, embed: bool = True) -> list[Line]:
        report: list[Line] = []
        waiting: list[KnowledgeUnit] = []
        for number, values in rows:
            line, unit = self._write_row(number, values)
            report.append(line)
            if unit and embed and line.action != "drafted":
                waiting.append(unit)
            if len(waiting) >= PUBLISH_BATCH:
                self._publish(waiting)
        self._publish(waiting)
        return report

    def _publish(self, waiting: list[KnowledgeUnit]) -> None:
        if self.publisher and waiting:
            unique = list({unit.pk: unit for unit in waiting}.values())
            services.publish_many(units=unique, by=self.publisher)
        waiting.clear()

    def _write_row(self, number: int, values: dict[str, Any]) -> tuple[Line, KnowledgeUnit | None]:
        name = None
        try:
            name = _text(_value(values, "external_id")) or None
            with transaction.atomic():
                action, unit = self._upsert(values, name)
        except ValidationError as error:
            return Line(number, name, "refused", _in_words(error)), None
        except Refused as error:
            return Line(number, name, "refused", str(error)), None
        if self.publisher and (refusal := services.why_not_publish(unit, self.publisher)):
            return Line(number, name, "drafted", str(refusal)), unit
        return Line(number, name, action), unit

    def _upsert(self, values: dict[str, Any], name: str | None) -> tuple[str, KnowledgeUnit]:
        scene, fields = self._scene_of(values), _fields(values)
        known = KnowledgeUnit.objects.filter(scene=scene, external_id=name).select_related("latest")
        unit = known.first() if name else None
        if unit is None:
            made = services.draft_unit(
                author=self.author, scene=scene, external_id=name, **cast(Any, fields)
            )
            return "created", made
        number = unit.latest.number if unit.latest else 0
        revised = services.revise_unit(
            unit=unit, author=self.author, based_on=number, **cast(Any, fields)
        )
        return ("unchanged" if revised.latest_id == unit.latest_id else "revised"), revised

    def _scene_of(self, values: dict[str, Any]) -> Scene:
        if self.scene:
            return self.scene
        slug = _text(_value(values, "scene"))
        if not slug:
            raise ValidationError({"scene": "Name a scene."})
        if slug not in self.scenes:
            if self.make_scene is None or slug != slugify(slug):
                raise ValidationError({"scene": f"There is no scene “{slug[:50]}” you work in."})
            self.scenes[slug] = self.make_scene(slug)
        return self.scenes[slug]


def make_scene(slug: str) -> Scene:
    return Scene.objects.create(slug=slug, name=slug.replace("_", " ").replace("-", " ").title())


def _value(values: dict[str, Any], column: str) -> Any:
    names = (column, *ALIASES.get(column, ()))
    return next((values[name] for name in names if values.get(name) not in (None, "")), None)


def _text(value: Any) -> str:
    if isinstance(value, dict | list | bool):
        raise ValidationError(f"{str(value)[:80]} is not a text.")
    return "" if value is None else str(value).strip()


def _fields(values: dict[str, Any]) -> dict[str, Any]:
    """Read the columns of a revision; a column that is absent keeps its value."""
    readers: dict[str, Callable[[Any], Any]] = {
        **dict.fromkeys(services.REVISION_FIELDS, _text),
        **dict.fromkeys(("questions", "channels", "segments", "regions"), _questions),
        "priority": _priority,
        "risk": _risk,
        "valid_from": _moment,
        "valid_until": _moment,
    }
    required = dict.fromkeys(("title", "condition", "content"), "")  # empty is reported
    present = [column for column in services.REVISION_FIELDS if column in values]
    return required | {column: readers[column](values[column]) for column in present}


def _risk(value: Any) -> str:
    return _text(value).lower() or Risk.LOW


def _questions(value: Any) -> list[str]:
    items = value if isinstance(value, list) else str(value or "").splitlines()
    return [_text(item) for item in items]


def _priority(value: Any) -> int:
    try:
        return int(_text(value) or 0)
    except ValueError:
        raise ValidationError({"priority": f"“{value}” is not a whole number."}) from None


def _moment(value: Any) -> datetime | None:
    if not (text := _text(value)):
        return None
    try:
        moment = parse_datetime(text) or parse_datetime(f"{text}T00:00")
    except ValueError:
        moment = None
    if moment is None:
        raise ValidationError(f"“{text[:40]}” is not a time such as 2026-03-01T09:00+08:00.")
    return timezone.make_aware(moment) if timezone.is_naive(moment) else moment


def _in_words(error: ValidationError) -> str:
    if not hasattr(error, "error_dict"):
        return " ".join(error.messages)
    return " ".join(f"{name}: {' '.join(texts)}" for name, texts in error.message_dict.items())


def export_rows(units: Iterable[KnowledgeUnit]) -> Iterator[dict[str, Any]]:
    """Yield the latest text of each unit by column; the units come `with_latest()`."""
    for unit in units:
        if unit.latest is None:
            continue
        own = {"external_id": unit.external_id, "scene": unit.scene.slug}
        yield own | {name: getattr(unit.latest, name) for name in services.REVISION_FIELDS}


def as_jsonl(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Yield one line per rule."""
    for row in rows:
        yield json.dumps(row, ensure_ascii=False, default=datetime.isoformat) + "\n"


def as_csv(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Yield CSV lines that no spreadsheet takes for formulas and `read_rows` reads back."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    for cells in ([*COLUMNS], *([_cell(row[name]) for name in COLUMNS] for row in rows)):
        writer.writerow(cells)
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


def _cell(value: Any) -> str:
    if isinstance(value, int):
        return str(value)  # a negative priority is a number, not a formula
    if isinstance(value, datetime):
        return value.isoformat()
    text = "\n".join(value) if isinstance(value, list) else str(value or "")
    return f"'{text}" if FORMULA.match(text) else text


def _unguarded(text: str) -> str:
    return text[1:] if text.startswith("'") and FORMULA.match(text) else text
