"""The numbers of a survey. Who did not answer is counted as missing, never as neutral."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Count

from dialogues.models import (
    Conversation,
    QuestionKind,
    Survey,
    SurveyAnswer,
    SurveyQuestion,
    SurveyRequest,
)
from wowconsole.roles import AnyUser

TEXTS_SHOWN = 20


@dataclass(slots=True)
class Bar:
    """One score or choice, and how many gave it."""

    label: str
    count: int
    percent: int  # of those who answered


@dataclass(slots=True)
class Tally:
    """What came of one question."""

    question: SurveyQuestion
    asked: int = 0  # conversations
    answered: int = 0
    mean: float | None = None  # of the scores given; None: no score
    bars: list[Bar] = field(default_factory=list)
    texts: list[SurveyAnswer] = field(default_factory=list)  # newest first

    @property
    def missing(self) -> int:
        return self.asked - self.answered

    @property
    def answered_percent(self) -> int | None:
        return round(100 * self.answered / self.asked) if self.asked else None


@dataclass(slots=True)
class Results:
    """What came of a survey in a period."""

    asked: int  # conversations
    answered: int  # in which at least one question was answered
    tallies: list[Tally]

    @property
    def answered_percent(self) -> int | None:
        return round(100 * self.answered / self.asked) if self.asked else None


def results(survey: Survey, *, visible_to: AnyUser, since: datetime | None) -> Results:
    """Count the answers from conversations the user may see, in five queries."""
    seen = Conversation.objects.visible_to(visible_to)
    requests = SurveyRequest.objects.filter(survey=survey, conversation__in=seen)
    if since:
        requests = requests.filter(asked_at__gte=since)
    answers = SurveyAnswer.objects.filter(request__in=requests)
    asked = Counter(requests.values_list("questions", flat=True))
    given: dict[int, list[SurveyAnswer]] = {}
    for answer in answers.select_related("request__conversation").order_by("-pk"):
        given.setdefault(answer.question_id, []).append(answer)
    tallies = [
        _tally(question, asked[question.pk], given.get(question.pk, []))
        for question in survey.questions.all()
    ]
    counts = requests.aggregate(asked=Count("pk"), answered=Count("answered_at"))
    return Results(counts["asked"], counts["answered"], tallies)


def _tally(question: SurveyQuestion, asked: int, answers: Sequence[SurveyAnswer]) -> Tally:
    tally = Tally(question, asked, len(answers))
    if question.kind == QuestionKind.TEXT:
        tally.texts = list(answers[:TEXTS_SHOWN])
        return tally
    if question.kind == QuestionKind.SCORE:
        scores = [answer.score for answer in answers if answer.score]
        tally.mean = sum(scores) / len(scores) if scores else None
        counts = Counter(str(score) for score in scores)
        labels = ["1", "2", "3", "4", "5"]
    else:
        counts = Counter(answer.text for answer in answers)
        labels = question.choices
    tally.bars = [
        Bar(label, counts[label], round(100 * counts[label] / len(answers)) if answers else 0)
        for label in labels
    ]
    return tally
