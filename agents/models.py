"""What answers: weights, releases made of them, tools, and what was live when."""

import uuid
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from knowledge.models import Scene
from wowconsole.roles import AnyUser, sees_every_scene


class WeightsKind(models.TextChoices):
    BASE = "base", "Base model"
    ADAPTER = "adapter", "LoRA adapter"


class ModelVersion(models.Model):
    """Weights the registry knows. `name` is what the engine calls them.

    An adapter has the base it was trained on and a folder of safetensors; the run that
    made it points here, since `training` stands above.
    """

    public_id = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    name = models.SlugField(max_length=80, unique=True)
    kind = models.CharField(max_length=8, choices=WeightsKind)
    base = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="adapters"
    )
    folder = models.CharField(max_length=500, blank=True)  # empty: the engine has it already
    sha256 = models.CharField(max_length=64, blank=True)  # of the safetensors file
    description = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [
            models.CheckConstraint(
                name="model_kind_known", condition=Q(kind__in=WeightsKind.values)
            ),
            models.CheckConstraint(
                name="model_adapter_has_base",
                condition=Q(kind=WeightsKind.BASE, base__isnull=True)
                | Q(kind=WeightsKind.ADAPTER, base__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class ToolQuerySet(models.QuerySet["Tool"]):
    def of_scene(self, scene: Scene | None) -> Self:
        """Keep the active tools of a scene, and those of every scene."""
        return self.filter(Q(scenes=scene) | Q(scenes__isnull=True), is_active=True).distinct()

    def visible_to(self, user: AnyUser) -> Self:
        """Keep the tools of the scenes a staff member works in, and those of every scene."""
        if sees_every_scene(user):
            return self
        return self.filter(Q(scenes__members=user.pk) | Q(scenes__isnull=True)).distinct()


class Tool(models.Model):
    """An HTTP endpoint that the agent may call.

    `parameters` is the JSON schema of the arguments; names in braces in `url` are filled
    from them, escaped. Every call carries an Idempotency-Key, so that a repeated call
    acts once.
    """

    name = models.SlugField(max_length=40, unique=True)
    description = models.CharField(max_length=200)
    method = models.CharField(max_length=4, choices=[("GET", "GET"), ("POST", "POST")])
    url = models.CharField(max_length=500)
    parameters = models.JSONField(default=dict)
    # Name of the variable or setting that holds the bearer token; never the token itself.
    token_setting = models.CharField(max_length=80, blank=True)
    timeout_seconds = models.PositiveSmallIntegerField(default=5)
    # What the customer is asked before the call, with arguments in braces; empty: nothing is.
    # For what can't be undone: "Shall I cancel order {order_id}?"
    confirmation = models.CharField(max_length=200, blank=True)
    scenes = models.ManyToManyField(Scene, blank=True, related_name="tools")
    is_active = models.BooleanField(default=True)

    objects = ToolQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Release(models.Model):
    """What answers a customer: weights, prompt, tools and limits. Never changes.

    `tools` lists names. `limits` holds {"quote_rules": bool}: whether a reply that rests
    on one rule is that rule's own words (strict composition) or the model's.
    """

    public_id = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    name = models.SlugField(max_length=80, unique=True)
    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="releases")
    prompt = models.CharField(max_length=80, default="default")  # templates/agents/prompts/<it>/
    tools = models.JSONField(default=list)
    limits = models.JSONField(default=dict, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-created_at", "-pk"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("agents:release-list")

    @property
    def quotes_rules(self) -> bool:
        return bool(self.limits.get("quote_rules"))


class Promotion(models.Model):
    """The ledger of live releases: the newest row is live. Rolling back adds a row."""

    release = models.ForeignKey(Release, on_delete=models.PROTECT, related_name="promotions")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    reason = models.CharField(max_length=300, blank=True)
    at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-pk"]
        get_latest_by = "pk"

    def __str__(self) -> str:
        return f"{self.release} at {self.at:%Y-%m-%d %H:%M:%S}"


def live_release() -> Release | None:
    """Return the release that answers new conversations, or None before the first promotion."""
    newest = Promotion.objects.select_related("release__version").first()
    return newest.release if newest else None


def as_json(tool: Tool) -> dict[str, Any]:
    """Describe a tool as the action schema needs it: name, description, parameters."""
    return {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
    }
