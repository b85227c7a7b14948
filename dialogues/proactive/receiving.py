"""Events of business systems: signed, stored once, and matched with the policies.

Signature: HMAC-SHA256 with EVENTS_KEY over "<timestamp>.<body>", in hexadecimal.
"""

import hashlib
import hmac
import logging
import time
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from celery import current_app
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from agents.cleaning import storable
from dialogues.models import BusinessEvent, Outcome, ProactiveDecision, ProactivePolicy, Site
from dialogues.proactive import conditions as proactive_conditions
from dialogues.proactive import deciding, promises
from dialogues.proactive.customers import meant_site
from knowledge.models import Scene
from wowconsole.committing import after_commit
from wowconsole.errors import Invalid, Refused
from wowconsole.roles import AnyUser, sees_every_scene

logger = logging.getLogger(__name__)

WINDOW_SECONDS = 300  # between the sender's clock and ours
HANDLED_AT_ONCE = 200
OLDEST = timedelta(days=3653)


class NotSigned(Refused):
    code = "signature_invalid"
    status = 401


class OutOfReach(Refused):
    code = "out_of_reach"
    status = 403


class EventIdReused(Refused):
    code = "event_id_reused"
    status = 422


def verify(*, timestamp: str, signature: str, body: bytes) -> None:
    """Check the signature of a delivery. EVENTS_KEY may hold two keys, for their change.

    Raises:
        NotSigned: signed by nobody, or too long ago.
    """
    try:
        age = abs(time.time() - int(timestamp))
    except (ValueError, OverflowError):
        raise NotSigned("X-Events-Timestamp is a time in Unix seconds.") from None
    signed = timestamp.encode("ascii", "replace") + b"." + body
    given = signature.removeprefix("sha256=").lower().encode("utf-8", "replace")
    keys = [key.strip() for key in settings.EVENTS_KEY.split(",") if key.strip()]
    digests = [hmac.new(key.encode(), signed, hashlib.sha256).hexdigest() for key in keys]
    if not any(hmac.compare_digest(digest.encode(), given) for digest in digests):
        raise NotSigned("The signature is wrong.")
    if age > WINDOW_SECONDS:
        raise NotSigned("The signature is too old, or from the future.")


@transaction.atomic
def receive(
    *,
    event_id: str,
    type: str,
    customer_ref: str,
    data: dict[str, Any],
    time_zone: str = "",
    site: Site | None = None,
    scene: Scene | None = None,
    occurred_at: datetime | None = None,
    by: AnyUser | None = None,
) -> tuple[BusinessEvent, bool]:
    """Store an event; return it, and whether it is new. Policies are looked at by a worker.

    Args:
        site: whose customer it is; None: as it was told first, else of the one that is meant.
        by: whose key told of it; None: signed, so that it may concern every scene.

    Raises:
        Invalid: the time zone is unknown, or it happened more than ten years ago.
        SiteNeeded: there are several sites.
        OutOfReach: it concerns a scene or a site that is not theirs.
        EventIdReused: another event has this id.
    """
    if time_zone and not _is_zone(time_zone):
        raise Invalid(f"{time_zone} is no time zone; write Europe/Paris.")
    if occurred_at and occurred_at < timezone.now() - OLDEST:
        raise Invalid("It happened more than ten years ago.")
    told = BusinessEvent.objects.select_related("site").filter(event_id=event_id).first()
    site = site or (told.site if told else meant_site())
    if by is not None:
        _check_reach(by, scene, site)
    fields = {"type": type, "customer_ref": customer_ref, "data": storable(data)}
    fields |= {"site": site, "scene": scene}
    event, is_new = BusinessEvent.objects.get_or_create(
        event_id=event_id,
        defaults=fields
        | {
            "time_zone": time_zone,
            "occurred_at": min(occurred_at or timezone.now(), timezone.now()),
        },
    )
    if not is_new and any(getattr(event, name) != value for name, value in fields.items()):
        raise EventIdReused("Another event was told with this id. Give each its own.")
    if is_new:
        after_commit(_send, event.pk)
    return event, is_new


def _check_reach(by: AnyUser, scene: Scene | None, site: Site | None) -> None:
    """Refuse what concerns scenes or sites that somebody does not work in."""
    if sees_every_scene(by):
        return
    if scene is None or not Scene.objects.visible_to(by).contains(scene):
        raise OutOfReach("Name one of your scenes: without one an event concerns every scene.")
    if site and not Site.objects.visible_to(by).contains(site):
        raise OutOfReach(f"The site “{site.slug}” is of a scene that is not yours.")


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _send(event_pk: int) -> None:
    current_app.send_task("dialogues.tasks.handle_business_event", [event_pk])


@transaction.atomic
def handle(event_pk: int) -> None:
    """Add a decision for each policy the event concerns; nothing if that was done."""
    waiting = BusinessEvent.objects.select_for_update(skip_locked=True)
    event = waiting.filter(pk=event_pk, handled_at=None).first()
    if event is None:
        return
    promises.settle_by(event)
    for policy in ProactivePolicy.objects.for_event(event):
        decision = _decision(event, policy)
        if decision.outcome == Outcome.WAITING:
            deciding.send_soon(decision)
    event.handled_at = timezone.now()
    event.save(update_fields=["handled_at"])


def _decision(event: BusinessEvent, policy: ProactivePolicy) -> ProactiveDecision:
    """Store what can be told at once; what else matters is looked at when it is due."""
    version = policy.version
    assert version is not None  # noqa: S101 (a constraint: it is active)
    unmet = proactive_conditions.unmet(version.conditions, event.data)
    ended = timezone.now() if unmet else None
    return ProactiveDecision.objects.create(
        event=event,
        policy=policy,
        version=version,
        customer_ref=event.customer_ref,
        outcome=Outcome.CONDITION if unmet else Outcome.WAITING,
        reason=unmet[:300],
        due_at=deciding.due_at(version, event),
        decided_at=ended,
    )


def sweep() -> None:
    """Take up what a crash left: events nobody looked at; from beat."""
    left = BusinessEvent.objects.filter(handled_at=None).order_by("pk")
    for event_pk in left.values_list("pk", flat=True)[:HANDLED_AT_ONCE]:
        _send(event_pk)
