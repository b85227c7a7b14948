"""The questions after a conversation, and what customers answered."""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.urls import reverse
from django.utils import timezone

from dialogues.models.conversations import Conversation
from dialogues.models.opening import SceneOwnedQuerySet
from knowledge.models import Scene


class Survey(models.Model):
    """What customers of a scene are asked at the end; without a scene: those of all others."""

    public_id = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    scene = models.ForeignKey(
        Scene, on_delete=models.CASCADE, null=True, blank=True, related_name="surveys"
    )
    at_end = models.BooleanField(default=True)  # else only where a program or a person asks it

    objects = SceneOwnedQuerySet.as_manager()

    class Meta:
        ordering = [F("scene").asc(nulls_first=True), "-pk"]
        constraints = [
            models.UniqueConstraint(
                name="survey_one_per_scene",
                fields=["scene"],
                nulls_distinct=False,
                violation_error_message="This scene has a survey already; edit that one.",
            )
        ]

    def __str__(self) -> str:
        return self.scene.name if self.scene else "Every other scene"

    def get_absolute_url(self) -> str:
        return reverse("dialogues:survey-detail", args=[self.public_id])


class QuestionKind(models.TextChoices):
    SCORE = "score", "Score from 1 to 5"
    CHOICE = "choice", "One of several"
    TEXT = "text", "Own words"


class SurveyQuestion(models.Model):
    """One question. Its words never change, so that its answers keep their meaning.

    Another wording is another question; one that is retired is not asked any more.
    """

    public_id = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    survey = models.ForeignKey(Survey, on_delete=models.CASCADE, related_name="questions")
    place = models.PositiveSmallIntegerField(default=1)
    kind = models.CharField(max_length=6, choices=QuestionKind)
    text = models.CharField(max_length=200)
    choices = ArrayField(models.CharField(max_length=80), default=list, blank=True)
    retired_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["place", "pk"]
        constraints = [
            models.CheckConstraint(
                name="question_kind_known", condition=Q(kind__in=QuestionKind.values)
            ),
            models.CheckConstraint(
                name="question_choices_when_choice",
                condition=Q(kind=QuestionKind.CHOICE, choices__len__gte=2)
                | (~Q(kind=QuestionKind.CHOICE) & Q(choices=[])),
                violation_error_message="Give at least two choices, and only to that kind.",
            ),
        ]

    def __str__(self) -> str:
        return self.text


class SurveyRequest(models.Model):
    """One conversation whose customer was asked; without `answered_at` nothing came back."""

    public_id = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    survey = models.ForeignKey(Survey, on_delete=models.CASCADE, related_name="requests")
    conversation = models.OneToOneField(
        Conversation, on_delete=models.CASCADE, related_name="survey_request"
    )
    questions = models.ManyToManyField(SurveyQuestion, related_name="requests")  # what was asked
    asked_at = models.DateTimeField(default=timezone.now, editable=False)
    answered_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-pk"]
        indexes = [models.Index(name="survey_results", fields=["survey", "asked_at"])]

    def __str__(self) -> str:
        return f"{self.survey} asked in {self.conversation}"


class SurveyAnswer(models.Model):
    """What a customer answered to one question. No row: not answered."""

    request = models.ForeignKey(SurveyRequest, on_delete=models.CASCADE, related_name="answers")
    question = models.ForeignKey(SurveyQuestion, on_delete=models.PROTECT, related_name="answers")
    score = models.PositiveSmallIntegerField(null=True)  # 1 to 5
    text = models.TextField(blank=True)  # the choice, or the customer's own words

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(name="survey_answer_once", fields=["request", "question"]),
            models.CheckConstraint(
                name="survey_answer_says_something",
                condition=Q(score__isnull=False, score__range=(1, 5), text="")
                | (Q(score__isnull=True) & ~Q(text="")),
            ),
        ]

    def __str__(self) -> str:
        return str(self.score or self.text[:80])
