"""The people's side of the service: who holds what, what is noted, said often, and drafted."""

import uuid
from typing import Self

from django.conf import settings
from django.contrib.auth.models import User
from django.db import models
from django.db.models import Q
from django.utils import timezone

from dialogues.models.conversations import Conversation, Event
from dialogues.models.opening import SceneOwnedQuerySet
from knowledge.models import Job, Scene
from wowconsole.roles import AnyUser

LONGEST_SUMMARY = 1000  # characters; the agent is shown all of them


class SummarySource(models.TextChoices):
    STAFF = "staff", "Written by the colleague"
    ENGINE = "engine", "Drafted by the engine"
    LOG = "log", "Drafted from the log"


class HandoverQuerySet(models.QuerySet["Handover"]):
    def open(self) -> Self:
        return self.filter(ended_at__isnull=True)

    def waiting(self) -> Self:
        """Keep those whom nobody holds; the longest wait first."""
        return self.open().filter(holder__isnull=True).order_by("asked_at", "pk")

    def queue_of(self, scene: Scene | None) -> Self:
        """Keep those who wait for the people of a scene, in order."""
        return self.waiting().filter(conversation__scene=scene)

    def visible_to(self, user: AnyUser) -> Self:
        return self.filter(conversation__in=Conversation.objects.visible_to(user))


class Handover(models.Model):
    """One stretch in which people have a conversation: asked for or taken, until it ends.

    `holder` is null while it waits in the queue. `due_at` is by when a person should have
    answered first, counted in open hours.
    """

    conversation = models.ForeignKey(
        Conversation, on_delete=models.CASCADE, related_name="handovers"
    )
    holder = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="held"
    )
    asked_at = models.DateTimeField(default=timezone.now, editable=False)
    due_at = models.DateTimeField()
    answered_at = models.DateTimeField(null=True)  # null: no person has answered yet
    ended_at = models.DateTimeField(null=True)
    # The change of control that ended it; null: it has not ended, or with the conversation.
    ended_by = models.OneToOneField(
        Event, on_delete=models.CASCADE, null=True, related_name="ended_handover"
    )
    # What the person did, for the agent.
    summary = models.TextField(blank=True, max_length=LONGEST_SUMMARY)
    summary_source = models.CharField(max_length=6, choices=SummarySource, blank=True)

    objects = HandoverQuerySet.as_manager()

    class Meta:
        ordering = ["asked_at", "pk"]
        constraints = [
            models.UniqueConstraint(
                name="handover_one_open_per_conversation",
                fields=["conversation"],
                condition=Q(ended_at__isnull=True),
            ),
            models.CheckConstraint(
                name="handover_summary_has_a_source",
                condition=Q(summary="", summary_source="")
                | (~Q(summary="") & Q(summary_source__in=SummarySource.values)),
            ),
            models.CheckConstraint(
                name="handover_ended_by_when_ended",
                condition=Q(ended_by__isnull=True) | Q(ended_at__isnull=False),
            ),
        ]
        indexes = [
            models.Index(
                name="handover_queue", fields=["asked_at", "id"], condition=Q(ended_at=None)
            )
        ]

    def __str__(self) -> str:
        return f"{self.conversation} with {self.holder or 'nobody yet'}"

    @property
    def is_overdue(self) -> bool:
        """Whether the first answer of a person came late, or is late now."""
        return (self.answered_at or self.ended_at or timezone.now()) > self.due_at


class Assignment(models.Model):
    """Who was given a handover, by whom. Rows are added, never changed."""

    handover = models.ForeignKey(Handover, on_delete=models.CASCADE, related_name="assignments")
    to = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )  # null: put back into the queue
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )  # null: nobody, its holder may not answer here any more or let the customer wait
    at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.by or 'nobody'} → {self.to or 'queue'}"


class Note(models.Model):
    """What colleagues tell each other of a conversation. Customers and agents never see it."""

    public_id = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="notes")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    text = models.TextField(max_length=2000)
    at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.text[:80]


class CannedReply(models.Model):
    """An answer that people give often, found by its shortcut."""

    public_id = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    scene = models.ForeignKey(
        Scene, on_delete=models.CASCADE, null=True, blank=True, related_name="canned_replies"
    )
    shortcut = models.SlugField(max_length=40)  # typed after a slash
    text = models.TextField(max_length=2000)
    updated_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, editable=False
    )
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = SceneOwnedQuerySet.as_manager()

    class Meta:
        ordering = ["shortcut", "-pk"]
        constraints = [
            models.UniqueConstraint(
                name="canned_shortcut_once_per_scene",
                fields=["scene", "shortcut"],
                nulls_distinct=False,
                violation_error_message="This scene has a reply of that shortcut already.",
            )
        ]

    def __str__(self) -> str:
        return f"/{self.shortcut}"


class DraftKind(models.TextChoices):
    REPLY = "reply", "Answer"
    SUMMARY = "summary", "Summary"


class DraftSource(models.TextChoices):
    ENGINE = "engine", "Drafted by the engine"
    RULE = "rule", "The best rule, as written: no engine answered"
    LOG = "log", "Drafted from the log: no engine answered"


class DraftUse(models.TextChoices):
    ACCEPTED = "accepted", "Sent as drafted"
    EDITED = "edited", "Sent with changes"


class Draft(models.Model):
    """What a machine proposes that a person may say, or write of what they did.

    `text` is empty until its job is done. `use` says what became of it; empty: nothing.
    """

    public_id = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="drafts")
    job = models.OneToOneField(Job, on_delete=models.CASCADE, related_name="draft")
    kind = models.CharField(max_length=7, choices=DraftKind)
    after_seq = models.PositiveIntegerField()  # the newest event it takes into account
    text = models.TextField(blank=True)
    source = models.CharField(max_length=6, choices=DraftSource, blank=True)
    release = models.CharField(max_length=80, blank=True)  # name of the release that drafted it
    use = models.CharField(max_length=8, choices=DraftUse, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(name="draft_kind_known", condition=Q(kind__in=DraftKind.values)),
            models.CheckConstraint(
                name="draft_source_when_written",
                condition=Q(text="", source="") | (~Q(text="") & Q(source__in=DraftSource.values)),
            ),
            models.CheckConstraint(
                name="draft_use_known", condition=Q(use__in=["", *DraftUse.values])
            ),
        ]

    def __str__(self) -> str:
        return self.text[:80]


def name_of(person: User) -> str:
    """Return what customers and colleagues call a member of staff."""
    return person.get_short_name() or person.get_username()
