"""Asking customers after a conversation, and storing what they answer, one row an answer."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from agents.cleaning import storable
from agents.masking import masked
from dialogues.appending import LONGEST_MESSAGE, append, check_rate, done_lately
from dialogues.models import (
    Channel,
    Conversation,
    Event,
    EventKind,
    QuestionKind,
    Role,
    Survey,
    SurveyAnswer,
    SurveyQuestion,
    SurveyRequest,
)
from wowconsole.errors import Invalid, Refused

USUAL_QUESTIONS: tuple[tuple[str, str, list[str]], ...] = (
    (QuestionKind.CHOICE, "Is your problem solved?", ["Yes", "Partly", "No"]),
    (QuestionKind.SCORE, "How easy was it to get help?", []),
    (QuestionKind.TEXT, "What should we do better?", []),
)


class NoSurvey(Refused):
    code = "no_survey"
    status = 404


class AlreadyAsked(Refused):
    code = "already_asked"


class AlreadyAnswered(Refused):
    code = "already_answered"


def ask_at_end(conversation: Conversation) -> Event | None:
    """Ask the customer of a chat that has just ended, where a survey is made for that.

    The caller holds the conversation's lock.
    """
    survey = _survey_of(conversation)
    asked = SurveyRequest.objects.filter(conversation=conversation).exists()
    if survey is None or not survey.at_end or asked or conversation.channel != Channel.CHAT:
        return None
    return _ask(conversation, survey)


@transaction.atomic
def ask(*, conversation: Conversation) -> Event:
    """Ask the customer now.

    Raises:
        NoSurvey: nobody has written questions for this scene.
        AlreadyAsked: a conversation is asked about once.
    """
    conversation = Conversation.objects.select_for_update().get(pk=conversation.pk)
    survey = _survey_of(conversation)
    if survey is None:
        raise NoSurvey("No survey with questions is made for this scene.")
    if SurveyRequest.objects.filter(conversation=conversation).exists():
        raise AlreadyAsked("This customer was asked already.")
    return _ask(conversation, survey)


def _survey_of(conversation: Conversation) -> Survey | None:
    found = Survey.objects.of_scene(conversation.scene)
    return found.filter(questions__retired_at__isnull=True, questions__isnull=False).first()


def _ask(conversation: Conversation, survey: Survey) -> Event:
    request = SurveyRequest.objects.create(survey=survey, conversation=conversation)
    questions = list(survey.questions.filter(retired_at=None))
    request.questions.set(questions)
    return append(
        conversation=conversation,
        kind=EventKind.SURVEY,
        role=Role.SYSTEM,
        data={
            "survey": str(request.public_id),
            "questions": [_as_json(question) for question in questions],
        },
    )


def _as_json(question: SurveyQuestion) -> dict[str, Any]:
    return {
        "id": str(question.public_id),
        "kind": question.kind,
        "text": question.text,
        "choices": question.choices,
    }


@transaction.atomic
def answer(*, conversation: Conversation, survey: str, answers: Mapping[str, Any]) -> Event:
    """Store what a customer answered, once.

    Args:
        survey: the id of the survey's event.
        answers: question id → value; what is left out, null or empty is not answered.

    Raises:
        NoSurvey, AlreadyAnswered, TooMany: nothing is taken now.
        Invalid: a value does not fit its question, or none is given.
    """
    requests = SurveyRequest.objects.select_for_update().filter(conversation=conversation)
    request = next((row for row in requests if str(row.public_id) == survey), None)
    if request is None:
        raise NoSurvey("This survey was not asked here.")
    if request.answered_at:
        raise AlreadyAnswered("Thank you, you have answered already.")
    check_rate(done_lately(conversation))
    rows = _rows(request, answers)
    SurveyAnswer.objects.bulk_create(rows)
    request.answered_at = timezone.now()
    request.save(update_fields=["answered_at"])
    return append(
        conversation=conversation,
        kind=EventKind.SURVEY,
        role=Role.CUSTOMER,
        data={"survey": survey, "answered": len(rows)},
    )


def _rows(request: SurveyRequest, answers: Mapping[str, Any]) -> list[SurveyAnswer]:
    answers = storable(dict(answers))
    questions = {str(question.public_id): question for question in request.questions.all()}
    if set(answers) - set(questions):
        raise Invalid("Such a question was not asked.")
    given = {key: value for key, value in answers.items() if _says_something(value)}
    if not given:
        raise Invalid("Answer at least one question.")
    return [_row(request, questions[key], value) for key, value in given.items()]


def _says_something(value: Any) -> bool:
    return value is not None and (not isinstance(value, str) or bool(value.strip()))


def _row(request: SurveyRequest, question: SurveyQuestion, value: Any) -> SurveyAnswer:
    """Turn a value into a row.

    Raises:
        Invalid: it does not fit the kind of the question.
    """
    row = SurveyAnswer(request=request, question=question)
    match question.kind:
        case QuestionKind.SCORE:
            if type(value) is not int or not 1 <= value <= 5:  # True is an int too
                raise Invalid(f"“{question.text}” takes a whole number from 1 to 5.")
            row.score = value
        case QuestionKind.CHOICE:
            if value not in question.choices:
                raise Invalid(f"“{question.text}” takes one of its choices.")
            row.text = value
        case _:
            if not isinstance(value, str) or len(value) > LONGEST_MESSAGE:
                raise Invalid(f"“{question.text}” takes up to {LONGEST_MESSAGE} characters.")
            row.text = masked(value.strip())
    return row


@transaction.atomic
def ask_the_usual(*, survey: Survey) -> None:
    """Give a survey without questions the three that most services ask."""
    if survey.questions.exists():
        return
    for place, (kind, text, choices) in enumerate(USUAL_QUESTIONS, start=1):
        SurveyQuestion.objects.create(
            survey=survey, place=place, kind=kind, text=text, choices=choices
        )


def retire(question: SurveyQuestion, *, at: datetime | None) -> None:
    """Ask a question no more, or, without a moment, again; its answers stay."""
    SurveyQuestion.objects.filter(pk=question.pk).update(retired_at=at)
