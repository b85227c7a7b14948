"""Turns: all that went into one reply."""

import uuid
from decimal import Decimal
from typing import Self

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.functional import cached_property
from pgvector.django import VectorField

from agents.models import Release
from dialogues.models.conversations import Conversation
from knowledge.models import EmbeddingIndex, KnowledgeUnit, Revision
from wowconsole.roles import AnyUser


class TurnStatus(models.TextChoices):
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"
    DROPPED = "dropped", "Interrupted"  # the customer wrote on: the next turn answers both


class TurnQuerySet(models.QuerySet["Turn"]):
    def visible_to(self, user: AnyUser) -> Self:
        """Keep the turns of conversations the user may read."""
        return self.filter(conversation__in=Conversation.objects.visible_to(user))

    def abandoned(self) -> Self:
        """Keep the running turns whose process let its lease lapse, by the database's clock."""
        return self.filter(status=TurnStatus.RUNNING, leased_until__lt=Now())

    def unsettled(self) -> Self:
        """Keep the silenced turns whose process died over a call that can't be undone."""
        silenced = self.filter(status=TurnStatus.FAILED, under_way__isnull=False)
        return silenced.filter(leased_until__lt=Now())

    def held(self, turn: "Turn") -> Self:
        """Keep `turn` while it runs and no other process has taken it over since it was read."""
        return self.filter(pk=turn.pk, status=TurnStatus.RUNNING, attempts=turn.attempts)

    def stopped(self) -> Self:
        """Keep those that the customer stopped, rather than wrote on meanwhile."""
        return self.filter(status=TurnStatus.DROPPED).exclude(error="")

    def before(self, turn: "Turn") -> Self:
        """Keep the earlier turns of its conversation; a dropped one has answered nothing."""
        earlier = self.filter(conversation=turn.conversation_id, asked_seq__lt=turn.asked_seq)
        return earlier.exclude(status=TurnStatus.DROPPED)


class Turn(models.Model):
    """All that went into one reply: found rules, prompts, engine output, tool calls, times.

    `asked_seq` is the customer's event it answers, so no message is answered twice; at
    most one turn of a conversation runs at a time. While it runs, it belongs until
    `leased_until` to the process that counted `attempts` up; when that one dies, another finishes.

    `steps` has one object per engine call: {"messages": [...], "output": str, "action":
    {...} | null, "result": {...} | null, "engine_ms", "first_token_ms", "tool_ms",
    "tool_status" (of the HTTP answer), "prompt_tokens", "completion_tokens", and what
    `agents.happenings.Step` says of checks and costs}. Imported turns have none. What is counted
    over many turns has a column of its own.
    """

    public_id = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="turns")
    asked_seq = models.PositiveIntegerField()
    release = models.ForeignKey(Release, on_delete=models.PROTECT, null=True)  # null: imported
    status = models.CharField(max_length=7, choices=TurnStatus, default=TurnStatus.RUNNING)
    fence = models.PositiveIntegerField(default=0)
    leased_until = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    acts = models.BooleanField(default=False)  # a tool was called: it is not dropped any more
    # The call that can't be undone and is being made, {"name", "arguments", "key"}. It stays where
    # a person silences the turn meanwhile, until what came of it is known; null: none is.
    under_way = models.JSONField(null=True, editable=False)
    steps = models.JSONField(default=list)
    output = models.JSONField(default=dict)  # the last dialogue action, as spoken
    timings = models.JSONField(default=dict)  # milliseconds by name
    error = models.TextField(blank=True)
    # Why the reply is a rule as written or a hand-over instead of the model's; empty: it isn't.
    degraded = models.CharField(max_length=300, blank=True)
    engine_calls = models.PositiveSmallIntegerField(default=0)
    unreadable_calls = models.PositiveSmallIntegerField(default=0)  # of these: no readable action
    unbacked_calls = models.PositiveSmallIntegerField(default=0)  # of these: said without source
    prompt_tokens = models.PositiveIntegerField(default=0)
    completion_tokens = models.PositiveIntegerField(default=0)
    cost = models.DecimalField(max_digits=12, decimal_places=6, default=Decimal(0))  # dollars
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    finished_at = models.DateTimeField(null=True)

    objects = TurnQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.CheckConstraint(
                name="turn_status_known", condition=Q(status__in=TurnStatus.values)
            ),
            models.CheckConstraint(
                name="turn_finished_at_when_finished",
                condition=Q(status=TurnStatus.RUNNING, finished_at__isnull=True)
                | (~Q(status=TurnStatus.RUNNING) & Q(finished_at__isnull=False)),
            ),
            models.UniqueConstraint(
                name="turn_answers_a_message_once", fields=["conversation", "asked_seq"]
            ),
            models.UniqueConstraint(
                name="turn_one_running_per_conversation",
                fields=["conversation"],
                condition=Q(status=TurnStatus.RUNNING),
            ),
            models.CheckConstraint(name="turn_cost_not_negative", condition=Q(cost__gte=0)),
            models.CheckConstraint(
                name="turn_acts_while_a_call_is_under_way",
                condition=Q(under_way__isnull=True) | Q(acts=True),
            ),
            models.CheckConstraint(
                name="turn_faults_among_its_calls",
                condition=Q(engine_calls__gte=F("unreadable_calls") + F("unbacked_calls")),
            ),
        ]
        indexes = [
            models.Index(
                name="turn_unsettled",
                fields=["conversation"],
                condition=Q(under_way__isnull=False),
            ),
            # What a day has cost is asked before each turn.
            models.Index(name="turn_costs_by_day", fields=["created_at"], condition=Q(cost__gt=0)),
        ]

    def __str__(self) -> str:
        return f"Turn {self.public_id}"

    @property
    def is_worded_by_code(self) -> bool:
        """Whether no model chose what was said last: a tool's or a rule's own words were enough."""
        return not self.steps or self.steps[-1].get("result") is not None

    @cached_property
    def earlier(self) -> "Turn | None":
        """The turn before this one, which never changes: what it answered was answered first."""
        return Turn.objects.before(self).last()


class TurnUnit(models.Model):
    """A rule that was found for a turn, how, and whether the reply cites it."""

    turn = models.ForeignKey(Turn, on_delete=models.CASCADE, related_name="units")
    unit = models.ForeignKey(KnowledgeUnit, on_delete=models.PROTECT, related_name="found_in")
    revision = models.ForeignKey(Revision, on_delete=models.PROTECT)
    rank = models.PositiveSmallIntegerField()  # 1 is best
    score = models.FloatField()  # fused score of reciprocal ranks, 0 to about 0.033
    similarity = models.FloatField(null=True)  # cosine, -1 to 1; null: found by words only
    vector_rank = models.PositiveSmallIntegerField(null=True)
    text_rank = models.PositiveSmallIntegerField(null=True)
    matched = models.TextField(blank=True)  # the hook by which it was found
    cited = models.BooleanField(default=False)

    class Meta:
        ordering = ["rank"]
        constraints = [
            models.UniqueConstraint(name="turn_unit_once", fields=["turn", "unit"]),
        ]

    def __str__(self) -> str:
        return f"#{self.unit_id} at rank {self.rank}"


class TurnQuestion(models.Model):
    """What the customer asked in a turn, with its vector: for finding past turns by meaning.

    Written in the background (dialogues/noting.py), by the index that was live then; another
    index's rows are written anew.
    """

    turn = models.OneToOneField(Turn, on_delete=models.CASCADE, related_name="question")
    text = models.TextField()
    index = models.ForeignKey(EmbeddingIndex, on_delete=models.CASCADE, related_name="+")
    embedding = VectorField()  # as a query, unit length, of the index's dimensions

    def __str__(self) -> str:
        return self.text[:80]
