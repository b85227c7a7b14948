"""What would have been answered: a turn asked again with one thing changed."""

import uuid
from typing import Self

from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from agents.models import Release
from dialogues.models.turns import Turn
from knowledge.models import Job, Revision
from wowconsole.roles import AnyUser


class WhatIfKind(models.TextChoices):
    WITHOUT = "without", "Without the rule"
    REVISION = "revision", "With another version of the rule"
    RELEASE = "release", "By another release"


class WhatIfQuerySet(models.QuerySet["WhatIf"]):
    def visible_to(self, user: AnyUser) -> Self:
        """Keep those about turns that the user may read."""
        return self.filter(turn__in=Turn.objects.visible_to(user))


class WhatIf(models.Model):
    """One answer to "what if": nothing of it reaches the customer, and no tool is called.

    `output` is the dialogue action, empty until the job is done; `shown` are the rules that
    the model read: [{"unit_id", "revision_id", "title"}].
    """

    public_id = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    turn = models.ForeignKey(Turn, on_delete=models.CASCADE, related_name="what_ifs")
    kind = models.CharField(max_length=8, choices=WhatIfKind)
    # The rule left out, or the version read in its place; null where the release is another.
    revision = models.ForeignKey(Revision, on_delete=models.PROTECT, null=True, related_name="+")
    release = models.ForeignKey(Release, on_delete=models.PROTECT, null=True, related_name="+")
    job = models.OneToOneField(Job, on_delete=models.PROTECT, related_name="what_if")
    shown = models.JSONField(default=list)
    output = models.JSONField(default=dict)
    at = models.DateTimeField(default=timezone.now, editable=False)

    objects = WhatIfQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(
                name="what_if_changes_one_thing",
                condition=Q(
                    kind__in=[WhatIfKind.WITHOUT, WhatIfKind.REVISION],
                    revision__isnull=False,
                    release__isnull=True,
                )
                | Q(kind=WhatIfKind.RELEASE, revision__isnull=True, release__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}, turn {self.turn_id}"

    def get_absolute_url(self) -> str:
        return reverse("dialogues:what-if-detail", args=[self.public_id])
