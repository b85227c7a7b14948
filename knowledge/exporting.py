"""Rules to files that a spreadsheet takes for no program and that `reading` reads back."""

import csv
import hashlib
import io
import json
import re
import tempfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import IO, Any, cast

from knowledge.models import KnowledgeUnit, UnitQuerySet
from knowledge.reading import COLUMNS, FORMULA, listed
from knowledge.services import AUDIENCE_FIELDS, REVISION_FIELDS

EXPORTED = (*COLUMNS, "revision")
KINDS = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/jsonl; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
ROWS_AT_ONCE = 2000  # read from the database; the rest waits there
SPOOL_BYTES = 4 * 1024 * 1024  # a larger workbook waits on disk, not in memory
# What XML can't hold, and the `_` of what only looks like an escape.
NOT_XML = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")

ExportRow = dict[str, Any]


def export_rows(units: UnitQuerySet) -> Iterator[ExportRow]:
    """Yield the latest text of each unit by column, oldest unit first, in one query."""
    own = ("pk", "created_at", "external_id", "scene__slug", "latest__number")
    texts = [f"latest__{name}" for name in REVISION_FIELDS]
    rows = units.filter(latest__isnull=False).order_by("pk").values_list(*own, *texts)
    for row in rows.iterator(chunk_size=ROWS_AT_ONCE):
        pk, created_at, external_id, slug, number, *values = cast(Any, row)
        yield {
            "external_id": external_id or reference(pk, created_at),
            "scene": slug,
            **dict(zip(REVISION_FIELDS, values, strict=True)),
            "revision": number,
        }


def reference(pk: int, created_at: datetime) -> str:
    """Return what stands for a missing external id: it fits no rule of another deployment."""
    moment = created_at.astimezone(UTC).isoformat()
    return f"#{pk}-{hashlib.sha256(moment.encode()).hexdigest()[:8]}"


REFERENCE = re.compile(r"#(\d{1,18})-[0-9a-f]{8}")


def referred(name: str, units: UnitQuerySet) -> KnowledgeUnit | None:
    """Lock and return the nameless unit that `reference` gave this name."""
    match = REFERENCE.fullmatch(name)
    if match is None:
        return None
    unit = units.filter(pk=int(match[1]), external_id__isnull=True).locked().first()
    return unit if unit and reference(unit.pk, unit.created_at) == name else None


def as_jsonl(rows: Iterable[ExportRow]) -> Iterator[str]:
    """Yield one line per rule."""
    for row in rows:
        yield json.dumps(row, ensure_ascii=False, default=datetime.isoformat) + "\n"


def as_csv(rows: Iterable[ExportRow]) -> Iterator[str]:
    """Yield the heading and one record per rule."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(EXPORTED)
    yield _taken(buffer)
    for row in rows:
        writer.writerow([_csv_cell(name, row[name]) for name in EXPORTED])
        yield _taken(buffer)


def _taken(buffer: io.StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text


def as_xlsx(rows: Iterable[ExportRow]) -> IO[bytes]:
    """Return a workbook of one sheet, at its beginning; times are in UTC."""
    from openpyxl import Workbook  # 0.3 s that only workbooks cost

    book = Workbook(write_only=True)
    sheet = book.create_sheet("Rules")
    sheet.freeze_panes = "A2"
    sheet.append(EXPORTED)
    for row in rows:
        sheet.append([_xlsx_cell(sheet, name, row[name]) for name in EXPORTED])
    file = tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES)  # noqa: SIM115  # the caller's
    book.save(file)
    file.seek(0)
    return file


def write(rows: Iterable[ExportRow], kind: str) -> Iterable[bytes]:
    """Yield the file of KINDS piece by piece; a workbook only once it is complete."""
    if kind == "xlsx":
        file = as_xlsx(rows)
        return iter(partial(file.read, 64 * 1024), b"")
    lines = as_csv(rows) if kind == "csv" else as_jsonl(rows)
    return (line.encode() for line in lines)


def _csv_cell(name: str, value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, int) else _text(name, value)


def _xlsx_cell(sheet: Any, name: str, value: Any) -> Any:
    if isinstance(value, int):
        return value
    # A sheet's times know no zone, no microseconds and nothing before 1900.
    if isinstance(value, datetime) and value.year > 1900 and not value.microsecond:
        return value.astimezone(UTC).replace(tzinfo=None)
    text = value.isoformat() if isinstance(value, datetime) else _text(name, value)
    return _text_cell(sheet, text) if text else None


def _text_cell(sheet: Any, text: str) -> Any:
    from openpyxl.cell import WriteOnlyCell

    cell: Any = WriteOnlyCell(sheet)
    cell._value = NOT_XML.sub(lambda match: f"_x{ord(match[0]):04X}_", text)
    cell.data_type = "s"  # set by hand: openpyxl would take “=…” for a formula
    return cell


def _text(name: str, value: Any) -> str:
    """Return a cell's text; a negative priority is a number, and needs no guard."""
    text = _joined(name, value) if isinstance(value, list) else str(value or "")
    return f"'{text}" if FORMULA.match(text) else text


def _joined(name: str, texts: list[str]) -> str:
    """Write several texts so that `listed` reads exactly them."""
    between, separators = (", ", ",\n") if name in AUDIENCE_FIELDS else ("\n", "\n")
    text = between.join(texts)
    return text if listed(text, separators) == texts else json.dumps(texts, ensure_ascii=False)
