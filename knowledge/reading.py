"""Files of rules to rows of values: CSV, JSON lines and Excel workbooks. Knows nothing of rules."""

import csv
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from datetime import date, datetime
from itertools import chain
from typing import IO, Any

from wowconsole.errors import Invalid

COLUMNS = (
    *("external_id", "scene", "title", "condition", "content", "questions"),
    *("priority", "risk", "valid_from", "valid_until", "source"),
    *("channels", "segments", "regions"),
)
REQUIRED = {"title", "condition", "content"}
MAX_ROWS = 50_000
MAX_LINE = 1_000_000  # characters: a longer line is not a rule
MAX_UNPACKED_BYTES = 200 * 1024 * 1024  # of a workbook: 20 MB of zip can hold a thousandfold
MAX_SHEET_COLUMNS = 200

# A spreadsheet runs a cell that starts so; one apostrophe in front keeps it a text.
FORMULA = re.compile(r"'*[=+\-@\t\r]")
# How a workbook writes characters that XML can't hold (ECMA-376, 22.9.2.19).
ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")

Row = tuple[int, dict[str, Any]]  # line number in the file, values by column


class Unreadable:
    """A cell that holds no value: its row is refused, its file is not."""

    def __init__(self, why: str) -> None:
        self.why = why


def read_rows(file: IO[bytes], name: str) -> Iterator[Row]:
    """Read a .csv, .jsonl or .xlsx file, lazily; text is UTF-8, or UTF-16 with its mark.

    Raises:
        Invalid: the format is another, the text is in another encoding, a line can't be
            read, columns are missing, or there are more than MAX_ROWS rules, or none.
    """
    readers: dict[str, Callable[[IO[bytes]], Iterator[Row]]]
    readers = {"csv": _csv_file, "jsonl": _jsonl_file, "xlsx": _xlsx_file}
    reader = readers.get(name.rpartition(".")[2].lower())
    if reader is None:
        raise Invalid("Rules are read from .csv, .jsonl and .xlsx files.")
    count = 0
    for count, row in enumerate(reader(file), start=1):
        if count > MAX_ROWS:
            raise Invalid(f"More than {MAX_ROWS:,} rules: cut the file into several.")
        yield row
    if not count:
        raise Invalid("The file holds no rules.")


def _csv_file(file: IO[bytes]) -> Iterator[Row]:
    return _decoded(file, _csv_rows)


def _jsonl_file(file: IO[bytes]) -> Iterator[Row]:
    return _decoded(file, _jsonl_rows)


def _decoded(file: IO[bytes], reader: Callable[[IO[str]], Iterator[Row]]) -> Iterator[Row]:
    mark = file.read(2)
    file.seek(0)
    encoding = "utf-16" if mark in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    text = io.TextIOWrapper(file, encoding=encoding, newline="")
    try:
        yield from reader(text)
    except UnicodeError as error:  # UTF-16 without an end is not a UnicodeDecodeError
        why = getattr(error, "reason", str(error))
        raise Invalid(f"The file is not UTF-8 text: {why}. Save it as “CSV UTF-8”.") from None
    finally:
        text.detach()  # the caller's file stays open


def _csv_rows(text: IO[str]) -> Iterator[Row]:
    heading = text.readline()
    # Excel writes semicolons in half of Europe, and tabs as “Unicode text”.
    delimiter = max(",;\t", key=heading.count)
    reader = csv.DictReader(chain([heading], text), strict=True, delimiter=delimiter)
    try:
        _check_columns(reader.fieldnames or ())
        for row in reader:
            if None in row:
                raise Invalid(f"Line {reader.line_num} has more cells than the first line.")
            yield reader.line_num, {key: unguarded(value or "") for key, value in row.items()}
    except csv.Error as error:
        raise Invalid(f"Line {reader.line_num + 1} is not CSV: {error}.") from None


def _check_columns(names: Any) -> None:
    if missing := REQUIRED - set(names):
        raise Invalid(
            "The first line must name the columns; missing: " + ", ".join(sorted(missing)) + "."
        )


def _jsonl_rows(text: IO[str]) -> Iterator[Row]:
    number = 0
    while line := text.readline(MAX_LINE + 1):
        number += 1
        if len(line) > MAX_LINE:
            raise Invalid(f"Line {number} is longer than {MAX_LINE:,} characters.")
        if line.strip():
            yield number, _json_object(number, line)


def _json_object(number: int, line: str) -> dict[str, Any]:
    try:
        values = json.loads(line)
        json.dumps(values, ensure_ascii=False).encode()  # no halves of surrogate pairs
    except (ValueError, RecursionError):
        raise Invalid(f"Line {number} is not a JSON object.") from None
    if not isinstance(values, dict):
        raise Invalid(f"Line {number} is not a JSON object.")
    return values


def _xlsx_file(file: IO[bytes]) -> Iterator[Row]:
    from openpyxl import load_workbook  # 0.3 s that only workbooks cost

    _check_size(file)
    try:
        book = load_workbook(file, read_only=True, keep_links=False)
        sheet = book.worksheets[0]
        cells = sheet.iter_rows(max_col=MAX_SHEET_COLUMNS)
        yield from _sheet_rows(cells)
    except Invalid:
        raise
    # Whatever openpyxl stumbles over in a broken workbook; it has no exception of its own.
    except (ArithmeticError, AttributeError, LookupError, OSError, SyntaxError, TypeError) as error:
        raise _broken(error) from None
    except (ValueError, zipfile.BadZipFile) as error:
        raise _broken(error) from None


def _broken(error: Exception) -> Invalid:
    return Invalid(f"The workbook can't be read ({type(error).__name__}). Save it again as .xlsx.")


def _check_size(file: IO[bytes]) -> None:
    """Refuse zip bombs. The directory may lie, but `zipfile` reads no more than it says."""
    try:
        with zipfile.ZipFile(file) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise _broken(error) from None
    if unpacked > MAX_UNPACKED_BYTES:
        raise Invalid(f"Unpacked the workbook has {unpacked // 2**20} MB: too much for rules.")
    file.seek(0)


def _sheet_rows(rows: Any) -> Iterator[Row]:
    names = [str(cell.value or "").strip() for cell in next(rows, ())]
    _check_columns(names)
    for number, cells in enumerate(rows, start=2):
        values = {name: _cell_value(cell) for name, cell in zip(names, cells, strict=False) if name}
        if any(value is not None for value in values.values()):
            yield number, values
        elif number > 2 * MAX_ROWS:
            raise Invalid("The sheet goes on without end: delete its empty rows.")


def _cell_value(cell: Any) -> Any:
    if cell.data_type == "f":
        return Unreadable("The cell holds a formula. Paste its value instead.")
    if cell.data_type == "e":
        return Unreadable(f"The cell holds an error ({cell.value}).")
    if isinstance(cell.value, str):
        return unguarded(ESCAPED.sub(lambda match: chr(int(match[1], 16)), cell.value))
    if isinstance(cell.value, date) and not isinstance(cell.value, datetime):
        return cell.value.isoformat()
    return cell.value


def unguarded(text: str) -> str:
    """Take away the apostrophe that an export put before what looks like a formula."""
    return text[1:] if text.startswith("'") and FORMULA.match(text) else text


def listed(text: str, separators: str = "\n") -> list[str]:
    """Read a cell of several texts: one per separator, or a JSON list of them."""
    if text.startswith("["):
        try:
            values = json.loads(text)
        except (ValueError, RecursionError):
            values = None
        if isinstance(values, list) and all(isinstance(value, str) for value in values):
            return [value.strip() for value in values if value.strip()]
    parts = (part.strip() for part in re.split(f"[{separators}]", text))
    return [part for part in parts if part]
