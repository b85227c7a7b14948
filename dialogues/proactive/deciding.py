"""Whether to tell a customer of an event, now, later or never; and why, for the ledger.

What the comparison with the held-out group rests on: being held out is the last question, so
both groups have passed the same ones, and both count for caps and cooldown.
"""

import hashlib
import logging
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import uuid4

from celery import current_app
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from dialogues.models import (
    TOLD_OR_HELD,
    BusinessEvent,
    Control,
    Conversation,
    OptOut,
    Outcome,
    ProactiveDecision,
    ProactivePolicy,
    ProactiveVersion,
    Reach,
    TurnStatus,
)
from dialogues.proactive import contact, sending, wording
from dialogues.proactive.conditions import MissingField, fill
from dialogues.proactive.contact import Rules, zone_of
from dialogues.proactive.customers import at_site, hold
from dialogues.proactive.ending import ends_of
from wowconsole.committing import after_commit

logger = logging.getLogger(__name__)

LEASE_SECONDS = 120  # longer than the model takes to word a message
TALKING = timedelta(minutes=5)  # until it is tried again while a person talks
ANSWERING = timedelta(seconds=20)  # until it is tried again while the agent answers
YIELDING = timedelta(seconds=5)  # until it is tried again while a weightier one is decided
# A weightier one is waited for from so long before it is due, since what waits together is not
# due to the second, until so long after: then nobody gets it done.
SOON, PATIENCE = timedelta(seconds=30), timedelta(minutes=5)
SENT_AT_ONCE = 200
# Not what wording cost: a worker whose lease lapsed may be adding to it.
SETTLED = [
    *("outcome", "reason", "owner", "leased_until"),
    *("due_at", "message", "conversation", "decided_at"),
]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do. WAITING has `until`."""

    outcome: Outcome
    reason: str = ""
    until: datetime | None = None
    conversation: Conversation | None = None  # where to speak; None: a new one


def due_at(version: ProactiveVersion, event: BusinessEvent) -> datetime:
    return event.occurred_at + timedelta(minutes=version.delay_minutes)


def send_soon(decision: ProactiveDecision) -> None:
    """Have a worker decide after the commit, if it is due; else the sweep does when it is."""
    if decision.due_at <= timezone.now():
        after_commit(_send, decision.pk)


def _send(decision_pk: int) -> None:
    current_app.send_task("dialogues.tasks.decide_contact", [decision_pk])


def sweep() -> None:
    """Decide what is due, and what a dead worker left; from beat."""
    for decision_pk in ProactiveDecision.objects.due().values_list("pk", flat=True)[:SENT_AT_ONCE]:
        _send(decision_pk)


def decide(decision_pk: int) -> None:
    """Decide and act on a due decision; a second delivery finds nothing to do."""
    decision = _claim(decision_pk)
    if decision is None:
        return
    verdict = look(decision)
    words = ""
    if verdict.outcome == Outcome.SENT:  # wording may take seconds: not in a transaction
        plain = fill(decision.version.template, decision.event.data)
        words = wording.word(decision, verdict.conversation, plain)
    _settle(decision, words)


def _claim(decision_pk: int) -> ProactiveDecision | None:
    owner = uuid4()
    lease = timezone.now() + timedelta(seconds=LEASE_SECONDS)
    due = ProactiveDecision.objects.due().order_by().filter(pk=decision_pk)
    if not due.update(owner=owner, leased_until=lease):
        return None
    parts = ("event__site", "event__scene", "policy", "version__scene")
    return ProactiveDecision.objects.select_related(*parts).filter(owner=owner).first()


@transaction.atomic
def _settle(decision: ProactiveDecision, words: str) -> None:
    """Look once more, with the customer's other decisions kept away, and act on it."""
    hold(decision.customer_ref)
    ours = ProactiveDecision.objects.select_for_update().filter(
        pk=decision.pk, owner=decision.owner, outcome=Outcome.WAITING
    )
    if not ours.exists():
        return  # its lease lapsed, and another worker was quicker
    verdict = _still(look(decision), decision.version)
    if verdict.outcome == Outcome.SENT and not words:
        return  # it could not be sent a moment ago; the next worker words it
    decision.outcome, decision.reason = verdict.outcome, verdict.reason[:300]
    decision.owner = decision.leased_until = None
    if verdict.until:
        decision.due_at = verdict.until
    if verdict.outcome == Outcome.SENT:
        sent = sending.send(decision, verdict.conversation, words)
        decision.message, decision.conversation = sent, sent.conversation
    if verdict.outcome != Outcome.WAITING:
        decision.decided_at = timezone.now()
    decision.save(update_fields=SETTLED)


def _still(verdict: Verdict, version: ProactiveVersion) -> Verdict:
    """Lock the chat where something is to be said, and look again at who speaks there.

    From then on nobody takes it over or ends it before it is said.
    """
    if verdict.conversation is None:
        return verdict
    chat = Conversation.objects.select_for_update().get(pk=verdict.conversation.pk)
    now = timezone.now()
    if chat.closed_at:
        return Verdict(Outcome.WAITING, "The chat has just ended.", now)
    return _busy(chat, version, now) or replace(verdict, conversation=chat)


def look(decision: ProactiveDecision) -> Verdict:
    """Say what should become of a decision now. Reads only; the order is the one of the ledger."""
    event, version, now = decision.event, decision.version, timezone.now()
    rules = contact.rules_of(version.scene_id or event.scene_id)
    refused = (
        _in_force(decision, now)
        or _stale(version, event, now)
        or _unwanted(event)
        or _too_often(decision, rules, now)
        or _quiet(event, rules, now)
        or _outweighed(decision, now)
    )
    if refused:
        return refused
    conversation = sending.open_conversation(event)
    busy = _busy(conversation, version, now) or _untold(version, event)
    if busy:
        return busy
    if is_held_out(decision.policy, version, event.customer_ref):
        return Verdict(Outcome.HELD_OUT, f"One of the {version.holdout_percent} % held out.")
    where = "In an open chat." if conversation else "In a new chat."
    return Verdict(Outcome.SENT, where, conversation=conversation)


def _in_force(decision: ProactiveDecision, now: datetime) -> Verdict | None:
    policy = ProactivePolicy.objects.get(pk=decision.policy_id)
    if policy.is_active and decision.version.holds_at(now):
        return None
    why = "Outside its validity." if policy.is_active else "The policy is paused."
    return Verdict(Outcome.NOT_VALID, why)


def _stale(version: ProactiveVersion, event: BusinessEvent, now: datetime) -> Verdict | None:
    if now > event.occurred_at + timedelta(minutes=version.stale_minutes):
        return Verdict(Outcome.STALE, f"More than {version.stale_minutes} minutes old.")
    if ends := ends_of(version, [event]).get(event.pk):
        return Verdict(Outcome.STALE, f"{ends[0].type} came for it.")
    return None


def _unwanted(event: BusinessEvent) -> Verdict | None:
    if not OptOut.objects.of_customer(event.site_id, event.customer_ref).exists():
        return None
    return Verdict(Outcome.OPTED_OUT, "The customer wants no news.")


def _too_often(decision: ProactiveDecision, rules: Rules, now: datetime) -> Verdict | None:
    theirs = _of_customer(decision).filter(outcome__in=TOLD_OR_HELD)
    since = now - timedelta(hours=decision.version.cooldown_hours)
    if theirs.filter(policy=decision.policy_id, decided_at__gt=since).exists():
        hours = decision.version.cooldown_hours
        return Verdict(Outcome.COOLDOWN, f"Told of the like within {hours} hours.")
    if theirs.filter(decided_at__gt=now - timedelta(days=rules.days)).count() < rules.most:
        return None
    return Verdict(Outcome.CAPPED, f"{rules.most} messages within {rules.days} days are enough.")


def _of_customer(decision: ProactiveDecision) -> QuerySet[ProactiveDecision]:
    site = at_site(decision.event.site_id, "event__site")
    return ProactiveDecision.objects.filter(site, customer_ref=decision.customer_ref)


def _outweighed(decision: ProactiveDecision, now: datetime) -> Verdict | None:
    """Let what weighs more come first, where perhaps only one may be told."""
    others = _of_customer(decision).filter(
        outcome=Outcome.WAITING,
        version__priority__gt=decision.version.priority,
        due_at__range=(now - PATIENCE, now + SOON),
    )
    if not others.exists():
        return None
    return Verdict(Outcome.WAITING, "A weightier message comes first.", now + YIELDING)


def _quiet(event: BusinessEvent, rules: Rules, now: datetime) -> Verdict | None:
    if until := rules.silence_end(now):
        return Verdict(Outcome.WAITING, "Nobody is to be told anything now.", until)
    if until := rules.quiet_end(zone_of(event), now):
        return Verdict(Outcome.WAITING, "Quiet hours where the customer is.", until)
    return None


def _busy(
    conversation: Conversation | None, version: ProactiveVersion, now: datetime
) -> Verdict | None:
    if conversation is None:
        if version.reach == Reach.ANY:
            return None
        return Verdict(Outcome.NO_CHANNEL, "The customer has no open chat.")
    if OptOut.objects.of_chat(conversation).exists():
        return Verdict(Outcome.OPTED_OUT, "The customer wants no news in this chat.")
    if conversation.control != Control.BOT:
        return Verdict(Outcome.WAITING, "A person has the conversation.", now + TALKING)
    if conversation.turns.filter(status=TurnStatus.RUNNING).exists():
        return Verdict(Outcome.WAITING, "The agent is answering them.", now + ANSWERING)
    return None


def _untold(version: ProactiveVersion, event: BusinessEvent) -> Verdict | None:
    try:
        fill(version.template, event.data)
    except MissingField as error:
        return Verdict(Outcome.CONDITION, str(error))
    return None


def is_held_out(policy: ProactivePolicy, version: ProactiveVersion, customer_ref: str) -> bool:
    """Say whether a customer is in the policy's held-out group: always the same answer."""
    digest = hashlib.sha256(f"{policy.public_id}:{customer_ref}".encode()).digest()
    return int.from_bytes(digest[:8], "big") * 100 < version.holdout_percent * 2**64
