"""How a revision comes to be used: submissions, and named pictures of the whole base."""

import uuid
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from knowledge.models.units import KnowledgeUnit, Revision, Scene
from wowconsole.roles import AnyUser, sees_every_scene


class SubmissionState(models.TextChoices):
    WAITING = "waiting", "Waiting for approval"
    SCHEDULED = "scheduled", "Scheduled"
    PUBLISHED = "published", "Published"
    REJECTED = "rejected", "Sent back"
    WITHDRAWN = "withdrawn", "Withdrawn"
    FAILED = "failed", "Could not be published"


OPEN_SUBMISSION = (SubmissionState.WAITING, SubmissionState.SCHEDULED)


class SubmissionQuerySet(models.QuerySet["Submission"]):
    def visible_to(self, user: AnyUser) -> Self:
        """Keep what is about rules of the user's scenes."""
        return self if sees_every_scene(user) else self.filter(unit__scene__members__pk=user.pk)

    def due(self) -> Self:
        return self.filter(state=SubmissionState.SCHEDULED, publish_at__lte=timezone.now())


class Submission(models.Model):
    """A revision on its way to customers: asked for, decided upon, published, perhaps later.

    It is about one revision: what is edited afterwards needs a submission of its own. A unit
    has at most one that is open.
    """

    public_id = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    unit = models.ForeignKey(KnowledgeUnit, on_delete=models.CASCADE, related_name="submissions")
    revision = models.ForeignKey(Revision, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=9, choices=SubmissionState)
    publish_at = models.DateTimeField(null=True, blank=True)  # null: at once when approved
    comment = models.TextField(blank=True, max_length=1000)  # of the one who asks
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(default=timezone.now, editable=False)
    # Null until somebody decides; also where none is needed (a low-risk rule, scheduled).
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    decided_at = models.DateTimeField(null=True)
    decision = models.TextField(blank=True, max_length=1000)  # why sent back, or what failed

    objects = SubmissionQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(
                name="submission_state_known", condition=Q(state__in=SubmissionState.values)
            ),
            models.CheckConstraint(
                name="submission_scheduled_has_a_time",
                condition=~Q(state=SubmissionState.SCHEDULED) | Q(publish_at__isnull=False),
            ),
            models.CheckConstraint(
                name="submission_decided_at_when_decided",
                condition=Q(decided_by__isnull=True, decided_at__isnull=True)
                | Q(decided_by__isnull=False, decided_at__isnull=False),
            ),
            models.UniqueConstraint(
                name="submission_one_open_per_unit",
                fields=["unit"],
                condition=Q(state__in=OPEN_SUBMISSION),
            ),
        ]
        indexes = [
            models.Index(
                name="submission_due",
                fields=["publish_at"],
                condition=Q(state=SubmissionState.SCHEDULED),
            )
        ]

    def __str__(self) -> str:
        return f"{self.revision}: {self.get_state_display()}"


class Snapshot(models.Model):
    """What was live at one moment, by name: of one scene, or of the whole base.

    Its entries are written in one statement, so they are one consistent picture.
    """

    public_id = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    name = models.CharField(max_length=80, unique=True)
    scene = models.ForeignKey(Scene, on_delete=models.PROTECT, null=True, blank=True)  # null: all
    comment = models.TextField(blank=True, max_length=1000)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return self.name


class SnapshotEntry(models.Model):
    """A revision that was live when the snapshot was taken."""

    snapshot = models.ForeignKey(Snapshot, on_delete=models.CASCADE, related_name="entries")
    unit = models.ForeignKey(KnowledgeUnit, on_delete=models.PROTECT, related_name="+")
    revision = models.ForeignKey(Revision, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(name="snapshot_unit_once", fields=["snapshot", "unit"])
        ]

    def __str__(self) -> str:
        return f"{self.revision} in {self.snapshot}"
