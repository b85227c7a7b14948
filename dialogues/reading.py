"""Files of dialogues, JSONL or CSV, as plain transcripts; nothing here touches the database."""

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime

from agents.actions import BUILT_IN, REPLY
from dialogues.models import IssueType, Verdict

Row = dict[str, Any]
LONGEST_NAME = 120  # of external ids and customers, as the table has it
# A tool call in a CSV cell, as prompts show one: name {arguments} -> {result}
CALL = re.compile(r"(?P<name>\S+)(?:\s+(?P<arguments>\{.*?\}))?(?:\s+->\s+(?P<result>.*))?", re.S)


class UnreadableRow(ValueError):
    """A line of a file that is not a dialogue; the message says why."""


@dataclass(frozen=True, slots=True)
class Said:
    """One entry: something said by the customer, agent or staff, or a tool the agent called."""

    role: str  # "customer", "agent", "staff" or "action"
    text: str = ""  # of an action: what the agent said while calling
    name: str = REPLY  # of the built-in action or of the tool
    thought: str = ""
    knowledge: list[str | int] = field(default_factory=list)  # external ids or unit keys
    arguments: Row = field(default_factory=dict)
    result: Row = field(default_factory=dict)
    issues: list[str] = field(default_factory=list)
    rewrite: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Transcript:
    """One dialogue of a file."""

    external_id: str
    said: list[Said]
    scene: str = ""  # slug
    customer: str = ""
    started_at: datetime | None = None
    rating: int | None = None  # 1 to 5
    label: str = ""  # a Verdict on the whole


def read_file(path: Path, *, kind: str = "auto") -> Iterator[Row]:
    """Yield the dialogues of a file as rows for `read_transcript`.

    Each has its `line`; an unreadable line is a row with an `error` instead.
    `kind` is "jsonl", "csv", or "auto" to go by the file's name.
    """
    if kind == "csv" or (kind == "auto" and path.suffix.lower() == ".csv"):
        return _read_csv(path)
    return _read_jsonl(path)


def _read_jsonl(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield {**_json_object(line), "line": number}


def _json_object(line: str) -> Row:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        return {"error": f"not JSON: {error}"}
    return row if isinstance(row, dict) else {"error": "not a JSON object"}


def _read_csv(path: Path) -> Iterator[Row]:
    """Gather the lines of each conversation_id; other columns: role, text, at, scene."""
    dialogues: dict[str, Row] = {}
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        reader = csv.DictReader(file)
        for cells in reader:
            name = (cells.get("conversation_id") or "").strip()
            if not name:
                yield {"line": reader.line_num, "error": "conversation_id is empty"}
                continue
            row = dialogues.setdefault(name, {"id": name, "turns": [], "line": reader.line_num})
            row.setdefault("scene", cells.get("scene") or "")
            row["turns"].append(_csv_turn(cells))
    yield from dialogues.values()


def _csv_turn(cells: dict[str, str | None]) -> Row:
    role = (cells.get("role") or "").strip().lower()
    turn: Row = {"role": role, "text": cells.get("text") or "", "at": cells.get("at") or ""}
    if role != "action" or not (call := CALL.fullmatch(turn["text"].strip())):
        return turn
    arguments, result = _json_object(call["arguments"] or "{}"), call["result"] or ""
    if "error" in arguments:
        return turn | {"role": "unreadable call"}
    shown = _json_object(result)
    result_data = {"text": result} if "error" in shown else shown
    return turn | {"text": "", "name": call["name"], "arguments": arguments, "result": result_data}


def read_transcript(row: Row) -> Transcript:
    """Check one row and give it its form.

    Rows are of the shared dialogue form ({"id", "turns": [{"role": customer | agent |
    staff | action, "text"}]}, staff being people of ours; an action names its tool in
    "action" and puts what the system said in "text") or of ours (an action has "name",
    "arguments", "result"; agents' entries "knowledge", "thought", "issues", "rewrite"; the
    dialogue "label" and "rating").

    Raises:
        UnreadableRow: a part is missing or of the wrong kind.
    """
    if error := row.get("error"):
        raise UnreadableRow(str(error))
    said = [_said(number, turn) for number, turn in enumerate(_turns(row), start=1)]
    return Transcript(
        external_id=_name(row, "id") or _fail("it has no id"),
        said=said,
        scene=_name(row, "scene"),
        customer=_name(row, "customer"),
        started_at=_started_at(row) or said[0].at,
        rating=_rating(row.get("rating")),
        label=_one_of(row.get("label") or "", ["", *Verdict.values], "label"),
    )


def _fail(message: str) -> Any:
    raise UnreadableRow(message)


def _turns(row: Row) -> list[Row]:
    turns = row.get("turns")
    if not isinstance(turns, list) or not turns:
        raise UnreadableRow("it has no turns")
    return [turn if isinstance(turn, dict) else _fail("a turn is not an object") for turn in turns]


def _name(row: Row, key: str) -> str:
    text = _text(row, key).strip()
    return text if len(text) <= LONGEST_NAME else _fail(f"{key} is longer than {LONGEST_NAME}")


def _text(row: Row, key: str) -> str:
    text = row.get(key)
    if text is not None and not isinstance(text, str | int):
        raise UnreadableRow(f"{key} is not text")
    return "" if text is None else str(text).replace("\0", "")  # PostgreSQL stores no NUL


def _one_of(value: Any, known: list[str], key: str) -> str:
    if value not in known:
        raise UnreadableRow(f"{key} is {value!r}")
    return str(value)


def _rating(value: Any) -> int | None:
    if value is None or (isinstance(value, int) and 1 <= value <= 5):
        return value
    raise UnreadableRow(f"rating is {value!r}; give 1 to 5")


def _started_at(row: Row) -> datetime | None:
    if minutes := row.get("started_minutes_ago"):
        return timezone.now() - timedelta(minutes=float(minutes))
    return _moment(row.get("started_at"))


def _moment(text: Any) -> datetime | None:
    if not text:
        return None
    try:
        moment = parse_datetime(str(text).strip())
    except ValueError:
        moment = None
    if moment is None:
        raise UnreadableRow(f"{text!r} is not a time; write 2026-01-31T12:00:00Z")
    return moment if timezone.is_aware(moment) else timezone.make_aware(moment)


def _said(number: int, turn: Row) -> Said:
    role = turn.get("role")
    if role == "action":
        return _call(turn)
    if role not in ("customer", "agent", "staff"):
        raise UnreadableRow(f"turn {number} is of {role!r}, not customer, agent, staff or action")
    name = turn.get("action")
    return Said(
        role=role,
        text=_text(turn, "text").strip() or _fail(f"turn {number} says nothing"),
        name=name if name in BUILT_IN else REPLY,
        **_common(turn),
    )


def _call(turn: Row) -> Said:
    """Read a tool call. Without a `result`, the text is what the system answered."""
    own_form = "name" in turn
    name = _text(turn, "name" if own_form else "action").strip()
    text = _text(turn, "text").strip()
    return Said(
        role="action",
        name=name or _fail("an action has no name"),
        arguments=_object(turn, "arguments"),
        result=_object(turn, "result") if own_form else {"text": text},
        text=text if own_form else "",
        **_common(turn),
    )


def _common(turn: Row) -> dict[str, Any]:
    return {
        "thought": _text(turn, "thought"),
        "knowledge": _list(turn, "knowledge"),
        "issues": [_one_of(name, IssueType.values, "issue") for name in _list(turn, "issues")],
        "rewrite": _text(turn, "rewrite").strip(),
        "at": _moment(turn.get("at")),
    }


def _object(turn: Row, key: str) -> Row:
    value = turn.get(key) or {}
    if not isinstance(value, dict) or "\\u0000" in json.dumps(value):
        raise UnreadableRow(f"{key} is not a JSON object that can be stored")
    return value


def _list(turn: Row, key: str) -> list[Any]:
    value = turn.get(key) or []
    return value if isinstance(value, list) else _fail(f"{key} is not a list")
