"""Policies and events for the tests of speaking first."""

from itertools import count

from django.utils import timezone

from dialogues.models import ProactiveDecision
from dialogues.proactive import policies, receiving
from tests.factories import make_conversation, make_user

_numbers = count(1)
LATE = {"order_id": "GW1002", "minutes_late": 45}


def make_policy(*, active=True, **fields):
    """Tells late orders at once, holds nobody out, unless told otherwise."""
    defaults = {
        "name": f"Policy {next(_numbers)}",
        "event_type": "order_late",
        "conditions": [{"field": "minutes_late", "op": "gte", "value": 30}],
        "template": "Your order {order_id} is {minutes_late} minutes late.",
        "holdout_percent": 0,
    }
    by = fields.pop("by", None) or make_user("approver")
    policy = policies.save_policy(by=by, **{**defaults, **fields})
    policies.set_active(policy, active=active)
    policy.refresh_from_db()
    return policy


def make_event(customer="c-1", **fields):
    defaults = {"event_id": f"e-{next(_numbers)}", "type": "order_late", "data": LATE}
    event, _ = receiving.receive(customer_ref=customer, **{**defaults, **fields})
    return event


def make_chat(customer="c-1", **fields):
    """An open chat of an identified customer."""
    return make_conversation(customer_ref=customer, identified_at=timezone.now(), **fields)


def handled(event):
    """The one decision that an event leads to, waiting."""
    receiving.handle(event.pk)
    return ProactiveDecision.objects.get(event=event)
