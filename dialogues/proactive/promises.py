"""Promises made to customers: noted, seen to be kept or void, or passed to a person in time.

A promise comes of a policy's message, or of a tool's answer that holds
{"promise": {"text", "due_at", "kept_by"?, "over_by"?, "field"?, "value"?}}.
"""

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from agents.phrases import Phrase
from dialogues.appending import append
from dialogues.desk import control
from dialogues.models import (
    BusinessEvent,
    Control,
    Conversation,
    EventKind,
    FollowUp,
    OptOut,
    ProactiveDecision,
    PromiseState,
    Role,
)
from dialogues.proactive import contact
from dialogues.proactive.conditions import MissingField, fill
from dialogues.proactive.customers import at_site, hold
from dialogues.proactive.ending import value_of

LATE = Phrase(
    "I told you: {promise} That has not happened yet, I am sorry. I have asked a colleague to "
    "look after it.",
    zh="我告诉过您：{promise} 很抱歉，到现在还没有做到。我已请同事跟进。",
)
DUE_AT_ONCE = 100
MOST_TYPES = 10  # of events that end one promise
OF_DECISION = "decision "  # begins the source of a promise that a policy's message made


def note_of(decision: ProactiveDecision, conversation: Conversation) -> None:
    """Note what a policy's message promises. In the transaction that sends it."""
    version = decision.version
    if not version.promise or version.promise_minutes is None:
        return
    FollowUp.objects.get_or_create(
        source=f"{OF_DECISION}{decision.public_id}",
        defaults={
            "conversation": conversation,
            "promise": _filled(version.promise, decision.event.data),
            "due_at": timezone.now() + timedelta(minutes=version.promise_minutes),
            "customer_ref": decision.customer_ref,
            "kept_by": version.kept_by,
            "kept_field": version.kept_field,
            "kept_value": value_of(decision.event, version.kept_field) or "",
            "over_by": version.over_by,
        },
    )


def _filled(promise: str, data: dict[str, Any]) -> str:
    """Return the promise with its blanks filled; as written where the event lacks a field."""
    try:
        return fill(promise, data)[:200]
    except MissingField:
        return promise


def note_from_tool(conversation: Conversation, source: str, result: dict[str, Any]) -> None:
    """Note what a tool's answer promises, once per `source`; an unreadable one is no promise."""
    promise = result.get("promise")
    if not isinstance(promise, dict) or not promise.get("text"):
        return
    try:
        due_at = parse_datetime(str(promise.get("due_at")))
    except ValueError:
        due_at = None
    if due_at is None or timezone.is_naive(due_at):
        return
    texts = {name: str(promise.get(name) or "") for name in ("kept_by", "field", "value")}
    FollowUp.objects.get_or_create(
        source=f"tool {source}"[:120],
        defaults={
            "conversation": conversation,
            "promise": str(promise["text"])[:200],
            "due_at": due_at,
            "customer_ref": conversation.customer_ref,
            "kept_by": texts["kept_by"][:60],
            "kept_field": texts["field"][:60],
            "kept_value": texts["value"][:200],
            "over_by": _types(promise.get("over_by")),
        },
    )


def _types(told: Any) -> list[str]:
    """Return the types of events that a tool names: one, or a list."""
    names = told if isinstance(told, list) else [told or ""]
    return [str(name)[:60] for name in names if name][:MOST_TYPES]


def settle_by(event: BusinessEvent) -> None:
    """Note which promises an event keeps or ends; one that is being made meanwhile, too."""
    hold(event.customer_ref)
    waiting = FollowUp.objects.filter(
        at_site(event.site_id, "conversation__site"),
        Q(kept_by=event.type) | Q(over_by__contains=[event.type]),
        state=PromiseState.OPEN,
        customer_ref=event.customer_ref,
    )
    for follow_up in waiting.select_for_update(of=("self",)):
        if value_of(event, follow_up.kept_field) == follow_up.kept_value:
            is_kept = follow_up.kept_by == event.type
            _settle(follow_up, PromiseState.KEPT if is_kept else PromiseState.VOID)


def _settle(follow_up: FollowUp, state: PromiseState) -> None:
    follow_up.state, follow_up.settled_at = state, timezone.now()
    follow_up.save(update_fields=["state", "settled_at"])


def sweep() -> None:
    """See to the promises that are due; from beat."""
    for follow_up_pk in FollowUp.objects.due().values_list("pk", flat=True)[:DUE_AT_ONCE]:
        escalate(follow_up_pk)


@transaction.atomic
def escalate(follow_up_pk: int) -> None:
    """Pass a promise that was not kept in time to a person, and say so; twice does nothing.

    Where a person has the chat, or is awaited, the customer is told nothing: the desk shows it
    to staff (`FollowUpQuerySet.broken`). In quiet hours it waits until they end.
    """
    found = FollowUp.objects.filter(pk=follow_up_pk).first()
    if found is None:
        return
    # The conversation first, as everywhere: in the other order a takeover could deadlock.
    conversation = Conversation.objects.select_for_update().get(pk=found.conversation_id)
    due = FollowUp.objects.due().select_for_update().filter(pk=follow_up_pk)
    follow_up = due.first()
    if follow_up is None:
        return
    if conversation.closed_at:
        _settle(follow_up, PromiseState.VOID)
        return
    if conversation.control == Control.BOT:
        if until := _tell(follow_up, conversation):
            FollowUp.objects.filter(pk=follow_up.pk).update(due_at=until)
            return
        control.ask_for_person(conversation=conversation)
    _settle(follow_up, PromiseState.ESCALATED)


def _tell(follow_up: FollowUp, conversation: Conversation) -> datetime | None:
    """Say that a promise was not kept, to who may be told; return until when quiet hours last."""
    event, now = _event_of(follow_up), timezone.now()
    rules = contact.rules_of(event.scene_id if event else conversation.scene_id)
    if OptOut.objects.of_chat(conversation).exists() or rules.silence_end(now):
        return None
    if until := rules.quiet_end(contact.zone_of(event), now):
        return until
    append(
        conversation=conversation,
        kind=EventKind.MESSAGE,
        role=Role.AGENT,
        text=conversation.say(LATE).format(promise=follow_up.promise.strip()),
        fence=conversation.fence,
        client_id=f"promise-{follow_up.public_id}",
        data={"promise": str(follow_up.public_id)},
    )
    return None


def _event_of(follow_up: FollowUp) -> BusinessEvent | None:
    """Return what the message told of that made a promise; None: a tool made it."""
    if not follow_up.source.startswith(OF_DECISION):
        return None
    public_id = follow_up.source.removeprefix(OF_DECISION)
    return BusinessEvent.objects.filter(decisions__public_id=public_id).first()
