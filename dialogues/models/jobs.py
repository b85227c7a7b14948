"""What the agent has others do for it while the talk goes on: jobs of sub-agents, and calls."""

import uuid
from decimal import Decimal
from typing import Any, ClassVar, Self

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone

from agents.models import Release
from agents.schemas import BadSchema, prepared
from agents.subagents import GaveUp, cards
from dialogues.models.conversations import Conversation
from dialogues.models.turns import Turn
from wowconsole.roles import AnyUser


class SubagentState(models.TextChoices):
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    WAITING = "waiting", "Waiting for somebody"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"
    EXPIRED = "expired", "Out of time"


FINISHED = [
    SubagentState.DONE,
    SubagentState.FAILED,
    SubagentState.CANCELLED,
    SubagentState.EXPIRED,
]


class SubagentJobQuerySet(models.QuerySet["SubagentJob"]):
    def visible_to(self, user: AnyUser) -> Self:
        """Keep the jobs of conversations the user may read."""
        return self.filter(conversation__in=Conversation.objects.visible_to(user))

    def unfinished(self) -> Self:
        return self.exclude(state__in=FINISHED)

    def due(self) -> Self:
        """Keep what a worker should be at now: its time has come, or its worker is silent."""
        unowned = [SubagentState.QUEUED, SubagentState.WAITING]
        awaited = Q(state__in=unowned, due_at__lte=timezone.now())
        # By the database's clock, which gave the lease: hosts' own differ.
        return self.filter(awaited | Q(state=SubagentState.RUNNING, leased_until__lt=Now()))

    def late(self) -> Self:
        """Keep the unfinished ones whose deadline has passed."""
        return self.unfinished().filter(deadline__lt=timezone.now())


class SubagentJob(models.Model):
    """One piece of work of a sub-agent. It outlives the turn that asked for it.

    `name` is what the agent called it (a tool), `subagent` and `version` are whose code
    does it. While it runs it belongs to one process, `owner`, until `leased_until`; queued or
    waiting it is taken up at `due_at`, or when somebody wakes it. `memory` is what the
    sub-agent needs to go on in another process. A finished job never changes its state
    (trigger); every state it was in stands in `changes` (trigger).
    """

    public_id = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="jobs")
    # Null: a person or an event asked for it, not a turn.
    turn = models.ForeignKey(Turn, on_delete=models.CASCADE, null=True, related_name="jobs")
    # Whose model words what it says, and by whose prices. Null: none was live, or an old row.
    release = models.ForeignKey(Release, on_delete=models.PROTECT, null=True, editable=False)
    name = models.CharField(max_length=40)
    subagent = models.CharField(max_length=40)
    version = models.PositiveSmallIntegerField(default=1)
    arguments = models.JSONField(default=dict)
    key = models.CharField(max_length=120, unique=True)  # the same key is the same job
    state = models.CharField(
        max_length=9, choices=SubagentState, default=SubagentState.QUEUED, editable=False
    )
    attempts = models.PositiveSmallIntegerField(default=0)
    most_attempts = models.PositiveSmallIntegerField(default=3)
    owner = models.UUIDField(null=True, editable=False)
    leased_until = models.DateTimeField(null=True, editable=False)
    due_at = models.DateTimeField(default=timezone.now)
    deadline = models.DateTimeField()
    progress = models.CharField(max_length=300, blank=True)  # in words for the customer
    memory = models.JSONField(default=dict, blank=True)
    result = models.JSONField(default=dict, blank=True)  # of the sub-agent's output schema
    report = models.JSONField(default=dict, blank=True)  # for staff: the score and its evidence
    error = models.TextField(blank=True)
    prompt_tokens = models.PositiveIntegerField(default=0)
    completion_tokens = models.PositiveIntegerField(default=0)
    # Dollars so far, of engine and tools: of models and tools that have prices here.
    cost = models.DecimalField(max_digits=12, decimal_places=6, default=Decimal(0))
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    started_at = models.DateTimeField(null=True, editable=False)
    finished_at = models.DateTimeField(null=True, editable=False)

    objects = SubagentJobQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [
            models.CheckConstraint(
                name="subagent_state_known", condition=Q(state__in=SubagentState.values)
            ),
            models.CheckConstraint(
                name="subagent_finished_at_when_finished",
                condition=Q(state__in=FINISHED, finished_at__isnull=False)
                | (~Q(state__in=FINISHED) & Q(finished_at__isnull=True)),
            ),
            models.CheckConstraint(
                name="subagent_owned_while_running",
                condition=Q(
                    state=SubagentState.RUNNING, owner__isnull=False, leased_until__isnull=False
                )
                | (
                    ~Q(state=SubagentState.RUNNING)
                    & Q(owner__isnull=True, leased_until__isnull=True)
                ),
            ),
            models.CheckConstraint(
                name="subagent_done_has_result",
                condition=~Q(state=SubagentState.DONE) | ~Q(result={}),
            ),
            models.CheckConstraint(
                name="subagent_deadline_after_start", condition=Q(deadline__gt=F("created_at"))
            ),
            models.CheckConstraint(name="subagent_cost_not_negative", condition=Q(cost__gte=0)),
        ]
        indexes = [
            models.Index(name="subagent_newest", fields=["-created_at", "-id"]),
            models.Index(
                name="subagent_due", fields=["due_at"], condition=Q(finished_at__isnull=True)
            ),
            # What a day has cost is asked before each turn.
            models.Index(
                name="subagent_costs_by_day", fields=["created_at"], condition=Q(cost__gt=0)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name}, {self.get_state_display().lower()}"

    def get_absolute_url(self) -> str:
        return reverse("dialogues:job-detail", args=[self.public_id])

    @property
    def is_finished(self) -> bool:
        return self.state in FINISHED


class SubagentChange(models.Model):
    """A state that a job came into; written by a trigger, never changed."""

    job = models.ForeignKey(SubagentJob, on_delete=models.CASCADE, related_name="changes")
    state = models.CharField(max_length=9, choices=SubagentState)
    detail = models.CharField(max_length=300, blank=True)
    at = models.DateTimeField()

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.state} at {self.at:%H:%M:%S}"


class Speaker(models.TextChoices):
    AGENT = "agent", "Agent"
    CALLEE = "callee", "Callee"
    NOTE = "note", "Note"  # what happened on the line: silence, hung up, a new worker


class SubagentLine(models.Model):
    """One line of a job's transcript, stored as it happens. Numbered 1, 2, 3… in its job."""

    job = models.ForeignKey(SubagentJob, on_delete=models.CASCADE, related_name="lines")
    number = models.PositiveSmallIntegerField()
    speaker = models.CharField(max_length=6, choices=Speaker)
    text = models.TextField()
    data = models.JSONField(default=dict, blank=True)  # who worded it, what was read from it
    # The callee's own name for what they typed: sent twice, it is stored once.
    client_id = models.CharField(max_length=64, null=True)  # noqa: DJ001
    at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["job", "number"]
        constraints = [
            models.UniqueConstraint(name="subagent_line_number_once", fields=["job", "number"]),
            models.UniqueConstraint(name="subagent_line_client_once", fields=["job", "client_id"]),
            models.CheckConstraint(
                name="subagent_speaker_known", condition=Q(speaker__in=Speaker.values)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.number} {self.speaker}: {self.text[:60]}"


class CallLinkQuerySet(models.QuerySet["CallLink"]):
    def dial_again(self) -> None:
        """Let calls that have ended ring anew: the same link, for whoever answers first now."""
        ended = self.exclude(ended_at=None)
        now, nobody = timezone.now(), {"callee_sha256": "", "answered_at": None}
        ended.update(dialled_at=now, ended_at=None, ended_by="", **nobody)


class CallLink(models.Model):
    """A call over text: the callee opens a link, answers, and types until somebody hangs up.

    The first who answers is the callee: their browser keeps a secret of which the SHA-256
    stands here. The link itself is signed, not stored. An ended call rings again with the
    next attempt of its job, if there is one.
    """

    job = models.OneToOneField(SubagentJob, on_delete=models.CASCADE, related_name="link")
    callee_sha256 = models.CharField(max_length=64, blank=True, editable=False)
    dialled_at = models.DateTimeField(default=timezone.now, editable=False)
    answered_at = models.DateTimeField(null=True, editable=False)
    ended_at = models.DateTimeField(null=True, editable=False)
    ended_by = models.CharField(max_length=6, choices=Speaker, blank=True)

    objects = CallLinkQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="call_answered_by_somebody",
                condition=Q(answered_at__isnull=True, callee_sha256="")
                | (Q(answered_at__isnull=False) & ~Q(callee_sha256="")),
            ),
            models.CheckConstraint(
                name="call_ended_by_somebody",
                condition=Q(ended_at__isnull=True, ended_by="")
                | (Q(ended_at__isnull=False) & ~Q(ended_by="")),
            ),
        ]

    def __str__(self) -> str:
        return f"Call {self.state} of {self.job_id}"

    @property
    def state(self) -> str:
        """Return dialled, answered or ended."""
        if self.ended_at:
            return "ended"
        return "answered" if self.answered_at else "dialled"


def no_parameters() -> dict[str, Any]:
    """Return the JSON schema of a call that needs no arguments."""
    return {"type": "object", "properties": {}}


class CallPlan(models.Model):
    """A goal card with blanks: what the agent may have somebody called about, and how far.

    The agent sees it as a tool of this name with these parameters; {names} in the card are
    filled from the arguments and from what the tool `look_up` answers to them. So a model
    chooses the occasion of a call, never whom it reaches or what may be offered.
    """

    ARRANGED: ClassVar[str] = "call_plan"
    KEPT: ClassVar[tuple[str, ...]] = (
        *("description", "parameters", "card", "look_up", "confirmation"),
        *("confirmation_zh", "addresses", "is_active"),
    )

    name = models.SlugField(max_length=40, unique=True)
    description = models.CharField(max_length=200)
    parameters = models.JSONField(default=no_parameters)  # JSON schema of the arguments
    card = models.JSONField(default=dict)  # agents.subagents.cards.CARD, with {blanks}
    look_up = models.SlugField(max_length=40, blank=True)  # a tool that is given the arguments
    # What the customer is asked before the call, with arguments in braces; empty: nothing is.
    confirmation = models.CharField(max_length=200, blank=True)
    confirmation_zh = models.CharField(max_length=200, blank=True)  # for who writes Chinese
    # Whom the card names → address ("link:", "sip:…", "simulated:terse"); "*" is for others.
    addresses = models.JSONField(default=dict)
    is_active = models.BooleanField(default=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("dialogues:plan-detail", args=[self.name])

    @property
    def arranged_as(self) -> str:
        return self.name

    def clean(self) -> None:
        """Refuse a card that no call could be led by, and arguments that no tool could have.

        The arguments' schema is then written as agents read it.
        """
        try:
            cards.read_card(self.card)
            self.parameters = prepared(self.parameters)
        except (GaveUp, BadSchema) as error:
            raise ValidationError(str(error)) from None
