"""What makes news none: the events that keep what a policy promises, or end the matter."""

from collections.abc import Sequence

from dialogues.models import BusinessEvent, ProactiveVersion
from dialogues.proactive.conditions import MISSING, lookup
from dialogues.proactive.customers import at_site


def value_of(event: BusinessEvent, field: str) -> str | None:
    """Return what an event says of the field by which it is told what it is of; None: nothing."""
    value = lookup(event.data, field) if field else ""
    return None if value is MISSING else str(value)[:200]


def ends_of(
    version: ProactiveVersion, events: Sequence[BusinessEvent]
) -> dict[int, list[BusinessEvent]]:
    """Return by each event's pk what came since and makes it no news, the earliest first.

    Events come in any order, and a message may wait for the morning.
    """
    if not version.ended_by:
        return {}
    found: dict[int, list[BusinessEvent]] = {}
    for site_pk in {event.site_id for event in events}:
        ours = [event for event in events if event.site_id == site_pk]
        since = BusinessEvent.objects.filter(
            at_site(site_pk),
            type__in=version.ended_by,
            customer_ref__in={event.customer_ref for event in ours},
            occurred_at__gte=min(event.occurred_at for event in ours),
        )
        later = list(since.order_by("occurred_at", "pk"))
        found |= {event.pk: [each for each in later if _ends(version, each, event)]
                  for event in ours}  # fmt: skip
    return found


def _ends(version: ProactiveVersion, later: BusinessEvent, event: BusinessEvent) -> bool:
    value = value_of(event, version.kept_field)
    return (
        later.pk != event.pk
        and later.customer_ref == event.customer_ref
        and later.occurred_at >= event.occurred_at
        and value is not None
        and value_of(later, version.kept_field) == value
    )
