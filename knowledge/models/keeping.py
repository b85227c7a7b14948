"""Keeping a large base in order: conflicts, lineage, bulk edits, imports."""

import uuid
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from knowledge.models.jobs import Job
from knowledge.models.units import KnowledgeUnit, Revision, Scene
from wowconsole.roles import AnyUser, sees_every_scene


class ConflictKind(models.TextChoices):
    DUPLICATE = "duplicate", "Says the same"
    OVERLAP = "overlap", "Applies to the same situation"
    CONTRADICTION = "contradiction", "Says the opposite"


class ConflictState(models.TextChoices):
    SUSPECTED = "suspected", "To be looked at"
    PROVEN = "proven", "Proven"
    DISMISSED = "dismissed", "No conflict"
    RESOLVED = "resolved", "Resolved by an edit"


class FoundBy(models.TextChoices):
    RULES = "rules", "Comparison of numbers, durations, yes and no"
    JUDGE = "judge", "Judge model"
    PERSON = "person", "A colleague"


class ConflictQuerySet(models.QuerySet["Conflict"]):
    def visible_to(self, user: AnyUser) -> Self:
        """Keep what is about rules of the user's scenes."""
        if sees_every_scene(user):
            return self
        return self.filter(left__unit__scene__members__pk=user.pk)

    def blocking(self) -> Self:
        """Keep what stops a publication: a proven contradiction nobody has passed over."""
        return self.filter(
            kind=ConflictKind.CONTRADICTION, state=ConflictState.PROVEN, override_reason=""
        )


class Conflict(models.Model):
    """Two revisions that say the same, or the opposite, of one situation.

    `left` is the revision whose saving found it, `right` was the latest of another unit.
    `left_text` and `right_text` are the sentences to put side by side.
    """

    public_id = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    left = models.ForeignKey(Revision, on_delete=models.CASCADE, related_name="conflicts")
    right = models.ForeignKey(Revision, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=13, choices=ConflictKind)
    state = models.CharField(max_length=9, choices=ConflictState, default=ConflictState.SUSPECTED)
    found_by = models.CharField(max_length=6, choices=FoundBy, default=FoundBy.RULES)
    reason = models.CharField(max_length=300)  # for people: "30 days" against "14 days"
    left_text = models.TextField()
    right_text = models.TextField()
    similarity = models.FloatField()  # cosine of the two, -1 to 1
    # Null until a person decides; the override lets a proven contradiction be published.
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    decided_at = models.DateTimeField(null=True)
    override_reason = models.CharField(max_length=500, blank=True)
    at = models.DateTimeField(default=timezone.now, editable=False)

    objects = ConflictQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(
                name="conflict_kind_known", condition=Q(kind__in=ConflictKind.values)
            ),
            models.CheckConstraint(
                name="conflict_state_known", condition=Q(state__in=ConflictState.values)
            ),
            models.CheckConstraint(
                name="conflict_found_by_known", condition=Q(found_by__in=FoundBy.values)
            ),
            models.CheckConstraint(name="conflict_of_two", condition=~Q(left=F("right"))),
            models.UniqueConstraint(name="conflict_once", fields=["left", "right", "kind"]),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.reason}"


class LineageKind(models.TextChoices):
    MERGE = "merge", "Merged into"
    SPLIT = "split", "Split into"


class Lineage(models.Model):
    """`source` became part of `target`, or `target` was split off from it. Without cycles.

    Hits and labels of a source count for its targets.
    """

    source = models.ForeignKey(KnowledgeUnit, on_delete=models.PROTECT, related_name="became")
    target = models.ForeignKey(KnowledgeUnit, on_delete=models.PROTECT, related_name="came_from")
    kind = models.CharField(max_length=5, choices=LineageKind)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.CheckConstraint(
                name="lineage_kind_known", condition=Q(kind__in=LineageKind.values)
            ),
            models.CheckConstraint(name="lineage_of_two", condition=~Q(source=F("target"))),
            models.UniqueConstraint(name="lineage_once", fields=["source", "target"]),
        ]

    def __str__(self) -> str:
        return f"#{self.source_id} {self.kind} #{self.target_id}"


class BulkEditQuerySet(models.QuerySet["BulkEdit"]):
    def visible_to(self, user: AnyUser) -> Self:
        """Keep one's own, and those that changed a rule of the user's scenes."""
        if sees_every_scene(user):
            return self
        scenes = Scene.objects.visible_to(user).order_by()
        near = BulkChange.objects.filter(unit__scene__in=scenes).values("bulk")
        return self.filter(Q(by_id=user.pk) | Q(pk__in=near))


class BulkEdit(models.Model):
    """One change to many rules, which can be undone as a whole.

    `operation` names it, `parameters` says what was asked for; the changes hold what it did,
    `skipped` what it left alone: [{"unit": key, "why": text}].
    """

    public_id = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    operation = models.CharField(max_length=20)
    parameters = models.JSONField(default=dict)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(default=timezone.now, editable=False)
    undone_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    undone_at = models.DateTimeField(null=True)  # null: it stands
    skipped = models.JSONField(default=list)
    undo_skipped = models.JSONField(default=list)
    # Publishing many embeds for minutes: null where the edit, or its undoing, was done at once.
    job = models.OneToOneField(Job, on_delete=models.PROTECT, null=True, related_name="bulk_edit")
    undo_job = models.OneToOneField(
        Job, on_delete=models.PROTECT, null=True, related_name="bulk_undo"
    )
    # What the job is to do, as it was when it was asked for: one BulkChange's fields per rule.
    planned = models.JSONField(default=list)

    objects = BulkEditQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(
                name="bulk_edit_undone_at_when_undone",
                condition=Q(undone_by__isnull=True, undone_at__isnull=True)
                | Q(undone_by__isnull=False, undone_at__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return f"{self.operation} by {self.by} at {self.at:%Y-%m-%d %H:%M}"


class BulkChange(models.Model):
    """What a bulk edit did to one rule: the latest revision and the status before and after."""

    bulk = models.ForeignKey(BulkEdit, on_delete=models.CASCADE, related_name="changes")
    unit = models.ForeignKey(KnowledgeUnit, on_delete=models.PROTECT, related_name="+")
    before = models.ForeignKey(Revision, on_delete=models.PROTECT, related_name="+")
    after = models.ForeignKey(Revision, on_delete=models.PROTECT, related_name="+")
    # What was live; null: nothing was.
    live_before = models.ForeignKey(Revision, on_delete=models.PROTECT, null=True, related_name="+")
    # Null: the owner stayed.
    owner_before = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    status_before = models.CharField(max_length=10)
    status_after = models.CharField(max_length=10)

    class Meta:
        constraints = [models.UniqueConstraint(name="bulk_unit_once", fields=["bulk", "unit"])]

    def __str__(self) -> str:
        return f"#{self.unit_id} in {self.bulk_id}"


class ImportFile(models.Model):
    """A file of rules on its way in, kept until the job that reads it is over.

    The bytes live here, not in a folder: web and worker may be different machines.
    `report` is one object per line: {"line", "external_id", "action", "error"}.
    """

    job = models.OneToOneField(Job, on_delete=models.CASCADE, related_name="import_file")
    name = models.CharField(max_length=200)
    content = models.BinaryField()
    scene = models.ForeignKey(Scene, on_delete=models.PROTECT, null=True)  # null: rows name theirs
    publish = models.BooleanField(default=False)
    dry_run = models.BooleanField(default=True)
    report = models.JSONField(default=list)

    def __str__(self) -> str:
        return self.name
