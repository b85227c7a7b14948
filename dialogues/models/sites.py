"""Websites that embed the chat, and the keys by which they say who their customer is."""

import re
import uuid
from typing import Any, Self

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils import timezone

from knowledge.models import Scene
from wowconsole import sealing

ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:\d{1,5})?")
MOST_ORIGINS = 50


class CitationPolicy(models.TextChoices):
    SHOWN = "shown", "Customers see which rules an answer rests on"
    HIDDEN = "hidden", "Only staff see it"


class Algorithm(models.TextChoices):
    HS256 = "HS256", "Shared secret (HMAC-SHA256, JWT HS256)"
    RS256 = "RS256", "Public key (JWT RS256)"


def validate_origins(origins: Any) -> None:
    """Refuse what is no list of origins, as RFC 6454 writes them, in lower case."""
    if not isinstance(origins, list) or len(origins) > MOST_ORIGINS:
        raise ValidationError(f"Give a list of at most {MOST_ORIGINS} origins.")
    for origin in origins:
        if not isinstance(origin, str) or not ORIGIN.fullmatch(origin):
            raise ValidationError(f"{origin!r} is no origin; write https://shop.example.")


class Site(models.Model):
    """One website or app. Its pages may embed the chat; its keys prove who a customer is."""

    slug = models.SlugField(unique=True)  # data-site of the widget
    name = models.CharField(max_length=80)
    # Where its chats begin; null: no scene until the need is known.
    scene = models.ForeignKey(Scene, on_delete=models.PROTECT, null=True, blank=True)
    origins = models.JSONField(
        default=list,
        blank=True,
        validators=[validate_origins],
        help_text='Pages that may embed the chat, as ["https://shop.example"].',
    )
    identity_required = models.BooleanField(
        default=False, help_text="Nobody chats without a proof of who they are."
    )
    citations = models.CharField(max_length=6, choices=CitationPolicy, default=CitationPolicy.SHOWN)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["slug"]
        constraints = [
            models.CheckConstraint(
                name="site_citations_known", condition=Q(citations__in=CitationPolicy.values)
            ),
        ]

    def __str__(self) -> str:
        return self.name


class SiteKeyQuerySet(models.QuerySet["SiteKey"]):
    def live(self) -> Self:
        """Keep the keys whose signatures count; of a site there may be several at once."""
        return self.filter(Q(expires_at__isnull=True) | Q(expires_at__gt=timezone.now()))


def _key_id() -> str:
    return f"key_{uuid.uuid4().hex[:16]}"


class SiteKey(models.Model):
    """A key of a site. To rotate: make a second one, move the site to it, end the first.

    HMAC needs the secret itself, so it can't be hashed; it is stored encrypted under
    SECRET_KEY (wowconsole.sealing). A public key is stored as it is.
    """

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="keys")
    key_id = models.CharField(max_length=24, unique=True, default=_key_id, editable=False)
    algorithm = models.CharField(max_length=5, choices=Algorithm, default=Algorithm.HS256)
    sealed_secret = models.TextField(blank=True, editable=False)
    public_key = models.TextField(blank=True, help_text="PEM; for RS256 only.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)  # null: until somebody ends it

    objects = SiteKeyQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [
            models.CheckConstraint(
                name="site_key_secret_or_public_key",
                condition=(Q(algorithm=Algorithm.HS256, public_key="") & ~Q(sealed_secret=""))
                | (Q(algorithm=Algorithm.RS256, sealed_secret="") & ~Q(public_key="")),
            ),
        ]

    def __str__(self) -> str:
        return self.key_id

    @property
    def secret(self) -> str:
        """What verifies its signatures: the shared secret, or the public key.

        Raises:
            Unsealable: SECRET_KEY was changed.
        """
        if self.algorithm == Algorithm.RS256:
            return self.public_key
        return sealing.unseal(self.sealed_secret)


class SpentProof(models.Model):
    """A proof that was good for one chat only, kept until it would have expired anyway."""

    key = models.ForeignKey(SiteKey, on_delete=models.CASCADE, related_name="spent")
    jti_sha256 = models.CharField(max_length=64)
    expires_at = models.DateTimeField()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(name="spent_proof_once", fields=["key", "jti_sha256"]),
        ]
        indexes = [models.Index(name="spent_proof_forgotten", fields=["expires_at"])]

    def __str__(self) -> str:
        return self.jti_sha256[:12]
