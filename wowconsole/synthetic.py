"""Synthetic rules and questions, written with COPY, to measure the search on.

Words are of a Zipf-Mandelbrot distribution, for the search's dictionaries drop the stop words
that are Zipf's first ranks: of what they leave of six public sets of customers' questions and
answers, the most frequent stem is 2 % of all words taken together and 3 to 10 % in a set alone,
the tenth .7 and 1.2 to 1.6 %; here 3.1 and .9 %. Vectors are of unit length and in clusters:
rules of one topic, which are of one scene. Each rule has three hooks (title, condition, whole
text), a twentieth has expired, a fifth is for one channel. Questions are rules' hooks turned a
little away, with half of a condition's words; one in ten has a misspelt word, another one a
code. In a scene its own rules are asked about.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.utils import timezone
from numpy.typing import NDArray
from pgvector.psycopg import register_vector

from knowledge import graphs, indexing, vocabulary
from knowledge.embedding import EMBEDDING_DIMENSIONS
from knowledge.models import EmbeddingIndex, HookKind, Scene

SCENE_SHARES = {"hundredth": 0.01, "tenth": 0.1, "rest": 0.89}
WORDS = 20_000
MANDELBROT = 2.7  # added to each rank
UNITS_PER_CLUSTER = 20
# Length of the noise against the vector's: cosine of a rule to its cluster .83, of a hook to
# its rule .96, of a question to a hook .92.
SPREAD, HOOK_NOISE, QUESTION_NOISE = 0.68, 0.3, 0.42
HOOKS = (HookKind.TITLE, HookKind.CONDITION, HookKind.CONTENT)
AT_ONCE = 5_000  # rules whose vectors are in memory

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, as text and as a vector."""

    text: str
    vector: list[float]


@transaction.atomic
def fill(units: int, count: int, author: User) -> tuple[EmbeddingIndex, dict[str, list[Question]]]:
    """Write synthetic rules; return the index, and questions by what they are asked of.

    That is a scene's slug, or "everything".
    """
    dice, chance = np.random.default_rng(7), random.Random(7)  # noqa: S311  # not a secret
    words = Vocabulary(dice)
    index = indexing.live_index()
    definitions = _drop_indexes("hook_words", "hook_trigrams", f"hook_vector_graph_{index.pk}")
    scenes = [Scene.objects.create(slug=slug, name=slug.title()) for slug in SCENE_SHARES]
    clusters = units // UNITS_PER_CLUSTER + 1
    of_cluster = dice.choice([s.pk for s in scenes], clusters, p=list(SCENE_SHARES.values()))
    in_cluster = dice.integers(clusters, size=units)
    of_unit = of_cluster[in_cluster]
    texts = [words.rule(number) for number in range(units)]
    _copy_rules(texts, [int(scene) for scene in of_unit], author)
    vectors = clustered(in_cluster, dice)
    _copy_vectors(index, [int(scene) for scene in of_unit], vectors, dice)
    _go_on_counting("knowledge_knowledgeunit", "knowledge_revision", "knowledge_hook")
    vocabulary.learn(words.words.tolist())
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # no index is built before they are met
        cursor.execute("SET LOCAL maintenance_work_mem = '1GB'")
        for definition in definitions:
            cursor.execute(definition)
        graphs.keep_scene_graphs()
        cursor.execute(
            "ANALYZE knowledge_knowledgeunit, knowledge_revision, "
            "knowledge_hook, knowledge_hookvector, knowledge_vocabularyword"
        )
    about = {scene.slug: np.flatnonzero(of_unit == scene.pk).tolist() for scene in scenes}
    questions = {}
    for scope, rules in {"everything": range(units), **about}.items():
        asked = chance.sample(rules, min(count, len(rules)))
        turned = _turned(_turned(vectors[asked], HOOK_NOISE, dice), QUESTION_NOISE, dice)
        questions[scope] = [
            Question(words.question(texts[unit], chance), vector.tolist())
            for unit, vector in zip(asked, turned, strict=True)
        ]
    return index, questions


def _drop_indexes(*names: str) -> list[str]:
    """Drop indexes, which are quicker to build at the end, and return their definitions."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE indexname = ANY(%s)", [list(names)])
        definitions = [definition for (definition,) in cursor.fetchall()]
        cursor.execute(f"DROP INDEX {', '.join(names)}")
    return definitions


class Vocabulary:
    """Made-up words, the n-th as frequent as 1 / (n + MANDELBROT)."""

    def __init__(self, dice: np.random.Generator) -> None:
        syllables = [a + b for a in "bdfgklmnprstvz" for b in "aeiou"]
        parts = dice.choice(syllables, (WORDS, 3))
        self.words = np.array(["".join(part) for part in parts])
        weights = 1 / (np.arange(1, WORDS + 1) + MANDELBROT)
        self.weights = weights / weights.sum()
        self.dice = dice

    def some(self, count: int) -> str:
        return " ".join(self.dice.choice(self.words, count, p=self.weights))

    def rule(self, number: int) -> tuple[str, str, str]:
        """Return title, condition and content; each rule has a code of its own."""
        return self.some(5), self.some(12), f"{self.some(25)} ZX-{100_000 + number}"

    def question(self, rule: tuple[str, str, str], chance: random.Random) -> str:
        _, condition, content = rule
        words = [*chance.sample(condition.split(), 6), *self.some(2).split()]
        kind = chance.randrange(10)
        if kind == 0:
            words[0] = f"{words[0][:-1]}xx"
        if kind == 1:
            words.append(content.split()[-1])
        return " ".join(words)


def clustered(clusters: NDArray[np.int64], dice: np.random.Generator) -> Floats:
    """Return (rules, EMBEDDING_DIMENSIONS) unit vectors around their clusters' random centres."""
    centres = _unit(dice.standard_normal((clusters.max() + 1, EMBEDDING_DIMENSIONS)))
    return _turned(centres[clusters], SPREAD, dice)


def _turned(vectors: Floats, noise: float, dice: np.random.Generator) -> Floats:
    return _unit(vectors + noise * _unit(dice.standard_normal(vectors.shape)))


def _unit(vectors: NDArray[Any]) -> Floats:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Floats = (vectors / lengths).astype(np.float32)
    return unit


def _copy_rules(texts: Sequence[tuple[str, str, str]], scenes: list[int], author: User) -> None:
    now = timezone.now()
    yesterday = now - timedelta(days=1)
    _copy(
        "knowledge_knowledgeunit (id, scene_id, status, owner_id, latest_id, live_id, "
        "created_at, updated_at)",
        ((n, scene, "published", author.pk, n, n, now, now) for n, scene in enumerate(scenes, 1)),
    )
    _copy(
        "knowledge_revision (id, unit_id, number, title, condition, content, questions, priority, "
        "risk, valid_until, source, channels, segments, regions, author_id, created_at)",
        (
            (
                *(n, n, 1, *text, "{}", 0, "low", yesterday if n % 20 == 0 else None, ""),
                *("{web}" if n % 5 == 0 else "{}", "{}", "{}", author.pk, now),
            )
            for n, text in enumerate(texts, 1)
        ),
    )
    _copy(
        "knowledge_hook (id, unit_id, kind, text)",
        (
            (place * len(texts) + n, n, kind, ". ".join(text) if kind == "content" else text[place])
            for place, kind in enumerate(HOOKS)
            for n, text in enumerate(texts, 1)
        ),
    )


def _copy_vectors(
    index: EmbeddingIndex, scenes: list[int], vectors: Floats, dice: np.random.Generator
) -> None:
    table = "knowledge_hookvector (index_id, hook_id, unit_id, scene_id, embedding)"
    types = ["int8", "int8", "int8", "int8", "vector"]
    for place in range(len(HOOKS)):
        for start in range(0, len(vectors), AT_ONCE):
            near = _turned(vectors[start : start + AT_ONCE], HOOK_NOISE, dice)
            rows = (
                (index.pk, place * len(vectors) + n, n, scenes[n - 1], vector)
                for n, vector in enumerate(near, start + 1)
            )
            _copy(table, rows, types)


def _go_on_counting(*tables: str) -> None:
    """Let rows that are added later have numbers after those that were copied."""
    sql = "SELECT setval(pg_get_serial_sequence(%s, 'id'), (SELECT max(id) FROM {}))"
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(sql.format(connection.ops.quote_name(table)), [table])


def _copy(table: str, rows: Iterable[tuple[Any, ...]], types: Sequence[str] = ()) -> None:
    """COPY rows; `types` are needed for, and ask for, the binary form."""
    with connection.cursor() as cursor:
        if types:
            register_vector(cursor.connection)
        form = " (FORMAT BINARY)" if types else ""
        with cursor.connection.cursor().copy(f"COPY {table} FROM STDIN{form}") as copy:
            if types:
                copy.set_types(types)
            for row in rows:
                copy.write_row(row)
