"""Long work that people start, watch and cancel: one row each, whoever does it."""

import uuid
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from wowconsole.roles import AnyUser, can


class JobState(models.TextChoices):
    QUEUED = "queued", "Waiting"
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


UNFINISHED = (JobState.QUEUED, JobState.RUNNING)


class JobQuerySet(models.QuerySet["Job"]):
    def visible_to(self, user: AnyUser) -> Self:
        """Keep the jobs that the user started; admins see all."""
        return self if can(user, "admin") else self.filter(by_id=user.pk)

    def silent(self) -> Self:
        """Keep what no process works on although it should: never taken up, or fallen silent."""
        now = timezone.now()
        waiting = Q(state=JobState.QUEUED, leased_until__isnull=True)
        return self.filter(waiting | Q(state__in=UNFINISHED, leased_until__lt=now))


class Job(models.Model):
    """One piece of long work. What it is about points here by a OneToOneField.

    `task` is the Celery task that does it, called with the job's key; `leased_until` belongs
    to the process at work. When that dies, beat sends the task again, which goes on from
    `done`: a task must be able to begin anywhere between 0 and `total`.
    """

    public_id = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    task = models.CharField(max_length=100, editable=False)
    title = models.CharField(max_length=200)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="jobs")
    state = models.CharField(max_length=9, choices=JobState, default=JobState.QUEUED)
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)  # 0: not known yet
    note = models.CharField(max_length=300, blank=True)  # what it is at, or what came of it
    error = models.TextField(blank=True)  # for people: what happened and what to do
    cancel_requested = models.BooleanField(default=False)
    leased_until = models.DateTimeField(null=True)  # null: no process has taken it up
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    finished_at = models.DateTimeField(null=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(name="job_state_known", condition=Q(state__in=JobState.values)),
            models.CheckConstraint(
                name="job_finished_at_when_finished",
                condition=Q(state__in=UNFINISHED, finished_at__isnull=True)
                | (~Q(state__in=UNFINISHED) & Q(finished_at__isnull=False)),
            ),
        ]
        indexes = [
            models.Index(name="job_unfinished", fields=["id"], condition=Q(state__in=UNFINISHED))
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def is_finished(self) -> bool:
        return self.state not in UNFINISHED

    @property
    def percent(self) -> int:
        return min(100, 100 * self.done // self.total) if self.total else 0
