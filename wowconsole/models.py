"""Keys by which programs sign in, what they asked already, and the orders of the demo business.

People are Django's users; their roles are groups.
"""

import uuid

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone

from wowconsole.roles import ALL_CAPABILITIES


class ApiKey(models.Model):
    """A program's key: acts for a user, within the scopes named, until it is revoked.

    Only its SHA-256 is stored; the key itself is shown once.
    """

    public_id = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_keys"
    )
    name = models.CharField(max_length=80)
    prefix = models.CharField(max_length=12, editable=False)  # to recognise it in a list
    sha256 = models.CharField(max_length=64, unique=True, editable=False)
    scopes = ArrayField(models.CharField(max_length=40), default=list)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    last_used_at = models.DateTimeField(null=True, editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [
            models.CheckConstraint(
                name="api_key_scopes_known",
                condition=Q(scopes__contained_by=ALL_CAPABILITIES),
                violation_error_message="Unknown scope.",
            )
        ]

    def __str__(self) -> str:
        return f"{self.prefix}… ({self.name})"


class IdempotentRequest(models.Model):
    """A POST that was sent with an Idempotency-Key, and its answer once it has one."""

    caller = models.CharField(max_length=40)  # "key 3" or "user 5"
    key = models.CharField(max_length=200)
    fingerprint = models.CharField(max_length=64)  # SHA-256 of address and body
    status = models.PositiveSmallIntegerField(null=True)  # null: not answered yet
    content_type = models.CharField(max_length=100, blank=True)
    body = models.BinaryField(default=b"")
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(name="idempotent_request_once", fields=["caller", "key"])
        ]
        indexes = [models.Index(name="idempotent_request_old", fields=["at"])]

    def __str__(self) -> str:
        return f"{self.caller}: {self.key}"


class DemoOrder(models.Model):
    """An order of the demo business, which the agent sees through its HTTP endpoint only."""

    order_id = models.CharField(max_length=12, primary_key=True)
    data = models.JSONField()  # shop, items, total, status, payment, eta_minutes, courier…

    class Meta:
        ordering = ["order_id"]

    def __str__(self) -> str:
        return self.order_id


class DemoCall(models.Model):
    """An answered call that changed an order: a repeated key gets the same answer."""

    key = models.CharField(max_length=100, primary_key=True)
    answer = models.JSONField()
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-at"]

    def __str__(self) -> str:
        return self.key
