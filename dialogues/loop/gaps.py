"""Looking for gaps: questions of like meaning that no rule answered, grouped per scene."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from django.db import connection, transaction
from django.db.models import Avg, Exists, OuterRef, Q, QuerySet

from agents.actions import CLOSE, HANDOFF
from dialogues.desk import noting
from dialogues.loop.clustering import Vectors, average_linkage, typicality
from dialogues.models import (
    Case,
    Event,
    EventKind,
    Gap,
    GapTurn,
    IssueType,
    Role,
    Turn,
    TurnQuestion,
    TurnUnit,
    Verdict,
)
from dialogues.texts import is_small_talk, names_somebody
from knowledge import jobs
from knowledge.indexing import live_index
from knowledge.models import EmbeddingIndex, Job, Scene
from knowledge.scaling import scale_of

logger = logging.getLogger(__name__)

TASK = "dialogues.tasks.look_for_gaps"
ONE_SEARCH_AT_A_TIME = 7_206_412  # key of the advisory lock; any number nobody else uses
# Mean cosine within a gap, of questions by multilingual-e5-small. Measured on questions
# sorted by hand, adjusted Rand index and purity at .88, .89, .90, .91: NatCS .45/.54, .70/.81,
# .73/.89, .67/.91; BANKING77 .54/.72, .52/.78, .48/.82, .43/.89; CLINC150 .46/.72, .44/.77,
# .44/.82, .40/.89; ABCD .36/.52, .52/.68, .50/.75, .43/.77 (300 or 400 of each). A mixed gap
# costs more than a split one: its draft would answer a question that it does not fit.
ALIKE = 0.90
FEWEST = 2  # turns of a gap
MOST_TURNS = 2000  # of a scene at once, newest first; a second and 16 MB
UNSOLVED = [IssueType.WITHHELD_SOLUTION, IssueType.INCORRECT_SOLUTION]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one search for gaps brought."""

    gaps: int = 0  # new ones
    turns: int = 0  # that came into a gap, new or known

    def __add__(self, other: "Outcome") -> "Outcome":
        return Outcome(self.gaps + other.gaps, self.turns + other.turns)

    def __str__(self) -> str:
        return f"{self.gaps} new, {self.turns} questions added."


def look_for_gaps(job_pk: int) -> None:
    """Do the job: note what was asked of late, then look in each scene of who started it."""
    with jobs.at_work(job_pk) as job:
        if job is None:
            return
        noting.note_questions()
        scenes = _scenes_of(job)
        outcome = Outcome()
        for number, scene in enumerate(scenes[job.done :], start=job.done + 1):
            outcome += look_in(scene)
            jobs.advance(job, done=number, total=len(scenes), note=str(outcome))


def _scenes_of(job: Job) -> list[Scene | None]:
    return [*Scene.objects.visible_to(job.by).order_by("pk"), None]


def look_everywhere() -> Outcome:
    """Look in every scene; the nightly search."""
    outcome = Outcome()
    for scene in [*Scene.objects.order_by("pk"), None]:
        outcome += look_in(scene)
    logger.info("gaps: %s", outcome)
    return outcome


@transaction.atomic
def look_in(scene: Scene | None) -> Outcome:
    """Add unanswered questions to the gaps they are like, decided ones too, and form new gaps.

    What is alone of its kind waits for the next search.
    """
    with connection.cursor() as cursor:  # or two searches would form a gap twice
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [ONE_SEARCH_AT_A_TIME])
    index = live_index()
    asked = _asked(scene, index)
    if not asked:
        return Outcome()
    joining = _joining(scene, index, asked)
    GapTurn.objects.bulk_create(joining)
    joined = {member.turn_id for member in joining}
    alone = [question for question in asked if question.turn_id not in joined]
    formed = [_form(scene, group) for group in _groups(alone, scale_of(index).own(ALIKE))]
    return Outcome(len(formed), len(joining) + sum(formed))


def unanswered() -> QuerySet[Turn]:
    """Return finished turns of which a rule may be missing and that are in no gap yet.

    Those for which no rule was found and no tool was called; those handed to a person
    without a rule that says so; those after which a person answered all the same; those
    judged to lack the right answer. A goodbye asks nothing.
    """
    units = TurnUnit.objects.filter(turn=OuterRef("pk"))
    cites = Exists(units.filter(cited=True))
    calls = Exists(Event.objects.filter(turn=OuterRef("pk"), kind=EventKind.ACTION))
    handed = Q(output__action__name=HANDOFF)
    unsolved = Case.objects.filter(
        turn=OuterRef("pk"),
        label__in=[Verdict.BAD, Verdict.WRONG],
        issue_types__overlap=UNSOLVED,
    )
    # An error is one of engine or process: what was found then says nothing of the rules.
    nothing_found = Q(~Exists(units) & ~calls, error="")
    wanted = (
        nothing_found
        | Q(handed & ~cites, error="")
        | (Q(Exists(_answered_by_person())) & ~(handed & cites))
        | (Q(Exists(unsolved)) & ~cites)
    )
    finished = Turn.objects.filter(wanted, gap__isnull=True, status__in=noting.FINISHED)
    return finished.exclude(output__action__name=CLOSE)


def _answered_by_person() -> QuerySet[Event]:
    """Return the messages of staff that follow a turn with no other turn in between."""
    between = Turn.objects.filter(
        conversation=OuterRef("conversation"),
        asked_seq__gt=OuterRef(OuterRef("asked_seq")),
        asked_seq__lt=OuterRef("seq"),
    )
    return Event.objects.filter(
        ~Exists(between),
        conversation=OuterRef("conversation"),
        kind=EventKind.MESSAGE,
        role=Role.STAFF,
        seq__gt=OuterRef("asked_seq"),
    )


def _asked(scene: Scene | None, index: EmbeddingIndex) -> list[TurnQuestion]:
    """Return the questions to look at, oldest first: the order decides ties."""
    turns = unanswered().filter(conversation__scene=scene)
    questions = TurnQuestion.objects.filter(index=index, turn__in=turns)
    newest = questions.order_by("-turn_id")[:MOST_TURNS]
    return [question for question in reversed(newest) if not is_small_talk(question.text)]


def _vectors(questions: Sequence[TurnQuestion]) -> Vectors:
    return np.array([question.embedding for question in questions], dtype=np.float32)


def _joining(
    scene: Scene | None, index: EmbeddingIndex, asked: Sequence[TurnQuestion]
) -> list[GapTurn]:
    """Return the questions that are like a known gap's, as members of the nearest one."""
    # The product with the plain mean of unit vectors is the mean of the cosines.
    mean = Avg("members__turn__question__embedding", filter=Q(members__turn__question__index=index))
    known = Gap.objects.filter(scene=scene).annotate(mean=mean).exclude(mean=None)
    gaps = list(known.order_by("pk").values_list("pk", "mean"))
    if not gaps:
        return []
    alike = scale_of(index).own(ALIKE)
    means = np.array([mean for _, mean in gaps], dtype=np.float32)
    lengths = np.linalg.norm(means, axis=1)
    similar = _vectors(asked) @ means.T
    nearest = similar.argmax(axis=1)
    return [
        GapTurn(
            gap_id=gaps[best][0],
            turn_id=question.turn_id,
            typicality=float(row[best] / lengths[best]),
        )
        for question, row, best in zip(asked, similar, nearest, strict=True)
        if row[best] >= alike
    ]


def _groups(questions: Sequence[TurnQuestion], alike: float) -> list[list[TurnQuestion]]:
    if len(questions) < FEWEST:
        return []
    groups = average_linkage(_vectors(questions), alike)
    return [[questions[row] for row in rows] for rows in groups if len(rows) >= FEWEST]


def _form(scene: Scene | None, questions: Sequence[TurnQuestion]) -> int:
    """Store a gap, named after its most typical question, and return its size."""
    values = typicality(_vectors(questions))
    ranked = sorted(zip(values, questions, strict=True), key=lambda pair: -pair[0])
    texts = [question.text for _, question in ranked]
    title = next((text for text in texts if not names_somebody(text)), texts[0])
    gap = Gap.objects.create(scene=scene, title=title[:200])
    GapTurn.objects.bulk_create(
        GapTurn(gap=gap, turn_id=question.turn_id, typicality=value) for value, question in ranked
    )
    return len(ranked)
