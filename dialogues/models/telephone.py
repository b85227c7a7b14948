"""Who was telephoned, and who never wants to be again."""

from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from dialogues.models.conversations import Conversation
from dialogues.models.jobs import SubagentJob
from wowconsole.roles import AnyUser, sees_every_scene

LONGEST_ADDRESS = 200  # characters, as a goal card has it


class Dial(models.Model):
    """A call that was dialled, whatever came of it: hourly limits count these.

    The database refuses one to a number that is on the list (trigger `dial_wanted`).
    """

    job = models.ForeignKey(SubagentJob, on_delete=models.CASCADE, related_name="dials")
    address = models.CharField(
        max_length=LONGEST_ADDRESS
    )  # as agents.telephone.numbers.key_of has it
    at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-pk"]
        indexes = [models.Index(name="dial_lately", fields=["address", "at"])]

    def __str__(self) -> str:
        return f"{self.address} at {self.at:%Y-%m-%d %H:%M}"


class DoNotCallQuerySet(models.QuerySet["DoNotCall"]):
    def visible_to(self, user: AnyUser) -> Self:
        """Keep those of calls whose conversations the user may read, and the user's own."""
        if sees_every_scene(user):
            return self
        seen = Conversation.objects.visible_to(user).values("pk")
        return self.filter(Q(by=user.pk) | Q(job__conversation__in=seen))


class DoNotCall(models.Model):
    """A number, or SIP address, that is never called. For ever: nothing changes it (trigger)."""

    address = models.CharField(
        max_length=LONGEST_ADDRESS
    )  # as agents.telephone.numbers.key_of has it
    # Null: they said so in a call, in these words.
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True)
    words = models.CharField(max_length=300, blank=True)
    # Null: told to a person, or the conversation was deleted since, which frees no number.
    job = models.ForeignKey(SubagentJob, on_delete=models.SET_NULL, null=True, related_name="+")
    at = models.DateTimeField(default=timezone.now, editable=False)

    objects = DoNotCallQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(name="do_not_call_address_once", fields=["address"]),
            models.CheckConstraint(name="do_not_call_somebody", condition=~Q(address="")),
            models.CheckConstraint(
                name="do_not_call_told_by_somebody",
                condition=Q(by__isnull=False, words="") | (Q(by=None) & ~Q(words="")),
            ),
        ]

    def __str__(self) -> str:
        return self.address
