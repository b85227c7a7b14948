"""Which past turns an edit of a rule affects: what they would find without it and with it.

Nothing is guessed: the search of service itself runs twice, the second time with the edit
in place (knowledge/rehearsing.py).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from itertools import groupby

from django.db.models import Q
from pgvector.django import CosineDistance

from agents.finding import find_rules_for
from agents.prompting import Line
from dialogues.desk import noting
from dialogues.history import lines_for
from dialogues.models import Turn, TurnQuerySet, TurnQuestion, TurnStatus
from knowledge.indexing import TextVectors
from knowledge.models import Revision
from knowledge.rehearsing import as_if_archived, as_if_published, vectors_of
from knowledge.searching import Found

RETRIEVED_TURNS = 200  # the newest ones in which the rule was found
NEAR_TURNS = 100  # those whose question is nearest to one of its hooks
TURNS_AT_ONCE = 25  # searched in one transaction, which takes about half a second

Edit = Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class Affected:
    """A past turn that finds other rules, or another text of one, with the edit."""

    turn: Turn
    before: list[Found]
    after: list[Found]

    @property
    def shows_the_same(self) -> bool:
        """Say whether the model would read the very same rules."""
        return _texts(self.before) == _texts(self.after)


def _texts(found: Sequence[Found]) -> list[tuple[int, str, str]]:
    return [(item.unit_id, item.condition, item.content) for item in found]


def affected_turns(
    revision: Revision, *, is_removal: bool, tell: Callable[[str], None]
) -> tuple[int, list[Affected]]:
    """Return how many past turns were searched for again, and those that the edit affects.

    Those in which a rule comes or goes stand first, then the newest.

    Args:
        is_removal: not the revision is published, its unit is archived.
        tell: called between the batches, with what is being done.

    Raises:
        EmbeddingUnavailable: the live index's model failed.
    """
    vectors = vectors_of(revision)
    turns = _candidates(revision, vectors, tell)
    edit: Edit = partial(as_if_published, revision, vectors)
    if is_removal:
        edit = partial(as_if_archived, revision.unit_id)
    affected: list[Affected] = []
    done = 0
    for batch in _batches(turns):
        tell(f"Searching again for {done + 1} to {done + len(batch)} of {len(turns)} questions")
        affected += _compare(batch, edit)
        done += len(batch)
    return done, sorted(affected, key=_weight)


def _weight(row: Affected) -> tuple[bool, bool, int]:
    before, after = ({item.unit_id for item in found} for found in (row.before, row.after))
    return row.shows_the_same, before == after, -row.turn.pk


def _candidates(
    revision: Revision, vectors: TextVectors, tell: Callable[[str], None]
) -> list[Turn]:
    """Return the turns in which the rule was found, and those whose question is near to it."""
    unit = revision.unit
    scenes = Q(conversation__scene=unit.scene_id) | Q(conversation__scene=None)
    turns = Turn.objects.filter(scenes).exclude(status=TurnStatus.RUNNING)
    tell("Looking for past questions like this rule")
    noting.note_questions()
    found = turns.filter(units__unit=unit).order_by("-pk").values_list("pk", flat=True)
    pks = {*found[:RETRIEVED_TURNS], *_nearest(turns, vectors)}
    parts = ("conversation__scene", "release__version")
    return list(Turn.objects.filter(pk__in=pks).select_related(*parts).order_by("-pk"))


def _nearest(turns: TurnQuerySet, vectors: TextVectors) -> list[int]:
    """Return the turns whose question is nearest to any of the hooks."""
    questions = TurnQuestion.objects.filter(index=vectors.index, turn__in=turns)
    distances: dict[int, float] = {}
    for vector in vectors.of.values():
        near = questions.annotate(distance=CosineDistance("embedding", vector))
        for pk, distance in near.order_by("distance").values_list("turn", "distance")[:NEAR_TURNS]:
            distances[pk] = min(distance, distances.get(pk, distance))
    return sorted(distances, key=distances.__getitem__)[:NEAR_TURNS]


def _batches(turns: Sequence[Turn]) -> Iterator[list[tuple[Turn, list[Line]]]]:
    """Yield turns with their dialogues; those of one batch share scene and audience."""
    groups = groupby(sorted(turns, key=_whose), key=_whose)
    for _, group in groups:
        shown = [(turn, lines_for(turn)) for turn in group]
        asked = [pair for pair in shown if any(line.role == "customer" for line in pair[1])]
        for start in range(0, len(asked), TURNS_AT_ONCE):
            yield asked[start : start + TURNS_AT_ONCE]


def _whose(turn: Turn) -> tuple[int, list[tuple[str, str]]]:
    conversation = turn.conversation
    return conversation.scene_id or 0, sorted(conversation.audience.items())


def _compare(batch: Sequence[tuple[Turn, list[Line]]], edit: Edit) -> Iterator[Affected]:
    conversation = batch[0][0].conversation
    find = partial(
        find_rules_for,
        [lines for _, lines in batch],
        scene=conversation.scene,
        audience=conversation.audience,
    )
    before = find()
    with edit():
        after = find()
    for (turn, _), old, new in zip(batch, before, after, strict=True):
        if _shown(old) != _shown(new):
            yield Affected(turn, old, new)


def _shown(found: Sequence[Found]) -> list[tuple[int, int]]:
    return [(item.unit_id, item.revision_id) for item in found]
