"""What is learnt: frozen data sets, training runs and how well their models do."""

import uuid
from datetime import timedelta
from typing import Self

from django.conf import settings
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import RangeOperators
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Coalesce
from django.urls import reverse
from django.utils import timezone

from agents.models import ModelVersion
from dialogues.models import Turn
from knowledge.models import Revision

NOT_EQUAL = "<>"  # an operator of btree_gist that RangeOperators does not name


class DatasetForm(models.TextChoices):
    MESSAGES = "messages", "Messages (SFT)"
    PREFERENCE = "preference", "Preference pairs (DPO)"


class Split(models.TextChoices):
    TRAIN = "train", "Training"
    HELD_OUT = "heldout", "Held out"


class Dataset(models.Model):
    """A frozen set of examples: built once, never changed, hashed.

    `recipe` says what was asked for, so that the same question can be asked again.
    """

    public_id = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    name = models.CharField(max_length=120, unique=True)
    form = models.CharField(max_length=10, choices=DatasetForm)
    recipe = models.JSONField(default=dict)
    sha256 = models.CharField(max_length=64, editable=False)  # of the examples in order
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [
            models.CheckConstraint(
                name="dataset_form_known", condition=Q(form__in=DatasetForm.values)
            )
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("training:dataset-detail", args=[self.public_id])


class Example(models.Model):
    """One row of a data set and where it comes from. Rows never change (a trigger).

    `origin` names the conversation or the unit behind it. All examples of one origin are
    on the same side of the fence, in every data set there is: an exclusion constraint
    refuses an origin that is held out in one place and trained on in another.

    `data` is in TRL's forms: {"prompt": [messages], "completion": [message]} or
    {"prompt": [messages], "chosen": [message], "rejected": [message]}.
    """

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="examples")
    position = models.PositiveIntegerField()
    split = models.CharField(max_length=7, choices=Split)
    origin = models.CharField(max_length=80)
    # One of the two, or neither for an imported file.
    turn = models.ForeignKey(Turn, on_delete=models.PROTECT, null=True)
    revision = models.ForeignKey(Revision, on_delete=models.PROTECT, null=True)
    data = models.JSONField()

    class Meta:
        ordering = ["dataset", "position"]
        constraints = [
            models.UniqueConstraint(name="example_position_unique", fields=["dataset", "position"]),
            models.CheckConstraint(name="example_split_known", condition=Q(split__in=Split.values)),
            ExclusionConstraint(
                name="example_held_out_is_never_trained_on",
                expressions=[("origin", RangeOperators.EQUAL), ("split", NOT_EQUAL)],
            ),
        ]

    def __str__(self) -> str:
        return f"{self.dataset} {self.position}"


class Stage(models.TextChoices):
    SFT = "sft", "SFT: learn good replies"
    DPO = "dpo", "DPO: prefer rewrites"


class RunStatus(models.TextChoices):
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


FINISHED = [RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED]
LEASE_SECONDS = 30  # a worker renews it every few seconds while its trainer lives


class RunQuerySet(models.QuerySet["Run"]):
    def claim(self, run_pk: int) -> "Run | None":
        """Lease a run that nobody works on, or return None.

        One UPDATE decides, so a task that is delivered twice trains once. A running run
        whose worker fell silent is claimed too: it goes on from its last checkpoint.
        """
        now = timezone.now()
        free = Q(status=RunStatus.QUEUED) | Q(status=RunStatus.RUNNING, leased_until__lt=now)
        claimed = self.filter(free, pk=run_pk).update(
            status=RunStatus.RUNNING,
            leased_until=now + timedelta(seconds=LEASE_SECONDS),
            attempts=F("attempts") + 1,
            started_at=Coalesce("started_at", now),
        )
        return self.get(pk=run_pk) if claimed else None

    def silent(self) -> Self:
        """Keep the running ones whose worker let the lease lapse."""
        return self.filter(status=RunStatus.RUNNING, leased_until__lt=timezone.now())


class Run(models.Model):
    """One training job. It is queued, leased by a worker, and ends in a FINISHED state.

    `base` are the weights it starts from: the base model, or an adapter to go on with.
    `version` is what came of it.
    """

    public_id = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    name = models.SlugField(max_length=80, unique=True)
    stage = models.CharField(max_length=3, choices=Stage)
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="runs")
    base = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="runs")
    recipe = models.JSONField(default=dict)  # the stage's Recipe, changed fields only
    status = models.CharField(max_length=9, choices=RunStatus, default=RunStatus.QUEUED)
    step = models.PositiveIntegerField(default=0, editable=False)
    total_steps = models.PositiveIntegerField(default=0, editable=False)  # 0 until known
    leased_until = models.DateTimeField(null=True, editable=False)
    attempts = models.PositiveSmallIntegerField(default=0, editable=False)
    error = models.TextField(blank=True, editable=False)
    version = models.OneToOneField(
        ModelVersion, on_delete=models.PROTECT, null=True, editable=False, related_name="run"
    )
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    started_at = models.DateTimeField(null=True, editable=False)
    finished_at = models.DateTimeField(null=True, editable=False)

    objects = RunQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [
            models.CheckConstraint(name="run_stage_known", condition=Q(stage__in=Stage.values)),
            models.CheckConstraint(
                name="run_status_known", condition=Q(status__in=RunStatus.values)
            ),
            models.CheckConstraint(
                name="run_finished_at_when_finished",
                condition=Q(status__in=FINISHED, finished_at__isnull=False)
                | (~Q(status__in=FINISHED) & Q(finished_at__isnull=True)),
            ),
            models.CheckConstraint(
                name="run_version_when_succeeded",
                condition=~Q(status=RunStatus.SUCCEEDED) | Q(version__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("training:run-detail", args=[self.public_id])

    @property
    def is_finished(self) -> bool:
        return self.status in FINISHED

    def finish(self, status: RunStatus, *, error: str = "") -> bool:
        """Put the run in a FINISHED state; return False if it is in one already."""
        unfinished = Run.objects.filter(pk=self.pk).exclude(status__in=FINISHED)
        updated = unfinished.update(
            status=status, error=error, finished_at=timezone.now(), leased_until=None
        )
        self.refresh_from_db()
        return updated == 1


class RunEventKind(models.TextChoices):
    METRICS = "metrics", "Metrics of a step"
    NOTE = "note", "Note"


class RunEvent(models.Model):
    """What a run told while it ran: the metrics of a step, or a note. Rows are only added."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="events")
    kind = models.CharField(max_length=7, choices=RunEventKind)
    step = models.PositiveIntegerField(null=True)  # null for notes
    data = models.JSONField(default=dict)
    at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["run", "pk"]
        constraints = [
            # A resumed run repeats the steps after its last checkpoint; they are kept once.
            models.UniqueConstraint(
                name="run_event_step_once",
                fields=["run", "step"],
                condition=Q(kind=RunEventKind.METRICS),
            )
        ]

    def __str__(self) -> str:
        return f"{self.run} {self.kind} {self.step or ''}"


class Evaluation(models.Model):
    """How a model does on the held-out examples of a data set, through the engine.

    `metrics` are shares from 0 to 1 by the names of `training.measuring`; `answers` has
    one object per example, for the list of what changed.
    """

    public_id = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="evaluations")
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="evaluations")
    metrics = models.JSONField()
    answers = models.JSONField(default=list)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-created_at", "-pk"]

    def __str__(self) -> str:
        return f"{self.version} on {self.dataset}"
