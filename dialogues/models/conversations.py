"""Conversations and their append-only logs."""

import uuid
from datetime import timedelta
from typing import Self

from django.apps import apps
from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.urls import reverse
from django.utils import timezone

from agents.models import Release
from agents.phrases import Phrase
from knowledge.models import Scene
from wowconsole.roles import AnyUser, sees_every_scene

LANGUAGE_TOLD_BY = 20  # messages of the customer


class EventKind(models.TextChoices):
    MESSAGE = "message", "Message"
    ACTION = "action", "Action"
    JOB = "job", "Job of a sub-agent"
    RATING = "rating", "Rating"
    FEEDBACK = "feedback", "Feedback"
    CONTROL = "control", "Change of control"
    CLOSED = "closed", "Closed"
    SURVEY = "survey", "Survey"


class Role(models.TextChoices):
    CUSTOMER = "customer", "Customer"
    AGENT = "agent", "Agent"
    STAFF = "staff", "Staff"
    SYSTEM = "system", "System"


class Channel(models.TextChoices):
    CHAT = "chat", "Chat"
    API = "api", "API"
    IMPORT = "import", "Imported"


class Control(models.TextChoices):
    BOT = "bot", "Agent"
    QUEUED = "queued", "Waiting for a person"
    HUMAN = "human", "Person"


def brings_news() -> Q:
    """Return which events tell the agent something: what customers write, what jobs end with.

    A cancelled job tells nothing: whoever cancelled it knows.
    """
    ended = Q(kind=EventKind.JOB, data__state__in=["done", "failed", "expired"])
    return Q(kind=EventKind.MESSAGE, role=Role.CUSTOMER) | ended


def asks_for_answer() -> Q:
    """Return which events the agent owes an answer: news, and what a person left unanswered."""
    return brings_news() | Q(kind=EventKind.CONTROL, data__has_key="owes")


# What shows that a person has dealt with all that the customer wrote before. A hand-back of a
# conversation that nobody had taken "resumes": the agent then goes on where it was. One that
# "owes" leaves it something that was silenced and that nobody has answered since.
BY_PERSON = Q(role=Role.STAFF) | Q(
    ~Q(data__has_any_keys=["resumes", "owes"]), kind=EventKind.CONTROL, data__state=Control.BOT
)


class ConversationQuerySet(models.QuerySet["Conversation"]):
    def visible_to(self, user: AnyUser) -> Self:
        """Keep the conversations of the user's scenes, and those of no scene yet."""
        if sees_every_scene(user):
            return self
        return self.filter(Q(scene__isnull=True) | Q(scene__members__pk=user.pk)).distinct()

    def unanswered(self, *, after_seconds: int, days: int = 1) -> Self:
        """Keep the open ones whose customer wrote something that neither turn nor person took up.

        A process can die between storing a message and taking it up. Left out is what is
        younger than `after_seconds`, which is being taken up, and where nothing has happened for
        `days`.
        """
        now = timezone.now()
        turns = apps.get_model("dialogues", "Turn").objects.filter(
            conversation=OuterRef("conversation"), asked_seq__gte=OuterRef("seq")
        )
        by_person = Event.objects.filter(
            BY_PERSON, conversation=OuterRef("conversation"), seq__gt=OuterRef("seq")
        )
        waiting = Event.objects.filter(
            asks_for_answer(),
            ~Exists(turns),
            conversation=OuterRef("pk"),
            at__lt=now - timedelta(seconds=after_seconds),
        ).exclude(Exists(by_person))
        recent = self.filter(updated_at__gt=now - timedelta(days=days), channel=Channel.CHAT)
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
    # Who the site that opened the chat proved its customer to be: its own id of them, and
    # when. Null: nobody proved anything, so tools give no personal data.
    customer_ref = models.CharField(max_length=120, blank=True, editable=False)
    identified_at = models.DateTimeField(null=True, editable=False)
    # Whose key a program opened it with through /v1; null: no program, or they are gone.
    opened_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        editable=False,
        related_name="+",
        db_index=False,  # it is looked for by its id
    )
    # Null: opened by no registered site, such as our own page.
    site = models.ForeignKey(
        "dialogues.Site", on_delete=models.PROTECT, null=True, blank=True, editable=False
    )
    # {"channel", "segment", "region"} as the site that opened the chat said: some rules are
    # for some customers only.
    audience = models.JSONField(default=dict, blank=True)
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
            # Whoever asks again for a chat whose secret did not reach them is known by it.
            models.UniqueConstraint(
                name="conversation_token_unique",
                fields=["token_sha256"],
                condition=~Q(token_sha256=""),
            ),
            models.CheckConstraint(
                name="conversation_identified_when_ref",
                condition=Q(identified_at__isnull=True, customer_ref="")
                | (Q(identified_at__isnull=False) & ~Q(customer_ref="")),
            ),
        ]
        indexes = [
            models.Index(name="conversation_newest", fields=["-updated_at", "-id"]),
            models.Index(name="conversation_of_customer", fields=["customer_ref"]),
        ]

    def __str__(self) -> str:
        return f"{self.customer or 'Customer'}, {self.created_at:%Y-%m-%d %H:%M}"

    def get_absolute_url(self) -> str:
        return reverse("dialogues:conversation-detail", args=[self.public_id])

    def say(self, phrase: Phrase) -> str:
        """Return a sentence of ours in the language in which the customer wrote or spoke last."""
        wrote = Q(kind=EventKind.MESSAGE, role=Role.CUSTOMER)
        spoke = Q(kind=EventKind.JOB, data__result__has_key="said")
        said = self.events.filter(wrote | spoke).order_by("-seq")
        texts = said.values_list("text", "data__result__said")[:LANGUAGE_TOLD_BY]
        return phrase.to([str(text or heard or "") for text, heard in reversed(texts)])


class Event(models.Model):
    """One entry of a conversation's log. Rows are added and never change (triggers).

    `seq` runs 1, 2, 3… without gaps in each conversation; a trigger gives it. `client_id`
    is the sender's own name for the message: a repeated one is not stored again.
    """

    public_id = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="events")
    seq = models.PositiveIntegerField(db_default=0, editable=False)  # a trigger gives it
    kind = models.CharField(max_length=8, choices=EventKind)
    role = models.CharField(max_length=8, choices=Role)
    text = models.TextField(blank=True)
    data = models.JSONField(default=dict)  # citations, action and result, rating…
    client_id = models.CharField(max_length=64, null=True)  # noqa: DJ001 (null: not a client's)
    turn = models.ForeignKey("Turn", on_delete=models.SET_NULL, null=True, related_name="events")
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
