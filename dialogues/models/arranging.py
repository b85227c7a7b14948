"""What people arrange outside the talk, and what each change was: for pages and for the record."""

import uuid
from typing import ClassVar

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from agents.subagents.callees import Temper
from dialogues.models.jobs import CallPlan
from dialogues.models.opening import SceneOwnedQuerySet
from knowledge.models import Job, Scene


class Arranged(models.TextChoices):
    SITE = "site", "Chat site"
    SITE_KEYS = "site_keys", "Keys of a site"
    CALL_PLAN = "call_plan", "Call plan"
    CONTACT_RULES = "contact_rules", "Contact rules"


class Arrangement(models.Model):
    """What a row was from `at` on, numbered 1, 2, 3… by kind and name. Never changes (trigger).

    Secrets never stand in `data`; it is empty once the row is gone.
    """

    kind = models.CharField(max_length=13, choices=Arranged)
    name = models.CharField(max_length=60)  # slug of a site or a scene, name of a plan
    number = models.PositiveIntegerField()
    data = models.JSONField(default=dict)
    note = models.CharField(max_length=200, blank=True)
    # Null: how it stood before anybody changed it on a page.
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True)
    at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                name="arrangement_number_once", fields=["kind", "name", "number"]
            ),
            models.CheckConstraint(
                name="arrangement_kind_known", condition=Q(kind__in=Arranged.values)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.name}, change {self.number}"


class ContactRules(models.Model):
    """How often and when customers of a scene may be told unasked things.

    Without a scene: wherever no other row says it. Without a row the settings hold. Hours are
    by the customer's clock; equal ones mean no quiet hours.
    """

    ARRANGED: ClassVar[Arranged] = Arranged.CONTACT_RULES
    KEPT: ClassVar[tuple[str, ...]] = (
        *("quiet_from", "quiet_until", "silent_until", "most", "days", "holdout_percent"),
    )

    scene = models.ForeignKey(
        Scene, on_delete=models.PROTECT, null=True, blank=True, related_name="contact_rules"
    )
    quiet_from = models.TimeField()
    quiet_until = models.TimeField()
    # Do not disturb: nobody is told anything before this moment, by any clock. Null: no such.
    silent_until = models.DateTimeField(null=True, blank=True)
    most = models.PositiveSmallIntegerField(validators=[MaxValueValidator(100)])
    days = models.PositiveSmallIntegerField(
        validators=[MinValueValidator(1), MaxValueValidator(90)]
    )
    # With which new policies begin; the share of each stands in its versions.
    holdout_percent = models.PositiveSmallIntegerField(
        default=10, validators=[MaxValueValidator(50)]
    )

    objects = SceneOwnedQuerySet.as_manager()

    class Meta:
        ordering = ["scene", "pk"]
        verbose_name_plural = "contact rules"
        constraints = [
            models.UniqueConstraint(
                name="contact_rules_scene_once",
                fields=["scene"],
                nulls_distinct=False,
                violation_error_message="These customers have rules already. Change those.",
            ),
            models.CheckConstraint(
                name="contact_rules_in_bounds",
                condition=Q(most__lte=100, days__gte=1, days__lte=90, holdout_percent__lte=50),
            ),
        ]

    def __str__(self) -> str:
        return self.scene.name if self.scene else "Every other scene"

    @property
    def arranged_as(self) -> str:
        return self.scene.slug if self.scene else "*"


class CallTrial(models.Model):
    """A plan of calls tried on somebody simulated: nobody is rung, no customer hears of it.

    `card` is the plan's as it was tried, its blanks filled. `memory` and `lines` are kept as the
    call goes on, so that another process can finish it.
    """

    public_id = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    plan = models.ForeignKey(CallPlan, on_delete=models.CASCADE, related_name="trials")
    job = models.OneToOneField(Job, on_delete=models.PROTECT, related_name="call_trial")
    card = models.JSONField()
    temper = models.CharField(max_length=12)
    seed = models.PositiveSmallIntegerField(default=0)
    # Whether the live release's model words the questions; else the templates do.
    model_words = models.BooleanField(default=False)
    memory = models.JSONField(default=dict)
    lines = models.JSONField(default=list)  # [{number, speaker, text, data}]
    result = models.JSONField(default=dict)
    report = models.JSONField(default=dict)  # the score and its evidence
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(
                name="call_trial_temper_known",
                condition=Q(temper__in=[temper.value for temper in Temper]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.plan} on somebody {self.temper_words}"

    def get_absolute_url(self) -> str:
        return reverse("dialogues:trial-detail", args=[self.plan.name, self.public_id])

    @property
    def temper_words(self) -> str:
        return self.temper.replace("_", " ")

    @property
    def outcome_words(self) -> str:
        """Return what came of the call; "" while it goes on."""
        return str(self.result.get("outcome", "")).replace("_", " ").capitalize()
