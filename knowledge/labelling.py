"""Labelled sets: questions of which people said which rules answer them."""

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction

from knowledge.models import KnowledgeUnit, LabelledQuery, LabelledSet, Scene, UnitQuerySet

MAX_QUESTION = 2000  # characters, as in "Try a question"
MAX_QUESTIONS = 5000  # of one upload: each is embedded in every measurement
MAX_FILE_BYTES = 2 * 1024 * 1024
SHOWN_PROBLEMS = 50

Line = tuple[int, Mapping[str, Any]]  # number in the file, values by column


@dataclass(frozen=True, slots=True)
class Label:
    """A question, and the keys of the rules that answer it; none: nothing should be found."""

    external_id: str
    text: str
    relevant: Sequence[int]


def read_labels(file: IO[bytes], name: str, units: UnitQuerySet) -> list[Label]:
    """Read a .csv or .jsonl file with the columns query, relevant and, if it likes, id.

    `relevant` names rules by external id or number, with semicolons or line ends between
    (in JSONL also a list); nothing means that no rule answers the question.

    Args:
        units: the rules that may be named.

    Raises:
        ValidationError: one message per line that can't be read; then no line counts.
    """
    lines = list(_lines(file, name))
    if not lines:
        raise ValidationError("The file holds no question.")
    if len(lines) > MAX_QUESTIONS:
        raise ValidationError(f"At most {MAX_QUESTIONS:,} questions; this file has more.")
    known = _known(units, {name for _, values in lines for name in _names(values)})
    labels: dict[str, Label] = {}
    problems: list[str] = []
    for number, values in lines:
        problem = _problem(values, known, labels)
        if problem:
            problems.append(f"Line {number}: {problem}")
        else:
            labels[_id_of(values)] = _label(values, known)
    if problems:
        raise ValidationError(_first(problems))
    return list(labels.values())


@transaction.atomic
def make_set(
    *, name: str, labels: Iterable[Label], by: User | None, scene: Scene | None, source: str = ""
) -> LabelledSet:
    """Store a set whole.

    Args:
        scene: where its questions are asked; None: in every scene.

    Raises:
        ValidationError: the name is empty, too long or taken.
    """
    labelled_set = LabelledSet(name=name.strip(), scene=scene, source=source, by=by)
    labelled_set.full_clean(exclude={"by"})  # null: shipped so
    labelled_set.save()
    labels = list(labels)
    queries = LabelledQuery.objects.bulk_create(
        LabelledQuery(labelled_set=labelled_set, external_id=label.external_id, text=label.text)
        for label in labels
    )
    link = LabelledQuery.relevant.through
    link.objects.bulk_create(
        link(labelledquery_id=query.pk, knowledgeunit_id=unit_id)
        for query, label in zip(queries, labels, strict=True)
        for unit_id in label.relevant
    )
    return labelled_set


def add_query(
    labelled_set: LabelledSet, text: str, relevant: Iterable[KnowledgeUnit]
) -> LabelledQuery:
    """Add a question, or label it anew if the set has it already.

    Raises:
        ValidationError: the question is empty, too long or not storable.
    """
    text = text.strip()
    if problem := text_problem(text):
        raise ValidationError(problem)
    add_queries(labelled_set, {text: [unit.pk for unit in relevant]})
    return labelled_set.queries.get(external_id=_digest(text))


@transaction.atomic
def add_queries(labelled_set: LabelledSet, labels: Mapping[str, Sequence[int]]) -> None:
    """Add questions, or label them anew.

    Args:
        labels: keys of rules by question; the questions have no `text_problem`.
    """
    new = {_digest(text): text for text in labels}
    LabelledQuery.objects.bulk_create(
        (
            LabelledQuery(labelled_set=labelled_set, external_id=name, text=text)
            for name, text in new.items()
        ),
        ignore_conflicts=True,
    )
    queries = list(labelled_set.queries.filter(external_id__in=new))
    link = LabelledQuery.relevant.through
    link.objects.filter(labelledquery__in=queries).delete()
    link.objects.bulk_create(
        link(labelledquery_id=query.pk, knowledgeunit_id=unit_id)
        for query in queries
        for unit_id in dict.fromkeys(labels[new[query.external_id]])
    )


def _lines(file: IO[bytes], name: str) -> Iterator[Line]:
    reader = {"csv": _csv_lines, "jsonl": _jsonl_lines}.get(name.rpartition(".")[2].lower())
    if reader is None:
        raise ValidationError("Labelled questions are read from .csv and .jsonl files.")
    try:
        text = io.StringIO(file.read().decode("utf-8-sig"), newline="")
    except UnicodeDecodeError as error:
        raise ValidationError(f"The file is not UTF-8 text: {error.reason}.") from None
    return reader(text)


def _csv_lines(text: IO[str]) -> Iterator[Line]:
    reader = csv.DictReader(text, strict=True)
    try:
        missing = {"query", "relevant"} - set(reader.fieldnames or ())
        if missing:
            raise ValidationError(
                f"The first line must name the columns; missing: {', '.join(sorted(missing))}."
            )
        for row in reader:
            yield reader.line_num, {key: value or "" for key, value in row.items() if key}
    except csv.Error as error:
        raise ValidationError(f"Line {reader.line_num} is not CSV: {error}.") from None


def _jsonl_lines(text: IO[str]) -> Iterator[Line]:
    for number, line in enumerate(text, start=1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
            json.dumps(values, ensure_ascii=False).encode()  # no halves of surrogate pairs
        except (ValueError, RecursionError):
            values = None
        if not isinstance(values, dict):
            raise ValidationError(f"Line {number} is not a JSON object.")
        yield number, values


def _known(units: UnitQuerySet, names: set[str]) -> dict[str, list[int]]:
    """Return the keys of the rules that go by each name; an external id wins over a number."""
    numbers = {name: int(name.lstrip("#")) for name in names if _is_number(name)}
    there = set(units.filter(pk__in=numbers.values()).values_list("pk", flat=True))
    known = {name: [pk] for name, pk in numbers.items() if pk in there}
    storable = {name for name in names if "\0" not in name}
    named = units.filter(external_id__in=storable).values_list("external_id", "pk")
    by_name: dict[str, list[int]] = {}
    for external_id, pk in named:
        by_name.setdefault(str(external_id), []).append(pk)
    return known | by_name


def _is_number(name: str) -> bool:
    digits = name.lstrip("#")
    return digits.isascii() and digits.isdecimal() and len(digits) < 10


def _problem(
    values: Mapping[str, Any], known: Mapping[str, list[int]], labels: Mapping[str, Label]
) -> str:
    text = values.get("query")
    if not isinstance(text, str):
        return "“query” must be a text."
    if problem := text_problem(text.strip()):
        return problem
    if _id_of(values) in labels:
        return "this question, or its id, stands in the file already."
    if len(_id_of(values)) > 120:
        return "the id is longer than 120 characters."
    for name in _names(values):
        if name not in known:
            return f"there is no rule “{name}” in your scenes."
        if len(known[name]) > 1:
            return f"several scenes have a rule “{name}”: name it by its number."
    return ""


def text_problem(text: str) -> str:
    """Say why a stripped text can't be a question; "" if it can."""
    if not text:
        return "the question is empty."
    if len(text) > MAX_QUESTION:
        return f"the question is longer than {MAX_QUESTION:,} characters."
    return "the question holds a NUL byte, which can't be stored." if "\0" in text else ""


def _label(values: Mapping[str, Any], known: Mapping[str, list[int]]) -> Label:
    relevant = dict.fromkeys(known[name][0] for name in _names(values))
    return Label(_id_of(values), values["query"].strip(), list(relevant))


def _names(values: Mapping[str, Any]) -> list[str]:
    given = values.get("relevant") or ""
    parts = given if isinstance(given, list) else str(given).replace(";", "\n").split("\n")
    return [name for part in parts if (name := str(part).strip())]


def _id_of(values: Mapping[str, Any]) -> str:
    given = str(values.get("id") or "").replace("\0", "").strip()
    return given or _digest(str(values["query"]).strip())


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _first(problems: list[str]) -> list[str]:
    more = len(problems) - SHOWN_PROBLEMS
    return problems[:SHOWN_PROBLEMS] + ([f"And {more} more lines."] if more > 0 else [])
