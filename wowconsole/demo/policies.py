"""The demo's one policy of speaking first: who waits for a late order is told."""

from django.contrib.auth.models import User

from dialogues.models import ProactivePolicy
from dialogues.proactive import policies

NAME = "Late orders"


def make_policy(by: User) -> None:
    """Add the policy and let it speak, unless there is one."""
    if ProactivePolicy.objects.exists():
        return
    policy = policies.save_policy(
        by=by,
        name=NAME,
        event_type="order_late",
        conditions=[{"field": "minutes_late", "op": "gte", "value": 20}],
        template=(
            "Your order {order_id} is about {minutes_late} minutes late, I am sorry. "
            "It arrives within an hour; you need not do anything."
        ),
        holdout_percent=10,
        promise="Your order {order_id} arrives within an hour.",
        promise_minutes=60,
        kept_by="order_delivered",
        kept_field="order_id",
        over_by=["order_cancelled"],
    )
    policies.set_active(policy, active=True)
