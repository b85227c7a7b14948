"""Speaking first: what happened to customers, who is told of it, and what was promised."""

import uuid
from datetime import datetime
from decimal import Decimal
from typing import Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.urls import reverse
from django.utils import timezone

from dialogues.models.conversations import Conversation, Event
from dialogues.models.sites import Site
from knowledge.models import Scene
from wowconsole.roles import AnyUser, sees_every_scene

LONGEST_TEMPLATE = 600  # characters
LONGEST_HOURS = 87_600  # ten years: what is longer is a slip, and no clock reaches so far
_HOURS = [MaxValueValidator(LONGEST_HOURS)]
_MINUTES = [MaxValueValidator(LONGEST_HOURS * 60)]


def _of_scenes_seen_by(user: AnyUser, *paths: str) -> Q:
    """Match what is of no scene, or of one of the user's, at each of the paths to a scene."""
    mine = Scene.objects.visible_to(user)
    seen = (Q(**{f"{path}__isnull": True}) | Q(**{f"{path}__in": mine}) for path in paths)
    return Q(*seen)


class BusinessEventQuerySet(models.QuerySet["BusinessEvent"]):
    def visible_to(self, user: AnyUser) -> Self:
        """Keep the events of the user's scenes and of their sites, and those of no scene."""
        if sees_every_scene(user):
            return self
        return self.filter(_of_scenes_seen_by(user, "scene", "site__scene"))


class BusinessEvent(models.Model):
    """Something that happened to a customer, as a business system told it. Never changes.

    `event_id` is the sender's own id: told again, it is stored once. `handled_at` is set in
    the transaction that adds a decision for each policy concerned.
    """

    public_id = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    event_id = models.CharField(max_length=120, unique=True)
    type = models.SlugField(max_length=60, db_index=False)
    customer_ref = models.CharField(max_length=120)
    time_zone = models.CharField(max_length=60, blank=True)  # of the customer; IANA's name
    # Whose customer it is. Null: told before a site was registered.
    site = models.ForeignKey(Site, on_delete=models.PROTECT, null=True)
    scene = models.ForeignKey(Scene, on_delete=models.PROTECT, null=True)
    data = models.JSONField(default=dict)
    occurred_at = models.DateTimeField(default=timezone.now)
    received_at = models.DateTimeField(default=timezone.now, editable=False)
    handled_at = models.DateTimeField(null=True, editable=False)

    objects = BusinessEventQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(
                name="business_event_names_a_customer", condition=~Q(customer_ref="")
            ),
        ]
        indexes = [
            models.Index(name="business_event_of_type", fields=["type", "-id"]),
            models.Index(name="business_event_of_customer", fields=["customer_ref", "type"]),
            models.Index(
                name="business_event_unhandled", fields=["id"], condition=Q(handled_at=None)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.event_id}"


class Wording(models.TextChoices):
    TEMPLATE = "template", "As written"
    AGENT = "agent", "In the agent's words"


class Reach(models.TextChoices):
    OPEN = "open", "Only in an open chat"
    ANY = "any", "In an open chat, else a new one that waits for the customer"


class ProactivePolicyQuerySet(models.QuerySet["ProactivePolicy"]):
    def visible_to(self, user: AnyUser) -> Self:
        """Keep the policies of the user's scenes, and those of every scene."""
        if sees_every_scene(user):
            return self
        mine = Q(version__scene__isnull=True) | Q(version__scene__members__pk=user.pk)
        return self.filter(mine).distinct()

    def editable_by(self, user: AnyUser) -> Self:
        """Keep what the user may change: what concerns every scene is for those who see all."""
        if sees_every_scene(user):
            return self
        return self.filter(version__scene__in=Scene.objects.visible_to(user))

    def for_event(self, event: BusinessEvent) -> Self:
        """Keep the active ones of the event's type and scene, the most important first."""
        scenes = Q(version__scene=None) | Q(version__scene=event.scene_id)
        active = self.filter(scenes, is_active=True, version__event_type=event.type)
        return active.select_related("version").order_by("-version__priority", "pk")


class ProactivePolicy(models.Model):
    """When the agent speaks first. `version` holds in force; older ones stay for the ledger."""

    public_id = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    name = models.CharField(max_length=80, unique=True)
    is_active = models.BooleanField(default=False)
    # Null only within the transaction that adds the policy.
    version = models.OneToOneField(
        "ProactiveVersion", on_delete=models.PROTECT, null=True, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = ProactivePolicyQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                name="proactive_active_has_version",
                condition=Q(is_active=False) | Q(version__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("dialogues:proactive-detail", args=[self.public_id])


class ProactiveVersion(models.Model):
    """One wording of a policy; never changes (trigger), because decisions name it."""

    policy = models.ForeignKey(ProactivePolicy, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveSmallIntegerField()
    event_type = models.SlugField(max_length=60, db_index=False)
    # [{"field": "order.minutes_late", "op": "gte", "value": 30}, …]: all must hold.
    conditions = models.JSONField(default=list, blank=True)
    scene = models.ForeignKey(Scene, on_delete=models.PROTECT, null=True, blank=True)
    wording = models.CharField(max_length=8, choices=Wording, default=Wording.TEMPLATE)
    template = models.TextField(max_length=LONGEST_TEMPLATE)  # with {fields} of the event's data
    reach = models.CharField(max_length=4, choices=Reach, default=Reach.ANY)
    delay_minutes = models.PositiveIntegerField(default=0, validators=_MINUTES)
    # After the event it is no news.
    stale_minutes = models.PositiveIntegerField(default=720, validators=_MINUTES)
    # Until it speaks to one again.
    cooldown_hours = models.PositiveIntegerField(default=24, validators=_HOURS)
    priority = models.SmallIntegerField(default=0)  # the higher one speaks where only one may
    valid_from = models.DateTimeField(null=True, blank=True)
    valid_until = models.DateTimeField(null=True, blank=True)
    holdout_percent = models.PositiveSmallIntegerField(default=10)
    contact_hours = models.PositiveSmallIntegerField(
        default=24, validators=[MinValueValidator(1)]
    )  # of the comparison
    # A promise the message makes: kept by an event of `kept_by` with the same `kept_field`.
    # One of `over_by` with it ends the matter: no news any more, nor a promise that is due.
    promise = models.CharField(max_length=200, blank=True)
    promise_minutes = models.PositiveIntegerField(null=True, blank=True, validators=_MINUTES)
    kept_by = models.SlugField(max_length=60, blank=True, db_index=False)
    kept_field = models.CharField(max_length=60, blank=True)
    over_by = ArrayField(models.SlugField(max_length=60, db_index=False), default=list, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(
                name="proactive_version_number_once", fields=["policy", "number"]
            ),
            models.CheckConstraint(
                name="proactive_wording_known", condition=Q(wording__in=Wording.values)
            ),
            models.CheckConstraint(
                name="proactive_reach_known", condition=Q(reach__in=Reach.values)
            ),
            models.CheckConstraint(
                name="proactive_holdout_at_most_half",
                condition=Q(holdout_percent__lte=50),
                violation_error_message="Hold out at most half.",
            ),
            models.CheckConstraint(
                name="proactive_stale_after_delay",
                condition=Q(stale_minutes__gt=F("delay_minutes")),
                violation_error_message="The news must not be stale before it is told.",
            ),
            models.CheckConstraint(
                name="proactive_valid_until_after_from",
                condition=Q(valid_from=None)
                | Q(valid_until=None)
                | Q(valid_until__gt=F("valid_from")),
                violation_error_message="It must end after it begins.",
            ),
            models.CheckConstraint(
                name="proactive_promise_is_due",
                condition=Q(promise="", promise_minutes=None) | (
                    ~Q(promise="") & Q(promise_minutes__isnull=False, promise_minutes__gt=0)
                ),
                violation_error_message="A promise needs the minutes in which it is due.",
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"version {self.number}"

    @property
    def ended_by(self) -> list[str]:
        """Return the types of events after which the news is none."""
        return [name for name in (self.kept_by, *self.over_by) if name]

    def holds_at(self, moment: datetime) -> bool:
        begun = self.valid_from is None or self.valid_from <= moment
        return begun and (self.valid_until is None or moment < self.valid_until)


class Outcome(models.TextChoices):
    WAITING = "waiting", "Waiting"
    SENT = "sent", "Sent"
    HELD_OUT = "held_out", "Held out"
    CONDITION = "condition", "Condition false"
    NOT_VALID = "not_valid", "Policy not in force"
    OPTED_OUT = "opted_out", "Opted out"
    COOLDOWN = "cooldown", "Told lately"
    CAPPED = "capped", "Capped"
    NO_CHANNEL = "no_channel", "No open channel"
    STALE = "stale", "No news any more"


TOLD_OR_HELD = [Outcome.SENT, Outcome.HELD_OUT]  # what the comparison and the caps count


class ProactiveDecisionQuerySet(models.QuerySet["ProactiveDecision"]):
    def visible_to(self, user: AnyUser) -> Self:
        """Keep the decisions of policies, on events and in conversations the user may see."""
        if sees_every_scene(user):
            return self
        policies = ProactivePolicy.objects.visible_to(user)
        paths = ("event__scene", "event__site__scene", "conversation__scene")
        return self.filter(_of_scenes_seen_by(user, *paths), policy__in=policies)

    def due(self) -> Self:
        """Keep what is to be decided now and no living process is at, the weightiest first."""
        now = timezone.now()
        free = Q(leased_until=None) | Q(leased_until__lt=now)
        waiting = self.filter(free, outcome=Outcome.WAITING, due_at__lte=now)
        return waiting.order_by("-version__priority", "due_at")


class ProactiveDecision(models.Model):
    """Whether a customer was told of an event by a policy, and why. One each (constraint).

    While it waits, `due_at` says until when and `reason` why; once decided it never changes
    (trigger). `message` is what was said; tokens and cost are of wording it, also of words that
    were not said.
    """

    public_id = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    event = models.ForeignKey(BusinessEvent, on_delete=models.CASCADE, related_name="decisions")
    policy = models.ForeignKey(ProactivePolicy, on_delete=models.CASCADE, related_name="decisions")
    version = models.ForeignKey(ProactiveVersion, on_delete=models.PROTECT, related_name="+")
    customer_ref = models.CharField(max_length=120)  # the event's: the caps count by site and it
    outcome = models.CharField(max_length=10, choices=Outcome, default=Outcome.WAITING)
    reason = models.CharField(max_length=300, blank=True)
    due_at = models.DateTimeField(default=timezone.now)
    owner = models.UUIDField(null=True, editable=False)
    leased_until = models.DateTimeField(null=True, editable=False)
    # Null: nothing was said. Both go with the conversation, the decision stays.
    conversation = models.ForeignKey(Conversation, on_delete=models.SET_NULL, null=True)
    message = models.ForeignKey(Event, on_delete=models.SET_NULL, null=True, related_name="+")
    prompt_tokens = models.PositiveIntegerField(default=0)
    completion_tokens = models.PositiveIntegerField(default=0)
    cost = models.DecimalField(max_digits=12, decimal_places=6, default=Decimal(0))  # dollars
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    decided_at = models.DateTimeField(null=True, editable=False)

    objects = ProactiveDecisionQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(name="proactive_decided_once", fields=["event", "policy"]),
            models.CheckConstraint(
                name="proactive_outcome_known", condition=Q(outcome__in=Outcome.values)
            ),
            models.CheckConstraint(
                name="proactive_decided_at_when_decided",
                condition=Q(outcome=Outcome.WAITING, decided_at=None)
                | (~Q(outcome=Outcome.WAITING) & Q(decided_at__isnull=False)),
            ),
            models.CheckConstraint(name="proactive_cost_not_negative", condition=Q(cost__gte=0)),
        ]
        indexes = [
            models.Index(
                name="proactive_due", fields=["due_at"], condition=Q(outcome=Outcome.WAITING)
            ),
            models.Index(name="proactive_of_customer", fields=["customer_ref", "decided_at"]),
            models.Index(name="proactive_of_policy", fields=["policy", "-id"]),
            models.Index(
                name="proactive_costs_by_day", fields=["decided_at"], condition=Q(cost__gt=0)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_outcome_display()}: {self.reason}"
