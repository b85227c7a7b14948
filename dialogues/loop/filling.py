"""What people do about a gap: draft the rule that is missing, dismiss it, open it again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet, Subquery
from django.utils import timezone

from agents.actions import HANDOFF
from dialogues.models import Control, Event, EventKind, Gap, GapState, GapTurn, Role, Turn
from dialogues.texts import distinct, is_small_talk, names_somebody
from knowledge import services
from knowledge.models import KnowledgeUnit, Scene
from wowconsole.errors import Invalid, Refused
from wowconsole.roles import AnyUser

MOST_WORDINGS = 10  # of a draft
LONGEST_WORDING = 500  # characters, as the table has it
DISSATISFIED = 2  # stars, at most


class GapDecided(Refused):
    code = "gap_decided"


class AnswerMissing(Invalid):
    code = "answer_missing"


class SceneMissing(Invalid):
    code = "scene_missing"


@dataclass(frozen=True, slots=True)
class Example:
    """One turn of a gap: what was asked, and what a person answered."""

    turn: Turn
    asked: str
    answer: str  # by a person of ours, or as a reviewer wrote it; empty if nobody did
    by_staff: bool  # that answer was given to the customer
    to_person: bool  # the conversation went to a person at this turn or later


@dataclass(slots=True)
class Evidence:
    """What the turns of a gap say: why a rule is missing, and what it might be."""

    examples: list[Example] = field(default_factory=list)  # the most typical first

    @property
    def conversations(self) -> int:
        return len({example.turn.conversation_id for example in self.examples})

    @property
    def to_person(self) -> int:
        """How many conversations went to a person."""
        went = (example.turn.conversation_id for example in self.examples if example.to_person)
        return len(set(went))

    @property
    def ratings(self) -> list[int]:
        """The ratings of the conversations that have one."""
        rated = {e.turn.conversation_id: e.turn.conversation.rating for e in self.examples}
        return [rating for rating in rated.values() if rating is not None]

    @property
    def bad_ratings(self) -> int:
        return sum(rating <= DISSATISFIED for rating in self.ratings)

    @property
    def mean_rating(self) -> float | None:
        return sum(self.ratings) / len(self.ratings) if self.ratings else None

    @property
    def wordings(self) -> list[str]:
        """How customers put it; what names somebody is left out."""
        texts = (example.asked.strip() for example in self.examples)
        return distinct(
            text
            for text in texts
            if len(text) <= LONGEST_WORDING and not is_small_talk(text) and not names_somebody(text)
        )

    @property
    def answered(self) -> list[Example]:
        """The examples that a person answered; first what was said, and names nobody."""
        known = [example for example in self.examples if example.answer]
        return sorted(known, key=lambda e: (not e.by_staff, names_somebody(e.answer)))


def evidence_of(gap: Gap, *, visible_to: AnyUser) -> Evidence:
    """Gather a gap's turns that the user may read, in one query."""
    events = Event.objects.filter(conversation=OuterRef("turn__conversation"))
    later = events.filter(seq__gt=OuterRef("turn__asked_seq"))
    replies = later.filter(kind=EventKind.MESSAGE, role=Role.STAFF).order_by("seq")
    called = Exists(
        later.filter(kind=EventKind.CONTROL, data__state__in=[Control.QUEUED, Control.HUMAN])
    )
    members: QuerySet[GapTurn] = (
        gap.members.filter(turn__in=Turn.objects.visible_to(visible_to))
        .select_related("turn__conversation", "turn__question", "turn__case")
        .defer("turn__steps", "turn__timings", "turn__question__embedding")
        .annotate(reply=Subquery(replies.values("text")[:1]), went=called)
    )
    return Evidence([_example(member) for member in members])


def _example(member: GapTurn) -> Example:
    turn = member.turn
    case = getattr(turn, "case", None)
    rewrite = case.rewrite.get("reply", "") if case else ""
    handed = turn.output.get("action", {}).get("name") == HANDOFF
    question = getattr(turn, "question", None)
    return Example(
        turn=turn,
        asked=question.text if question else "",
        answer=member.reply or rewrite,  # type: ignore[attr-defined]  # annotated
        by_staff=bool(member.reply),  # type: ignore[attr-defined]  # annotated
        to_person=member.went or handed,  # type: ignore[attr-defined]  # annotated
    )


@transaction.atomic
def draft_rule(
    *,
    gap: Gap,
    by: User,
    answer: str = "",
    scene: Scene | None = None,
    link: Callable[[str], str] = str,
) -> KnowledgeUnit:
    """Write the missing rule as a draft and return it; a second click returns the same one.

    Args:
        answer: what the rule says; empty takes what a person answered.
        scene: where the rule belongs, if the gap is of no scene.
        link: makes an address of the console absolute, for the rule's source.

    Raises:
        GapDecided: it was dismissed.
        AnswerMissing, SceneMissing: nobody has said it yet.
        ValidationError: see `services.draft_unit`.
    """
    gap = _locked(gap)
    if gap.state == GapState.DRAFTED and gap.unit:
        return gap.unit
    if gap.state != GapState.OPEN:
        raise GapDecided("This gap was dismissed. Open it again, then draft a rule.")
    evidence = evidence_of(gap, visible_to=by)
    home = gap.scene or scene
    if home is None:
        raise SceneMissing("Choose the scene that the rule belongs to.")
    unit = services.draft_unit(
        author=by,
        scene=home,
        title=gap.title,
        condition=f"When a customer asks: {gap.title}",
        content=answer.strip() or _proposed(evidence),
        questions=[text for text in evidence.wordings if text != gap.title][:MOST_WORDINGS],
        source=link(_source(evidence)),
    )
    _decide(gap, GapState.DRAFTED, by, unit)
    return unit


def _proposed(evidence: Evidence) -> str:
    if not evidence.answered:
        raise AnswerMissing("No person has answered this yet. Write what the answer should be.")
    return evidence.answered[0].answer


def _source(evidence: Evidence) -> str:
    """Return the address of the conversation that the answer stands in."""
    best: Sequence[Example] = evidence.answered or evidence.examples
    return best[0].turn.conversation.get_absolute_url() if best else ""


@transaction.atomic
def dismiss(*, gap: Gap, by: User) -> Gap:
    """Say that no rule is missing; like questions go on joining the gap, out of sight.

    Raises:
        GapDecided: a rule was drafted from it.
    """
    gap = _locked(gap)
    if gap.state == GapState.DRAFTED:
        raise GapDecided("A rule was drafted from this gap. Open it again first.")
    return gap if gap.state == GapState.DISMISSED else _decide(gap, GapState.DISMISSED, by, None)


@transaction.atomic
def reopen(*, gap: Gap) -> Gap:
    """Take back what was decided; a rule that was drafted stays as it is."""
    gap = _locked(gap)
    return gap if gap.state == GapState.OPEN else _decide(gap, GapState.OPEN, None, None)


def _locked(gap: Gap) -> Gap:
    return Gap.objects.select_for_update().get(pk=gap.pk)


def _decide(gap: Gap, state: GapState, by: User | None, unit: KnowledgeUnit | None) -> Gap:
    gap.state, gap.unit, gap.decided_by = state, unit, by
    gap.decided_at = timezone.now() if by else None
    gap.save(update_fields=["state", "unit", "decided_by", "decided_at"])
    return gap
