"""What customers were promised, and who wants to hear nothing."""

import uuid
from datetime import timedelta
from typing import Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from dialogues.models.conversations import Conversation
from dialogues.models.desk import Handover
from dialogues.models.sites import Site
from knowledge.models import Scene
from wowconsole.roles import AnyUser, sees_every_scene


class OptOutQuerySet(models.QuerySet["OptOut"]):
    def visible_to(self, user: AnyUser) -> Self:
        """Keep those of customers whose conversations the user may read, and the user's own."""
        if sees_every_scene(user):
            return self
        scenes = list(Scene.objects.visible_to(user).values_list("pk", flat=True))
        seen = Conversation.objects.filter(
            Q(scene=None) | Q(scene__in=scenes), customer_ref=OuterRef("customer_ref")
        )
        here = Exists(seen.filter(site=OuterRef("site"))) | (Q(site=None) & Exists(seen))
        theirs = ~Q(customer_ref="") & here
        chat = Q(conversation__isnull=False) & (
            Q(conversation__scene=None) | Q(conversation__scene__in=scenes)
        )
        return self.filter(Q(by=user.pk) | chat | theirs)

    def of_customer(self, site_pk: int | None, customer_ref: str) -> Self:
        """Keep what a site's customer said; in doubt of the site, what any said of this id."""
        rows = self.filter(customer_ref=customer_ref)
        return rows if site_pk is None else rows.filter(Q(site=site_pk) | Q(site=None))

    def of_chat(self, chat: Conversation) -> Self:
        """Keep what was said in a chat, and what its customer, if they are known, said anywhere."""
        said = Q(conversation=chat)
        if chat.customer_ref:
            said |= Q(pk__in=OptOut.objects.of_customer(chat.site_id, chat.customer_ref))
        return self.filter(said)


class OptOut(models.Model):
    """A customer who wants no news. For ever: rows are never changed or deleted (trigger).

    Of a customer nobody has identified, the chat stands for them, and goes with it.
    """

    # Whose customer it is. Null: said before a site was registered, or before they were told
    # apart; then it holds at every site.
    site = models.ForeignKey(Site, on_delete=models.PROTECT, null=True)
    customer_ref = models.CharField(max_length=120, blank=True)
    conversation = models.ForeignKey(
        Conversation, on_delete=models.CASCADE, null=True, related_name="+"
    )
    # Null: the customer said so in the chat.
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True)
    at = models.DateTimeField(default=timezone.now, editable=False)

    objects = OptOutQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                name="opt_out_customer_once",
                fields=["customer_ref", "site"],
                condition=~Q(customer_ref=""),
                nulls_distinct=False,
            ),
            models.UniqueConstraint(name="opt_out_chat_once", fields=["conversation"]),
            models.CheckConstraint(
                name="opt_out_of_somebody",
                condition=(~Q(customer_ref="") & Q(conversation=None))
                | Q(customer_ref="", conversation__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.customer_ref or f"Conversation {self.conversation_id}"


class PromiseState(models.TextChoices):
    OPEN = "open", "Open"
    KEPT = "kept", "Kept"
    ESCALATED = "escalated", "Not kept: passed to a person"
    VOID = "void", "Void: the chat ended, or the matter did"


class FollowUpQuerySet(models.QuerySet["FollowUp"]):
    def visible_to(self, user: AnyUser) -> Self:
        """Keep the promises made in conversations the user may read."""
        return self.filter(conversation__in=Conversation.objects.visible_to(user))

    def broken(self) -> Self:
        """Keep those that came due unkept since a person was last asked for, in open handovers."""
        since = Handover.objects.open().filter(
            conversation=OuterRef("conversation"), asked_at__lte=OuterRef("settled_at")
        )
        return self.filter(Exists(since), state=PromiseState.ESCALATED)

    def due(self, *, lead: timedelta = timedelta()) -> Self:
        return self.filter(state=PromiseState.OPEN, due_at__lte=timezone.now() + lead)


class FollowUp(models.Model):
    """A promise that was made to a customer, and whether it was kept in time.

    Kept when an event of type `kept_by` comes whose `kept_field` is `kept_value`, void when one
    of `over_by` does; else a person is called when it is due.
    """

    public_id = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    conversation = models.ForeignKey(
        Conversation, on_delete=models.CASCADE, related_name="follow_ups"
    )
    source = models.CharField(max_length=120, unique=True)  # "decision <id>": one promise each
    promise = models.CharField(max_length=200)
    due_at = models.DateTimeField()
    customer_ref = models.CharField(max_length=120, blank=True)
    kept_by = models.SlugField(max_length=60, blank=True, db_index=False)
    kept_field = models.CharField(max_length=60, blank=True)
    kept_value = models.CharField(max_length=200, blank=True)
    over_by = ArrayField(models.SlugField(max_length=60, db_index=False), default=list, blank=True)
    state = models.CharField(max_length=9, choices=PromiseState, default=PromiseState.OPEN)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    settled_at = models.DateTimeField(null=True, editable=False)

    objects = FollowUpQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(
                name="promise_state_known", condition=Q(state__in=PromiseState.values)
            ),
            models.CheckConstraint(
                name="promise_settled_at_when_settled",
                condition=Q(state=PromiseState.OPEN, settled_at=None)
                | (~Q(state=PromiseState.OPEN) & Q(settled_at__isnull=False)),
            ),
        ]
        indexes = [
            models.Index(name="promise_due", fields=["due_at"], condition=Q(state="open")),
        ]

    def __str__(self) -> str:
        return self.promise
