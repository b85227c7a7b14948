"""What customers and staff send besides text: pictures, voice messages, files."""

import uuid
from datetime import timedelta
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from pgvector.django import BitField

from dialogues.models.conversations import Conversation, Event
from wowconsole.roles import AnyUser

LOOK_BITS = 256
DESCRIPTION_LENGTH = 200  # characters


class AttachmentKind(models.TextChoices):
    IMAGE = "image", "Picture"
    VOICE = "voice", "Voice message"
    FILE = "file", "File"


class AttachmentQuerySet(models.QuerySet["Attachment"]):
    def visible_to(self, user: AnyUser) -> Self:
        """Keep those of conversations the user may read."""
        return self.filter(conversation__in=Conversation.objects.visible_to(user))

    def by_customer(self) -> Self:
        return self.filter(by=None)

    def shown_to_customer(self) -> Self:
        """Keep the customer's own, and what colleagues have sent."""
        return self.filter(Q(by=None) | Q(event__isnull=False))

    def forgotten(self, *, after: timedelta) -> Self:
        """Keep what was uploaded so long ago and never became part of a message."""
        return self.filter(event=None, created_at__lt=timezone.now() - after)


class Attachment(models.Model):
    """A file that was uploaded to be sent; part of a message once that is sent.

    `kind` and `content_type` come from the content, never from name or header. A picture is
    stored as newly encoded from its pixels alone, so that no metadata is left; what the
    metadata told about editing is in `traits`, as is what only the original could show.
    """

    public_id = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    conversation = models.ForeignKey(
        Conversation, on_delete=models.CASCADE, related_name="attachments"
    )
    # Null until it is sent.
    event = models.ForeignKey(
        Event, on_delete=models.CASCADE, null=True, related_name="attachments"
    )
    # The colleague who sends it to the customer; null: the customer's own.
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    kind = models.CharField(max_length=5, choices=AttachmentKind)
    name = models.CharField(max_length=120)  # as its sender calls it; for showing only
    # What a picture shows, for those who don't see it; written by staff.
    description = models.CharField(max_length=DESCRIPTION_LENGTH, blank=True)
    content_type = models.CharField(max_length=60)
    size = models.PositiveIntegerField()  # bytes, as stored
    width = models.PositiveIntegerField(null=True)  # pixels; of pictures only
    height = models.PositiveIntegerField(null=True)
    file = models.FileField(max_length=100)  # named at random
    thumbnail = models.FileField(max_length=100, blank=True)
    sha256 = models.CharField(max_length=64)  # of what was uploaded
    # A difference hash: pictures that look alike differ in few bits. Pictures only.
    look = BitField(length=LOOK_BITS, null=True)
    # Of pictures {"software", "edited_at", "patch": [x, y, width, height]}, of PDFs {"creator",
    # "producer", "made_at", "edited_at", "additions", "hidden"}, as far as there.
    traits = models.JSONField(default=dict)
    # What was made out in it (agents.seeing.Evidence, agents.hearing.Heard,
    # agents.reading.Document); null: not yet, or never, if a colleague sent it.
    evidence = models.JSONField(null=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = AttachmentQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.CheckConstraint(
                name="attachment_kind_known", condition=Q(kind__in=AttachmentKind.values)
            ),
            models.CheckConstraint(
                name="attachment_picture_is_measured",
                condition=(
                    Q(kind=AttachmentKind.IMAGE, look__isnull=False)
                    & Q(width__isnull=False, height__isnull=False, width__gt=0, height__gt=0)
                    & ~Q(thumbnail="")
                )
                | (
                    ~Q(kind=AttachmentKind.IMAGE)
                    & Q(width=None, height=None, look=None, thumbnail="")
                ),
            ),
            models.CheckConstraint(name="attachment_not_empty", condition=Q(size__gt=0)),
            models.CheckConstraint(
                name="attachment_described_by_staff",
                condition=Q(description="") | Q(by__isnull=False, kind=AttachmentKind.IMAGE),
            ),
            models.CheckConstraint(
                name="attachment_of_staff_is_no_evidence",
                condition=Q(by=None) | Q(evidence=None),
            ),
        ]
        indexes = [
            models.Index(
                name="attachment_forgotten", fields=["created_at"], condition=Q(event=None)
            ),
            models.Index(name="attachment_same_bytes", fields=["sha256"]),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.name}"


class DeadFile(models.Model):
    """A stored file that no attachment holds: the sweep deletes both.

    One is added before a file is written and removed with the attachment's insert, and a
    trigger adds one when an attachment goes. So neither a crash half way nor any way of
    deleting a conversation, SQL included, leaves files behind.
    """

    name = models.CharField(max_length=100, unique=True)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.name
