"""What people think of a turn: judgements, and the case they make of it."""

import uuid
from typing import Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone

from dialogues.models.turns import Turn
from wowconsole.roles import AnyUser


class IssueType(models.TextChoices):
    """Eight ways a reply goes wrong: four of the WOWService report, four of ours."""

    UNCLARIFIED_DEMAND = "unclarified_demand", "Unclarified demand"
    HALLUCINATION = "hallucination", "Hallucination"
    SCRIPT_REPETITION = "script_repetition", "Script repetition"
    INCORRECT_SOLUTION = "incorrect_solution", "Incorrect solution"
    RULE_VIOLATION = "rule_violation", "Rule violation or over-promise"
    WITHHELD_SOLUTION = "withheld_solution", "Withheld solution"
    WRONG_ACTION = "wrong_action", "Wrong or missing action"
    MECHANICAL_TONE = "mechanical_tone", "Mechanical tone"


class Verdict(models.TextChoices):
    GOOD = "good", "Good"
    BAD = "bad", "Bad"
    WRONG = "wrong", "Wrong solution"
    NEUTRAL = "neutral", "Neutral"


class JudgementSource(models.TextChoices):
    CUSTOMER = "customer", "Customer"
    REVIEWER = "reviewer", "Reviewer"
    INSPECTION = "inspection", "Inspection"
    IMPORT = "import", "Imported"


class Judgement(models.Model):
    """One verdict on a turn, by whoever gave it. Rows are added, never changed."""

    public_id = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    turn = models.ForeignKey(Turn, on_delete=models.CASCADE, related_name="judgements")
    source = models.CharField(max_length=10, choices=JudgementSource)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,  # null: not a person of ours
    )
    verdict = models.CharField(max_length=7, choices=Verdict)
    issue_types = ArrayField(
        models.CharField(max_length=20, choices=IssueType), default=list, blank=True
    )
    # What should have been said: a whole dialogue action, or empty.
    rewrite = models.JSONField(default=dict, blank=True)
    comment = models.TextField(blank=True, max_length=2000)
    at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(
                name="judgement_verdict_known", condition=Q(verdict__in=Verdict.values)
            ),
            models.CheckConstraint(
                name="judgement_source_known", condition=Q(source__in=JudgementSource.values)
            ),
            models.CheckConstraint(
                name="judgement_issue_types_known",
                condition=Q(issue_types__contained_by=IssueType.values),
            ),
            models.CheckConstraint(
                name="judgement_bad_names_an_issue",
                condition=~Q(verdict__in=[Verdict.BAD, Verdict.WRONG])
                | Q(source__in=[JudgementSource.CUSTOMER])
                | ~Q(issue_types=[]),
                violation_error_message="Name at least one issue of a bad reply.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_verdict_display()} by {self.source}"


class CaseQuerySet(models.QuerySet["Case"]):
    def visible_to(self, user: AnyUser) -> Self:
        """Keep the cases of conversations the user may read."""
        return self.filter(turn__in=Turn.objects.visible_to(user))

    def pairs(self) -> Self:
        """Keep the cases that hold both a rejected and a chosen reply."""
        return self.filter(label=Verdict.BAD).exclude(rewrite={})


class Case(models.Model):
    """A turn as it is classed now; its judgements are the history.

    Good cases become SFT rows, bad ones with a rewrite preference pairs; a wrong
    solution is neither until somebody has annotated it.
    """

    public_id = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    turn = models.OneToOneField(Turn, on_delete=models.CASCADE, related_name="case")
    label = models.CharField(max_length=7, choices=Verdict)
    issue_types = ArrayField(
        models.CharField(max_length=20, choices=IssueType), default=list, blank=True
    )
    rewrite = models.JSONField(default=dict, blank=True)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)  # for the list

    objects = CaseQuerySet.as_manager()

    class Meta:
        ordering = ["-updated_at", "-pk"]
        constraints = [
            models.CheckConstraint(name="case_label_known", condition=Q(label__in=Verdict.values)),
            models.CheckConstraint(
                name="case_issue_types_known",
                condition=Q(issue_types__contained_by=IssueType.values),
            ),
        ]
        indexes = [models.Index(name="case_newest", fields=["-updated_at", "-id"])]

    def __str__(self) -> str:
        return f"{self.get_label_display()} case of {self.turn}"
