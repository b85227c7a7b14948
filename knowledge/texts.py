"""The text of a rule as people send it: tidied, and judged before anything is stored."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, TypedDict

from django.core.exceptions import ValidationError

from knowledge.models import TEXT_LENGTH, Revision

MAX_QUESTIONS = 50
MAX_NAMES = 30  # of channels, segments or regions
TEXT_FIELDS = ("title", "condition", "content", "source")
AUDIENCE_FIELDS = ("channels", "segments", "regions")
REVISION_FIELDS = (
    *("title", "condition", "content", "questions"),
    *("priority", "risk", "valid_from", "valid_until", "source"),
    *AUDIENCE_FIELDS,
)
NUL = "\0"
REPLACEMENT = "\ufffd"  # what a decoder writes where bytes made no sense


class RevisionFields(TypedDict, total=False):
    """The text of a rule; what is left out keeps its value, or its default in a new rule."""

    title: str
    condition: str
    content: str
    questions: Sequence[str]
    priority: int
    risk: str
    valid_from: datetime | None
    valid_until: datetime | None
    source: str
    channels: Sequence[str]
    segments: Sequence[str]
    regions: Sequence[str]


def tidied(fields: RevisionFields) -> dict[str, Any]:
    """Strip the texts and drop empty or repeated wordings."""
    values: dict[str, Any] = dict(fields)
    for name in TEXT_FIELDS:
        if name in values:
            values[name] = values[name].replace("\r\n", "\n").replace("\r", "\n").strip()
    for name in {"questions", *AUDIENCE_FIELDS} & values.keys():
        texts = [text.strip() for text in values[name]]
        if name in AUDIENCE_FIELDS:
            texts = [text.lower() for text in texts]
        values[name] = list(dict.fromkeys(text for text in texts if text))
    return values


def clean_revision(revision: Revision) -> Revision:
    """Return the revision if it can be stored; raises as `check_revision`."""
    check_revision(revision)
    revision.validate_constraints(exclude={"unit", "author", "number"})
    return revision


def check_revision(revision: Revision) -> None:
    """Judge the text of a revision, without a query.

    Raises:
        ValidationError: by field: empty, too long, not storable, ends before it begins.
    """
    errors = {name: fault for name in TEXT_FIELDS if (fault := _text_fault(revision, name))}
    for name in ("questions", *AUDIENCE_FIELDS):
        if fault := _list_fault(getattr(revision, name), name):
            errors[name] = fault
    begin, end = revision.valid_from, revision.valid_until
    if begin and end and end <= begin:
        errors["valid_until"] = "The rule must end after it begins."
    if errors:
        raise ValidationError(errors)
    revision.clean_fields(exclude={"unit", "author", "number"})


def clean_name(external_id: str | None) -> str | None:
    """Return the name a rule has in another system, or None.

    Raises:
        ValidationError: it holds what cannot be stored.
    """
    name = (external_id or "").strip()
    if fault := not_storable([name]):
        raise ValidationError({"external_id": fault})
    return name or None


def not_storable(texts: Iterable[str]) -> str:
    """Say what in the texts no database could keep, or what a wrong encoding has spoilt."""
    for text in texts:
        if NUL in text:
            return "The text holds a NUL byte, which cannot be stored."
        if REPLACEMENT in text or any("\ud800" <= char <= "\udfff" for char in text):
            return (
                "The text holds characters that a wrong encoding has spoilt (“\ufffd”). "
                "Paste it again, or save the file as UTF-8."
            )
    return ""


def _text_fault(revision: Revision, name: str) -> str:
    text = getattr(revision, name)
    if len(text) > TEXT_LENGTH:  # TextField.max_length is a form's matter to Django
        return f"At most {TEXT_LENGTH:,} characters; this has {len(text):,}."
    return not_storable([text])


def _list_fault(texts: Sequence[str], name: str) -> str:
    most = MAX_QUESTIONS if name == "questions" else MAX_NAMES
    if len(texts) > most:
        return f"At most {most} {'other wordings' if name == 'questions' else name}."
    return not_storable(texts)
