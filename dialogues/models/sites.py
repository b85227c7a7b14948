"""Websites that embed the chat, and the keys by which they say who their customer is."""

import re
import uuid
from typing import Any, ClassVar, Self
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from dialogues.models.opening import SceneOwnedQuerySet
from knowledge.models import Scene
from wowconsole import sealing

_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"  # of a host's name, RFC 1123
ORIGIN = re.compile(rf"https?://{_LABEL}(\.{_LABEL})*(:\d{{1,5}})?")
MOST_ORIGINS = 50
HIGHEST_PORT = 65535
COLOR = r"#[0-9a-f]{6}"
USUAL_COLOR = "#0f6b4f"  # the widget's own


class CitationPolicy(models.TextChoices):
    SHOWN = "shown", "Customers see which rules an answer rests on"
    HIDDEN = "hidden", "Only staff see it"


class Algorithm(models.TextChoices):
    HS256 = "HS256", "Shared secret (HMAC-SHA256, JWT HS256)"
    RS256 = "RS256", "Public key (JWT RS256)"


class Position(models.TextChoices):
    RIGHT = "right", "At the right"
    LEFT = "left", "At the left"


class WidgetLanguage(models.TextChoices):
    AUTO = "auto", "The visitor's"
    EN = "en", "English"
    ZH = "zh", "Chinese"


def validate_origins(origins: Any) -> None:
    """Refuse what is no list of origins, as RFC 6454 writes them, in lower case."""
    if not isinstance(origins, list) or len(origins) > MOST_ORIGINS:
        raise ValidationError(f"Give a list of at most {MOST_ORIGINS} origins.")
    for origin in origins:
        if not is_origin(origin):
            wanted = origin_of(origin) or "https://shop.example"
            raise ValidationError(f"{origin!r} is no origin; write {wanted}.")


def is_origin(value: Any) -> bool:
    if not isinstance(value, str) or not ORIGIN.fullmatch(value):
        return False
    port = value.partition("://")[2].partition(":")[2]
    return not port or int(port) <= HIGHEST_PORT


def origin_of(address: Any) -> str:
    """Return the origin of a page as browsers name it, "" for what is no address of one."""
    try:
        parts = urlsplit(str(address).strip())
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    origin = f"{parts.scheme}://{host}" + (f":{port}" if port not in (None, usual) else "")
    return origin if is_origin(origin) else ""


class Site(models.Model):
    """One website or app. Its pages may embed the chat; its keys prove who a customer is.

    The look stands in the snippet that its pages hold, so a change of it is theirs to paste.
    """

    ARRANGED: ClassVar[str] = "site"
    KEPT: ClassVar[tuple[str, ...]] = (
        *("name", "scene", "origins", "identity_required", "citations", "is_active"),
        *("color", "position", "language", "title", "greeting"),
    )

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
    color = models.CharField(
        max_length=7,
        default=USUAL_COLOR,
        validators=[RegexValidator(rf"^{COLOR}$", f"Write it like {USUAL_COLOR}.")],
    )
    position = models.CharField(max_length=5, choices=Position, default=Position.RIGHT)
    language = models.CharField(max_length=4, choices=WidgetLanguage, default=WidgetLanguage.AUTO)
    title = models.CharField(max_length=60, blank=True)  # empty: in the widget's own words
    greeting = models.CharField(max_length=200, blank=True)
    # Off: no chat begins there and its keys prove nobody; what is under way goes on.
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = SceneOwnedQuerySet.as_manager()

    class Meta:
        ordering = ["slug"]
        constraints = [
            models.CheckConstraint(
                name="site_citations_known", condition=Q(citations__in=CitationPolicy.values)
            ),
            models.CheckConstraint(
                name="site_look_known",
                condition=Q(
                    color__regex=rf"^{COLOR}$",
                    position__in=Position.values,
                    language__in=WidgetLanguage.values,
                ),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("dialogues:site-detail", args=[self.slug])

    @property
    def arranged_as(self) -> str:
        return self.slug


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
    # When a proof of it was good last, to the minute; null: never.
    last_used_at = models.DateTimeField(null=True, editable=False)

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
    def is_live(self) -> bool:
        return self.expires_at is None or self.expires_at > timezone.now()

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
