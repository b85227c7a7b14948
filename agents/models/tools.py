"""The tool catalogue: what agents may call."""

import uuid
from decimal import Decimal
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from agents.models.releases import Release
from agents.phrases import Phrase
from knowledge.models import Scene
from wowconsole.roles import AnyUser, sees_every_scene

LARGEST_ANSWER = 16_384  # bytes
# What a release keeps of its tools as it was when the release was made.
DEFINITION = ("kind", "description", "method", "url", "parameters", "remote_name", "key_argument")
METHODS = [("GET", "GET"), ("POST", "POST")]


class ToolKind(models.TextChoices):
    HTTP = "http", "HTTP endpoint"
    MCP = "mcp", "Tool of an MCP server"
    SUBAGENT = "subagent", "Sub-agent"


class ToolQuerySet(models.QuerySet["Tool"]):
    def of_scene(self, scene: Scene | None) -> Self:
        """Keep the callable tools of a scene, and those of every scene."""
        active = self.filter(is_active=True, held_at__isnull=True)
        return active.filter(Q(scenes=scene) | Q(scenes__isnull=True)).distinct()

    def visible_to(self, user: AnyUser) -> Self:
        """Keep the tools of the scenes a staff member works in, and those of every scene."""
        if sees_every_scene(user):
            return self
        return self.filter(Q(scenes__members=user.pk) | Q(scenes__isnull=True)).distinct()


class Tool(models.Model):
    """What the agent may call besides talking.

    `parameters` is the JSON schema of the arguments. Of an HTTP endpoint, names in braces
    in `url` are filled from them, escaped. Every call carries an idempotency key, so that a
    repeated call acts once. A sub-agent is a job whose work may outlive the turn. Each change
    is a `ToolRevision`; the name never changes, since releases name tools.

    A tool of an MCP server is what a person approved of what the server offered: `approved`,
    signed by `pin`. When the server offers something else under the name, that waits in
    `offered`, and the tool is held back until somebody approves it too.
    """

    kind = models.CharField(max_length=8, choices=ToolKind, default=ToolKind.HTTP)
    name = models.SlugField(max_length=40, unique=True)
    description = models.CharField(max_length=200)
    method = models.CharField(max_length=4, choices=METHODS, default="POST")
    url = models.CharField(max_length=500, blank=True)  # of an HTTP endpoint only
    parameters = models.JSONField(default=dict)
    # Name of the variable or setting that holds the bearer token; never the token itself.
    token_setting = models.CharField(max_length=80, blank=True)
    timeout_seconds = models.PositiveSmallIntegerField(default=5)
    # What the customer is asked before the call, with arguments in braces; empty: nothing is.
    # For what can't be undone: "Shall I cancel order {order_id}?"
    confirmation = models.CharField(max_length=200, blank=True)
    confirmation_zh = models.CharField(max_length=200, blank=True)  # for who writes Chinese
    # Words by which customers speak of what it does, separated by commas; between those that mean
    # the same stands a stroke. Before a model may choose a tool that asks first, somebody has to
    # (empty: of its name and description, see agents/occasions.py); others are called by them
    # without a model (agents/proposing.py).
    occasions = models.CharField(max_length=600, blank=True)
    # What is said of a result, with its {fields}, where a release says rules in their own words;
    # a sentence whose field has no value is left out. Empty: the model words it.
    result_template = models.CharField(max_length=300, blank=True)
    result_template_zh = models.CharField(max_length=300, blank=True)  # for who writes Chinese
    # It reads or changes what belongs to one customer: called only once that is identified.
    personal = models.BooleanField(default=False)
    largest_answer = models.PositiveIntegerField(default=LARGEST_ANSWER)  # bytes
    # In the currency of the engine's prices; what a conversation may cost counts it.
    cost_per_call = models.DecimalField(max_digits=12, decimal_places=6, default=Decimal(0))
    scenes = models.ManyToManyField(Scene, blank=True, related_name="tools")
    is_active = models.BooleanField(default=True)
    # Answers come from `ToolFixture` rows, and nothing is called: for tests and rehearsals.
    uses_fixtures = models.BooleanField(default=False)
    revision = models.PositiveIntegerField(default=0)  # of the newest ToolRevision; 0: none

    # Of MCP servers' tools only.
    server = models.ForeignKey(
        "MCPServer", on_delete=models.PROTECT, null=True, blank=True, related_name="tools"
    )
    remote_name = models.CharField(max_length=128, blank=True)
    # The argument that takes the idempotency key; without one it goes into the call's _meta.
    key_argument = models.CharField(max_length=40, blank=True)
    approved = models.JSONField(null=True, blank=True)
    pin = models.CharField(max_length=64, blank=True)
    offered = models.JSONField(null=True, blank=True)
    held_at = models.DateTimeField(null=True, blank=True)

    objects = ToolQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(name="tool_kind_known", condition=Q(kind__in=ToolKind.values)),
            models.CheckConstraint(
                name="tool_url_when_http", condition=~Q(kind=ToolKind.HTTP) | ~Q(url="")
            ),
            models.CheckConstraint(
                name="tool_cost_not_negative", condition=Q(cost_per_call__gte=0)
            ),
            models.CheckConstraint(
                name="tool_server_when_mcp",
                condition=Q(kind=ToolKind.MCP, server__isnull=False) & ~Q(remote_name="")
                | ~Q(kind=ToolKind.MCP) & Q(server__isnull=True),
            ),
            models.UniqueConstraint(
                name="tool_of_server_once",
                fields=["server", "remote_name"],
                condition=Q(kind=ToolKind.MCP),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("agents:tool-detail", args=[self.name])

    @property
    def is_irreversible(self) -> bool:
        return bool(self.confirmation)

    @property
    def asks(self) -> Phrase:
        """The question before a call; in English, or whatever was written, where there is one."""
        return Phrase(self.confirmation, zh=self.confirmation_zh or self.confirmation)

    @property
    def tells(self) -> Phrase:
        """What is said of a result."""
        return Phrase(self.result_template, zh=self.result_template_zh or self.result_template)


class ToolRevision(models.Model):
    """What a tool was from `at` on. Never changes.

    A release keeps the numbers of its tools' revisions: what the model is shown of them and
    where calls go (`DEFINITION`) stays as it was; switching off, limits, confirmation and
    other safety settings act on every release at once.
    """

    tool = models.ForeignKey(Tool, on_delete=models.PROTECT, related_name="revisions")
    number = models.PositiveIntegerField()
    data = models.JSONField()
    note = models.CharField(max_length=200, blank=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True)
    at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(name="tool_revision_number_once", fields=["tool", "number"])
        ]

    def __str__(self) -> str:
        return f"{self.tool} revision {self.number}"


class ToolCall(models.Model):
    """A call that somebody made from the catalogue to try the tool. Never changes."""

    public_id = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    tool = models.ForeignKey(Tool, on_delete=models.PROTECT, related_name="test_calls")
    revision = models.PositiveIntegerField()
    request = models.JSONField()  # {"to", "method", "arguments", "key"}; never the token
    result = models.JSONField()
    # Of the HTTP answer; null: there was none.
    status = models.PositiveSmallIntegerField(null=True)
    milliseconds = models.FloatField()
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"{self.tool} at {self.at:%Y-%m-%d %H:%M:%S}"


class ToolFixture(models.Model):
    """A recorded answer: what a tool that uses fixtures says to exactly these arguments."""

    public_id = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    tool = models.ForeignKey(Tool, on_delete=models.PROTECT, related_name="fixtures")
    arguments = models.JSONField()
    digest = models.CharField(max_length=64, editable=False)  # of the arguments
    result = models.JSONField()
    # Null for one that was written by hand.
    call = models.ForeignKey(ToolCall, on_delete=models.PROTECT, null=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(name="fixture_per_arguments", fields=["tool", "digest"])
        ]

    def __str__(self) -> str:
        return f"{self.tool}, recorded {self.created_at:%Y-%m-%d %H:%M:%S}"


class MCPServer(models.Model):
    """A server that speaks the Model Context Protocol over streamable HTTP.

    `listing` is what it offered when it was last asked. Only those of its tools exist for
    agents that a person has put into the catalogue.
    """

    name = models.SlugField(max_length=40, unique=True)
    url = models.CharField(max_length=500)
    token_setting = models.CharField(max_length=80, blank=True)
    timeout_seconds = models.PositiveSmallIntegerField(default=10)
    is_active = models.BooleanField(default=True)
    listing = models.JSONField(default=list)
    listed_at = models.DateTimeField(null=True)  # null: never
    error = models.CharField(max_length=300, blank=True)  # of the last listing
    changed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("agents:server-detail", args=[self.name])


def as_json(tool: Tool) -> dict[str, Any]:
    """Describe a tool as the action schema needs it: name, description, parameters."""
    return {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
    }


def released(release: Release, scene: Scene | None) -> dict[str, Tool]:
    """Return the callable tools of a release by name, each defined as when it was made.

    Switching off, limits, confirmation and the like count as they are now.
    """
    tools = Tool.objects.of_scene(scene).filter(name__in=release.tools).order_by("pk")
    found = {tool.name: tool for tool in tools}
    kept = release.tool_revisions
    changed = [tool for tool in found.values() if kept.get(tool.name, 0) not in {0, tool.revision}]
    for tool in changed:
        earlier = tool.revisions.get(number=kept[tool.name])
        for name in DEFINITION:
            setattr(tool, name, earlier.data[name])
    return found
