"""What past dialogues teach the rule base: gaps in it, and what an edit would change."""

import uuid
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from dialogues.models.turns import Turn
from knowledge.models import Job, KnowledgeUnit, Revision, Scene
from wowconsole.roles import AnyUser, sees_every_scene


class GapState(models.TextChoices):
    OPEN = "open", "Open"
    DRAFTED = "drafted", "A rule was drafted"
    DISMISSED = "dismissed", "Needs no rule"


class GapQuerySet(models.QuerySet["Gap"]):
    def visible_to(self, user: AnyUser) -> Self:
        """Keep the gaps of the user's scenes, and those of no scene."""
        if sees_every_scene(user):
            return self
        return self.filter(Q(scene__isnull=True) | Q(scene__members__pk=user.pk)).distinct()


class Gap(models.Model):
    """Questions of like meaning that no rule answered: one rule may be missing."""

    public_id = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    scene = models.ForeignKey(Scene, on_delete=models.PROTECT, null=True, blank=True)
    title = models.CharField(max_length=200)  # its most typical question
    state = models.CharField(max_length=9, choices=GapState, default=GapState.OPEN)
    # The rule drafted from it, when one was.
    unit = models.ForeignKey(
        KnowledgeUnit, on_delete=models.SET_NULL, null=True, related_name="gaps"
    )  # SET_NULL never fires: units are archived, not deleted
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    decided_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = GapQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(name="gap_state_known", condition=Q(state__in=GapState.values)),
            models.CheckConstraint(
                name="gap_drafted_has_a_unit",
                condition=~Q(state=GapState.DRAFTED) | Q(unit__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.title


class GapTurn(models.Model):
    """A turn whose question belongs to a gap; a turn belongs to one at most."""

    gap = models.ForeignKey(Gap, on_delete=models.CASCADE, related_name="members")
    turn = models.OneToOneField(Turn, on_delete=models.CASCADE, related_name="gap")
    typicality = models.FloatField()  # cosine to the middle of the gap, -1 to 1

    class Meta:
        ordering = ["-typicality", "pk"]

    def __str__(self) -> str:
        return f"{self.turn_id} in {self.gap_id}"


class ReplayQuerySet(models.QuerySet["Replay"]):
    def visible_to(self, user: AnyUser) -> Self:
        """Keep the replays of rules of the user's scenes."""
        if sees_every_scene(user):
            return self
        return self.filter(revision__unit__scene__members__pk=user.pk)


class Replay(models.Model):
    """Past turns asked again, with the rules as they are and with one revision instead.

    Nothing of it reaches customers: it shows what publishing the revision would change. Its
    turns are those that it would affect.
    """

    public_id = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    revision = models.ForeignKey(Revision, on_delete=models.PROTECT, related_name="replays")
    # Of archiving: what would change if the rule were gone; the revision is what is live then.
    is_removal = models.BooleanField(default=False)
    job = models.OneToOneField(Job, on_delete=models.PROTECT, related_name="replay")
    looked_at = models.PositiveIntegerField(default=0)  # turns that were searched for again
    at = models.DateTimeField(default=timezone.now, editable=False)

    objects = ReplayQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"Replay of {self.revision}"

    def get_absolute_url(self) -> str:
        return reverse("dialogues:replay-detail", args=[self.public_id])


class ReplayVerdict(models.TextChoices):
    SAME = "same", "Same answer"
    WIN = "win", "Better"
    LOSS = "loss", "Worse"
    TIE = "tie", "Different, as good"
    OPEN = "open", "Different, not judged"


class ReplayTurn(models.Model):
    """One past turn: rules found and answers, without and with the revision.

    `before` and `after` are {"rules": [{"unit_id", "revision_id", "title", "similarity"}],
    "action": {...dialogue action} | null}; the action comes after the rules, and only when
    these differ or the text of the edited rule is among them.
    """

    replay = models.ForeignKey(Replay, on_delete=models.CASCADE, related_name="turns")
    turn = models.ForeignKey(Turn, on_delete=models.CASCADE, related_name="+")
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)
    verdict = models.CharField(max_length=4, choices=ReplayVerdict, default=ReplayVerdict.OPEN)
    reason = models.CharField(max_length=300, blank=True)  # of the verdict
    judged_by = models.CharField(max_length=40, blank=True)  # "judge", or a user's name
    harm = models.FloatField(default=0)  # for the order: the worst first

    class Meta:
        ordering = ["-harm", "pk"]
        constraints = [
            models.UniqueConstraint(name="replay_turn_once", fields=["replay", "turn"]),
            models.CheckConstraint(
                name="replay_verdict_known", condition=Q(verdict__in=ReplayVerdict.values)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.turn_id} in {self.replay_id}"
