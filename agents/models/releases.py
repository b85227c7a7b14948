"""Weights, the releases made of them, and what was live when."""

import uuid
from decimal import Decimal

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from knowledge.models import Scene
from wowconsole.roles import AnyUser


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
    # What its provider charges, in dollars per million tokens; 0 on hardware of one's own.
    input_price = models.DecimalField(max_digits=10, decimal_places=4, default=Decimal(0))
    output_price = models.DecimalField(max_digits=10, decimal_places=4, default=Decimal(0))
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [
            models.CheckConstraint(
                name="model_prices_not_negative",
                condition=Q(input_price__gte=0, output_price__gte=0),
            ),
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


class Composition(models.TextChoices):
    """Who words a reply that rests on rules; whoever does, figures need a source."""

    FREE = "free", "Free: the model's own words"
    STYLED = "styled", "Styled: the model's words, close to the rule's"
    QUOTED = "quoted", "Quoted: one rule alone is said as written"
    STRICT = "strict", "Strict: always as written, with fields filled from tool results"


class Release(models.Model):
    """What answers a customer: weights, prompt, tools and limits. Never changes.

    `tools` lists names, `tool_revisions` as what they were when the release was made
    ({name: number}; a tool that is missing there has no history). `limits` holds
    {"quote_rules": bool}: whether a reply that rests on one rule is that rule's own words
    (strict composition) or the model's.
    """

    public_id = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    name = models.SlugField(max_length=80, unique=True)
    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="releases")
    prompt = models.CharField(max_length=80, default="default")  # templates/agents/prompts/<it>/
    tools = models.JSONField(default=list)
    tool_revisions = models.JSONField(default=dict, blank=True)
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
    def quotes(self) -> bool:
        """Whether it says rules of low risk, and what calls told, in their own words."""
        return self.composition_of("low") == Composition.QUOTED

    def composition_of(self, risk: str) -> str:
        """Return who words a reply that rests on a rule of this risk: a `Composition`."""
        usual = Composition.QUOTED if self.limits.get("quote_rules") else Composition.FREE
        return str(self.limits.get("composition", {}).get(risk, usual))

    def says_as_written(self, risk: str) -> bool:
        """Return whether a rule of this risk is said in its own words, a model's never."""
        return self.composition_of(risk) in (Composition.QUOTED, Composition.STRICT)


class Promotion(models.Model):
    """The ledger of live releases: the newest row of a scene is live there.

    One without a scene is live wherever a scene has none of its own. One without a release
    ends a scene's own: it follows the others again. Rolling back adds a row.
    """

    release = models.ForeignKey(
        Release, on_delete=models.PROTECT, null=True, blank=True, related_name="promotions"
    )
    scene = models.ForeignKey(
        Scene, on_delete=models.PROTECT, null=True, blank=True, related_name="promotions"
    )
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    reason = models.CharField(max_length=300, blank=True)
    at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-pk"]
        get_latest_by = "pk"
        constraints = [
            models.CheckConstraint(
                name="promotion_ends_only_a_scene_s_own",
                condition=Q(release__isnull=False) | Q(scene__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        where = f" in {self.scene}" if self.scene_id else ""
        return f"{self.release or 'none of its own'}{where} at {self.at:%Y-%m-%d %H:%M:%S}"


def live_release(scene: Scene | None = None) -> Release | None:
    """Return the release that answers new conversations of a scene, or None: nobody can.

    That is the scene's own, if one is live there, else the one that is live everywhere.
    """
    if scene is not None and (own := own_release(scene)):
        return own
    return own_release(None)


def own_release(scene: Scene | None) -> Release | None:
    """Return what was promoted last for this scene alone, None: for every scene."""
    rows = Promotion.objects.filter(scene=scene).select_related("release__version")
    newest = rows.first()
    return newest.release if newest else None


def own_releases(user: AnyUser) -> list[Promotion]:
    """Return what is live in the scenes that have a release of their own, by scene."""
    scenes = Scene.objects.visible_to(user)
    newest = Promotion.objects.filter(scene__in=scenes).order_by("scene_id", "-pk")
    rows = newest.distinct("scene_id").select_related("release__version", "scene")
    return [row for row in rows if row.release_id is not None]
