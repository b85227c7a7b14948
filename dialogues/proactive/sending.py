"""Speaking first in a chat: where, fenced like every word of the agent, and once."""

import hashlib
import secrets
from datetime import timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from dialogues.appending import append
from dialogues.models import (
    BusinessEvent,
    Channel,
    Conversation,
    Event,
    EventKind,
    ProactiveDecision,
    Role,
    Site,
)
from dialogues.proactive import promises
from dialogues.proactive.customers import at_site

CHANNEL = "web"
LEFT_AFTER = timedelta(days=1)


def open_conversation(event: BusinessEvent) -> Conversation | None:
    """Return the customer's newest open chat: one of today, or one that still waits for them.

    An older one was left; whoever comes back gets what waits (`adopt`), not what was left.
    """
    alive = Q(updated_at__gt=timezone.now() - LEFT_AFTER) | Q(token_sha256="")
    chats = Conversation.objects.filter(
        alive,
        at_site(event.site_id),
        channel=Channel.CHAT,
        customer_ref=event.customer_ref,
        closed_at=None,
    )
    return chats.select_related("release__version").order_by("-updated_at", "-pk").first()


def send(decision: ProactiveDecision, conversation: Conversation | None, words: str) -> Event:
    """Say `words`, and note what they promise. In the transaction that stores the decision.

    Args:
        conversation: locked by the caller; None: a new one.

    Raises:
        IntegrityError: control has changed since `conversation` was read, or it was said before.
    """
    chat = conversation or _new_chat(decision.event)
    message = append(
        conversation=chat,
        kind=EventKind.MESSAGE,
        role=Role.AGENT,
        text=words,
        fence=chat.fence,
        client_id=f"proactive-{decision.public_id}",  # once, whoever sends it
        data={"proactive": str(decision.public_id), "policy": decision.policy.name},
    )
    promises.note_of(decision, chat)
    return message


def _new_chat(event: BusinessEvent) -> Conversation:
    """Open a chat that waits for its customer: nobody has a token of it yet."""
    return Conversation.objects.create(
        scene=event.scene or (event.site.scene if event.site else None),
        site=event.site,
        customer_ref=event.customer_ref,
        identified_at=timezone.now(),
        audience={"channel": CHANNEL},
    )


@transaction.atomic
def adopt(*, customer_ref: str, site: Site, token: str = "") -> tuple[Conversation, str] | None:
    """Give an identified customer the chat that waits for them, with its secret; None: none.

    Only a chat that nobody was ever given: another's can't be had this way, and another site's
    customer of the same id is another.
    """
    waiting = Conversation.objects.select_for_update().filter(
        at_site(site.pk),
        channel=Channel.CHAT,
        customer_ref=customer_ref,
        token_sha256="",
        closed_at=None,
    )
    chat = waiting.order_by("-updated_at", "-pk").first()
    if chat is None:
        return None
    token = token or secrets.token_urlsafe(24)
    chat.site, chat.token_sha256 = site, hashlib.sha256(token.encode()).hexdigest()
    chat.save(update_fields=["site", "token_sha256"])
    return chat, token
