"""When people are there: hours of a week and holidays, for a scene or the whole deployment."""

import uuid
from datetime import time
from typing import Self, TypeVar

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.urls import reverse

from knowledge.models import Scene
from wowconsole.roles import AnyUser, sees_every_scene

ANSWER_MINUTES = 10  # until the first answer of a person is due, where no desk says otherwise


_Row = TypeVar("_Row", bound=models.Model)


class SceneOwnedQuerySet(models.QuerySet[_Row]):
    """Rows of one scene, or, without a scene, of the whole deployment."""

    def visible_to(self, user: AnyUser) -> Self:
        """Keep what applies in the user's scenes."""
        if sees_every_scene(user):
            return self
        return self.filter(Q(scene__isnull=True) | Q(scene__members__pk=user.pk)).distinct()

    def editable_by(self, user: AnyUser) -> Self:
        """Keep what the user may change: what concerns every scene is for those who see all."""
        return self if sees_every_scene(user) else self.filter(scene__members__pk=user.pk)

    def of_scene(self, scene: Scene | None) -> Self:
        """Keep what applies in a scene, its own rows before those of the whole deployment."""
        found = self.filter(Q(scene=scene) | Q(scene__isnull=True))
        return found.order_by(F("scene").asc(nulls_last=True), "pk")


class Desk(models.Model):
    """How people answer in a scene, or, without a scene, wherever no other desk says it.

    Without a row, or a row without hours, people are always there.
    """

    public_id = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    scene = models.ForeignKey(
        Scene, on_delete=models.CASCADE, null=True, blank=True, related_name="desks"
    )
    time_zone = models.CharField(max_length=60, default="UTC")  # IANA name
    answer_minutes = models.PositiveSmallIntegerField(
        default=ANSWER_MINUTES, validators=[MinValueValidator(1)]
    )  # of open hours, until the first answer of a person is due

    objects = SceneOwnedQuerySet.as_manager()

    class Meta:
        ordering = [F("scene").asc(nulls_first=True), "-pk"]
        constraints = [
            models.UniqueConstraint(
                name="desk_one_per_scene",
                fields=["scene"],
                nulls_distinct=False,
                violation_error_message="This scene has its hours already; edit those.",
            ),
            models.CheckConstraint(
                name="desk_answer_minutes_positive", condition=Q(answer_minutes__gt=0)
            ),
        ]

    def __str__(self) -> str:
        return self.scene.name if self.scene else "Every other scene"

    def get_absolute_url(self) -> str:
        return reverse("dialogues:desk-detail", args=[self.public_id])


class Weekday(models.IntegerChoices):
    MONDAY = 0, "Monday"
    TUESDAY = 1, "Tuesday"
    WEDNESDAY = 2, "Wednesday"
    THURSDAY = 3, "Thursday"
    FRIDAY = 4, "Friday"
    SATURDAY = 5, "Saturday"
    SUNDAY = 6, "Sunday"


class OpenPeriod(models.Model):
    """From when to when people are there on one day of the week, by the desk's clock."""

    desk = models.ForeignKey(Desk, on_delete=models.CASCADE, related_name="periods")
    weekday = models.PositiveSmallIntegerField(choices=Weekday)
    opens = models.TimeField()
    closes = models.TimeField()  # 00:00 is the end of the day

    class Meta:
        ordering = ["weekday", "opens", "pk"]
        constraints = [
            models.CheckConstraint(
                name="period_weekday_known", condition=Q(weekday__in=Weekday.values)
            ),
            models.CheckConstraint(
                name="period_closes_after_it_opens",
                condition=Q(closes__gt=F("opens")) | Q(closes=time(0)),
                violation_error_message="It closes after it opens; 00:00 is the end of the day.",
            ),
            models.UniqueConstraint(name="period_once", fields=["desk", "weekday", "opens"]),
        ]

    def __str__(self) -> str:
        return f"{self.get_weekday_display()} {self.opens:%H:%M}–{self.closes:%H:%M}"


class Holiday(models.Model):
    """A day on which nobody is there, whatever weekday it is."""

    desk = models.ForeignKey(Desk, on_delete=models.CASCADE, related_name="holidays")
    day = models.DateField()
    name = models.CharField(max_length=80, blank=True)

    class Meta:
        ordering = ["day"]
        constraints = [models.UniqueConstraint(name="holiday_once", fields=["desk", "day"])]

    def __str__(self) -> str:
        return f"{self.day} {self.name}".strip()
