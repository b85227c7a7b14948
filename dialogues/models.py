"""What was said, why it was said, and what people think of it."""

import uuid
from datetime import timedelta
from typing import Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.urls import reverse
from django.utils import timezone

from agents.models import Release
from knowledge.models import KnowledgeUnit, Revision, Scene
from wowconsole.roles import AnyUser, sees_every_scene


class Channel(models.TextChoices):
    CHAT = "chat", "Chat"
    IMPORT = "import", "Imported"


class Control(models.TextChoices):
    BOT = "bot", "Agent"
    QUEUED = "queued", "Waiting for a person"
    HUMAN = "human", "Person"


class ConversationQuerySet(models.QuerySet["Conversation"]):
    def visible_to(self, user: AnyUser) -> Self:
        """Keep the conversations of the user's scenes, and those of no scene yet."""
        if sees_every_scene(user):
            return self
        return self.filter(Q(scene__isnull=True) | Q(scene__members__pk=user.pk)).distinct()

    def unanswered(self, *, after_seconds: int) -> Self:
        """Keep the open ones whose customer wrote something that neither turn nor person took up.

        A process can die between storing a message and taking it up. Left out is what is
        younger than `after_seconds`, which is being taken up, or older than a day.
        """
        now = timezone.now()
        turns = Turn.objects.filter(
            conversation=OuterRef("conversation"), asked_seq__gte=OuterRef("seq")
        )
        by_person = Event.objects.filter(
            Q(role=Role.STAFF) | Q(kind=EventKind.CONTROL, data__state=Control.BOT),
            conversation=OuterRef("conversation"),
            seq__gt=OuterRef("seq"),
        )
        waiting = Event.objects.filter(
            ~Exists(turns),
            conversation=OuterRef("pk"),
            kind=EventKind.MESSAGE,
            role=Role.CUSTOMER,
            at__lt=now - timedelta(seconds=after_seconds),
        ).exclude(Exists(by_person))
        recent = self.filter(updated_at__gt=now - timedelta(days=1), channel=Channel.CHAT)
        return recent.filter(Exists(waiting), closed_at=None).exclude(control=Control.HUMAN)


class Conversation(models.Model):
    """One customer's talk with the service.

    `last_seq` is the number of its newest event, given by the database. `fence` grows
    with every change of control: an event of the agent that carries an older one is
    refused, so after a takeover no text of the agent can appear.
    """

    public_id = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    # Null until the customer's need is known to belong to one.
    scene = models.ForeignKey(Scene, on_delete=models.PROTECT, null=True, blank=True)
    channel = models.CharField(max_length=8, choices=Channel, default=Channel.CHAT)
    external_id = models.CharField(max_length=120, null=True, editable=False)  # noqa: DJ001
    customer = models.CharField(max_length=120, blank=True)
    token_sha256 = models.CharField(max_length=64, blank=True, editable=False)
    control = models.CharField(max_length=6, choices=Control, default=Control.BOT)
    fence = models.PositiveIntegerField(default=0, editable=False)
    last_seq = models.PositiveIntegerField(default=0, editable=False)
    # Chosen at the first turn and kept: a chat never changes its model midway.
    release = models.ForeignKey(Release, on_delete=models.PROTECT, null=True, editable=False)
    rating = models.PositiveSmallIntegerField(null=True, blank=True)  # 1 to 5; null: not rated
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)  # for the list
    closed_at = models.DateTimeField(null=True, editable=False)

    objects = ConversationQuerySet.as_manager()

    class Meta:
        ordering = ["-updated_at", "-pk"]
        constraints = [
            models.CheckConstraint(
                name="conversation_channel_known", condition=Q(channel__in=Channel.values)
            ),
            models.CheckConstraint(
                name="conversation_control_known", condition=Q(control__in=Control.values)
            ),
            models.CheckConstraint(
                name="conversation_rating_1_to_5",
                condition=Q(rating__isnull=True) | Q(rating__range=(1, 5)),
            ),
            models.UniqueConstraint(name="conversation_external_id_unique", fields=["external_id"]),
        ]
        indexes = [models.Index(name="conversation_newest", fields=["-updated_at", "-id"])]

    def __str__(self) -> str:
        return f"{self.customer or 'Customer'}, {self.created_at:%Y-%m-%d %H:%M}"

    def get_absolute_url(self) -> str:
        return reverse("dialogues:conversation-detail", args=[self.public_id])


class EventKind(models.TextChoices):
    MESSAGE = "message", "Message"
    ACTION = "action", "Action"
    RATING = "rating", "Rating"
    FEEDBACK = "feedback", "Feedback"
    CONTROL = "control", "Change of control"
    CLOSED = "closed", "Closed"


class Role(models.TextChoices):
    CUSTOMER = "customer", "Customer"
    AGENT = "agent", "Agent"
    STAFF = "staff", "Staff"
    SYSTEM = "system", "System"


class TurnStatus(models.TextChoices):
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"


class TurnQuerySet(models.QuerySet["Turn"]):
    def visible_to(self, user: AnyUser) -> Self:
        """Keep the turns of conversations the user may read."""
        return self.filter(conversation__in=Conversation.objects.visible_to(user))

    def abandoned(self) -> Self:
        """Keep the running turns whose process let its lease lapse."""
        return self.filter(status=TurnStatus.RUNNING, leased_until__lt=timezone.now())


class Turn(models.Model):
    """All that went into one reply: found rules, prompts, engine output, tool calls, times.

    `asked_seq` is the customer's event it answers, so no message is answered twice; at
    most one turn of a conversation runs at a time. While it runs, `leased_until` belongs
    to one process; when that one dies, another finishes.

    `steps` has one object per engine call: {"messages": [...], "output": str, "action":
    {...} | null, "result": {...} | null, "engine_ms", "first_token_ms", "tool_ms",
    "prompt_tokens", "completion_tokens"}. Imported turns have none.
    """

    public_id = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="turns")
    asked_seq = models.PositiveIntegerField()
    release = models.ForeignKey(Release, on_delete=models.PROTECT, null=True)  # null: imported
    status = models.CharField(max_length=7, choices=TurnStatus, default=TurnStatus.RUNNING)
    fence = models.PositiveIntegerField(default=0)
    leased_until = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    steps = models.JSONField(default=list)
    output = models.JSONField(default=dict)  # the last dialogue action, as spoken
    timings = models.JSONField(default=dict)  # milliseconds by name
    error = models.TextField(blank=True)
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
        ]

    def __str__(self) -> str:
        return f"Turn {self.public_id}"


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
    cited = models.BooleanField(default=False)

    class Meta:
        ordering = ["rank"]
        constraints = [
            models.UniqueConstraint(name="turn_unit_once", fields=["turn", "unit"]),
        ]

    def __str__(self) -> str:
        return f"#{self.unit_id} at rank {self.rank}"


class Event(models.Model):
    """One entry of a conversation's log. Rows are added and never change (triggers).

    `seq` runs 1, 2, 3… without gaps in each conversation; a trigger gives it. `client_id`
    is the sender's own name for the message: a repeated one is not stored again.
    """

    public_id = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="events")
    seq = models.PositiveIntegerField(editable=False)
    kind = models.CharField(max_length=8, choices=EventKind)
    role = models.CharField(max_length=8, choices=Role)
    text = models.TextField(blank=True)
    data = models.JSONField(default=dict)  # citations, action and result, rating…
    client_id = models.CharField(max_length=64, null=True)  # noqa: DJ001 (null: not a client's)
    turn = models.ForeignKey(Turn, on_delete=models.SET_NULL, null=True, related_name="events")
    # ^ SET_NULL never fires alone: a turn goes only with its conversation
    fence = models.PositiveIntegerField(null=True)  # null: not bound to control (customers)
    at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["conversation", "seq"]
        constraints = [
            models.UniqueConstraint(name="event_seq_unique", fields=["conversation", "seq"]),
            models.UniqueConstraint(
                name="event_client_id_once", fields=["conversation", "client_id"]
            ),
            models.CheckConstraint(name="event_kind_known", condition=Q(kind__in=EventKind.values)),
            models.CheckConstraint(name="event_role_known", condition=Q(role__in=Role.values)),
            models.CheckConstraint(
                name="event_agent_is_fenced",
                condition=~Q(role=Role.AGENT) | Q(fence__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.seq} {self.role} {self.kind}"


class IssueType(models.TextChoices):
    """Eight ways a reply goes wrong: four of the WOWService report, four of ours."""

    UNCLARIFIED_DEMAND = "unclarified_demand", "Unclarified demand"
    HALLUCINATION = "hallucination", "Hallucination"
    SCRIPT_REPETITION = "script_repetition", "Script repetition"
    INCORRECT_SOLUTION = "incorrect_solution", "Incorrect solution"
    RULE_VIOLATION = "rule_violation", "Rule violation or over-promise"
    WITHHELD_SOLUTION = "withheld_solution", "Withheld solution"
    WRONG_ACTION = "wrong_action", "Wrong or missing action"
    MECHANICAL_TONE = "mechanical_tone", "Mechanical tone"


class Verdict(models.TextChoices):
    GOOD = "good", "Good"
    BAD = "bad", "Bad"
    WRONG = "wrong", "Wrong solution"
    NEUTRAL = "neutral", "Neutral"


class JudgementSource(models.TextChoices):
    CUSTOMER = "customer", "Customer"
    REVIEWER = "reviewer", "Reviewer"
    INSPECTION = "inspection", "Inspection"
    IMPORT = "import", "Imported"


class Judgement(models.Model):
    """One verdict on a turn, by whoever gave it. Rows are added, never changed."""

    public_id = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    turn = models.ForeignKey(Turn, on_delete=models.CASCADE, related_name="judgements")
    source = models.CharField(max_length=10, choices=JudgementSource)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,  # null: not a person of ours
    )
    verdict = models.CharField(max_length=7, choices=Verdict)
    issue_types = ArrayField(
        models.CharField(max_length=20, choices=IssueType), default=list, blank=True
    )
    # What should have been said: a whole dialogue action, or empty.
    rewrite = models.JSONField(default=dict, blank=True)
    comment = models.TextField(blank=True, max_length=2000)
    at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(
                name="judgement_verdict_known", condition=Q(verdict__in=Verdict.values)
            ),
            models.CheckConstraint(
                name="judgement_source_known", condition=Q(source__in=JudgementSource.values)
            ),
            models.CheckConstraint(
                name="judgement_issue_types_known",
                condition=Q(issue_types__contained_by=IssueType.values),
            ),
            models.CheckConstraint(
                name="judgement_bad_names_an_issue",
                condition=~Q(verdict__in=[Verdict.BAD, Verdict.WRONG])
                | Q(source__in=[JudgementSource.CUSTOMER])
                | ~Q(issue_types=[]),
                violation_error_message="Name at least one issue of a bad reply.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_verdict_display()} by {self.source}"


class CaseQuerySet(models.QuerySet["Case"]):
    def visible_to(self, user: AnyUser) -> Self:
        """Keep the cases of conversations the user may read."""
        return self.filter(turn__in=Turn.objects.visible_to(user))

    def pairs(self) -> Self:
        """Keep the cases that hold both a rejected and a chosen reply."""
        return self.filter(label=Verdict.BAD).exclude(rewrite={})


class Case(models.Model):
    """A turn as it is classed now; its judgements are the history.

    Good cases become SFT rows, bad ones with a rewrite preference pairs; a wrong
    solution is neither until somebody has annotated it.
    """

    public_id = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    turn = models.OneToOneField(Turn, on_delete=models.CASCADE, related_name="case")
    label = models.CharField(max_length=7, choices=Verdict)
    issue_types = ArrayField(
        models.CharField(max_length=20, choices=IssueType), default=list, blank=True
    )
    rewrite = models.JSONField(default=dict, blank=True)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)  # for the list

    objects = CaseQuerySet.as_manager()

    class Meta:
        ordering = ["-updated_at", "-pk"]
        constraints = [
            models.CheckConstraint(name="case_label_known", condition=Q(label__in=Verdict.values)),
            models.CheckConstraint(
                name="case_issue_types_known",
                condition=Q(issue_types__contained_by=IssueType.values),
            ),
        ]
        indexes = [models.Index(name="case_newest", fields=["-updated_at", "-id"])]

    def __str__(self) -> str:
        return f"{self.get_label_display()} case of {self.turn}"
