"""Folders of public retrieval sets (corpus, queries, relevance) to rules and a labelled set."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User

from knowledge import labelling, services
from knowledge.labelling import Label
from knowledge.models import TEXT_LENGTH, TITLE_LENGTH, KnowledgeUnit, LabelledSet, Scene
from wowconsole.errors import Invalid

PUBLISHED_AT_ONCE = 25  # rules; with five wordings each about three seconds of embedding
UNANSWERABLE = {"out_of_scope": True, "needs_knowledge": False}

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Corpus:
    """`relevant` names documents by the id of the query; a query it leaves out has none."""

    documents: list[Row]
    queries: list[Row]
    relevant: dict[str, list[str]]


def read(folder: Path) -> Corpus:
    """Read corpus.jsonl (id, title, text), queries.jsonl (id, text) and qrels.tsv.

    Documents that are the same (`dup_group`) are equally relevant.

    Raises:
        Invalid: a file is missing or is not what its name says.
    """
    try:
        documents = _rows(folder / "corpus.jsonl")
        queries = _rows(folder / "queries.jsonl")
        relevant = _relevant(folder / "qrels.tsv", _twins(documents))
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise Invalid(f"{folder} is not such a set: {error}") from error
    return Corpus(
        documents, [query for query in queries if _is_labelled(query, relevant)], relevant
    )


def publish(
    corpus: Corpus, *, scene: Scene, by: User, tell: Callable[[str], object] = print
) -> dict[str, int]:
    """Publish the documents that the scene lacks as rules; return their keys by document id."""
    known = set(scene.units.values_list("external_id", flat=True))
    new = [row for row in corpus.documents if row["id"] not in known]
    for start in range(0, len(new), PUBLISHED_AT_ONCE):
        batch = new[start : start + PUBLISHED_AT_ONCE]
        units = [_draft(row, scene, by) for row in batch]
        services.publish_many(units=units, by=by)
        tell(f"{start + len(batch)} of {len(new)} rules published")
    ids = [row["id"] for row in corpus.documents]
    named = KnowledgeUnit.objects.filter(scene=scene, external_id__in=ids)
    return {str(external_id): pk for external_id, pk in named.values_list("external_id", "pk")}


def label(
    corpus: Corpus,
    units: dict[str, int],
    *,
    name: str,
    scene: Scene,
    by: User,
    source: str = "",
    limit: int | None = None,
) -> LabelledSet:
    """Store the queries as a labelled set, at most `limit` of them, spread over the file.

    Raises:
        ValidationError: the name is taken.
    """
    labels = [
        Label(row["id"], row["text"], [units[name] for name in corpus.relevant.get(row["id"], ())])
        for row in spread(corpus.queries, limit)
    ]
    return labelling.make_set(name=name, labels=labels, by=by, scene=scene, source=source)


def spread(rows: Sequence[Row], limit: int | None) -> list[Row]:
    """Return `limit` rows at even distances: the kinds of a sorted file all stay in."""
    if limit is None or limit >= len(rows):
        return list(rows)
    return [rows[number * len(rows) // limit] for number in range(limit)]


def _rows(path: Path) -> list[Row]:
    lines = path.read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines if line.strip()]
    return [{**row, "id": str(row["id"]), "text": str(row["text"])} for row in rows]


def _twins(documents: Sequence[Row]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for row in documents:
        groups.setdefault(row.get("dup_group") or row["id"], []).append(row["id"])
    return {name: names for names in groups.values() for name in names}


def _relevant(path: Path, twins: dict[str, list[str]]) -> dict[str, list[str]]:
    relevant: dict[str, list[str]] = {}
    for query, document, score in _cells(path):
        if float(score) > 0:
            relevant.setdefault(query, []).extend(twins[document])
    return {query: list(dict.fromkeys(names)) for query, names in relevant.items()}


def _cells(path: Path) -> Iterator[list[str]]:
    lines = path.read_text(encoding="utf-8").splitlines()
    yield from (line.split("\t") for line in lines[1:] if line.strip())


def _is_labelled(query: Row, relevant: dict[str, list[str]]) -> bool:
    """Whether it is known what answers: a rule, or certainly none."""
    says_none = any(query.get(name) is value for name, value in UNANSWERABLE.items())
    return says_none or query["id"] in relevant


def _draft(row: Row, scene: Scene, by: User) -> KnowledgeUnit:
    title = str(row.get("title") or row["text"])
    return services.draft_unit(
        author=by,
        scene=scene,
        external_id=row["id"],
        title=title[:TITLE_LENGTH],
        condition=title[:TEXT_LENGTH],
        content=row["text"][:TEXT_LENGTH],
        questions=[str(text)[:500] for text in row.get("similar_questions", ())],
    )
