"""A dry run: whom a policy would have reached, over the latest events of its type."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta

from dialogues.models import BusinessEvent, OptOut, Outcome, ProactivePolicy, ProactiveVersion
from dialogues.proactive.conditions import MissingField, fill, unmet
from dialogues.proactive.contact import Rules, rules_of, zone_of
from dialogues.proactive.deciding import is_held_out
from dialogues.proactive.ending import ends_of
from wowconsole.roles import AnyUser

EVENTS = 100  # looked at


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What would have become of one event. `text` is what would have been said."""

    event: BusinessEvent
    outcome: Outcome
    reason: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """The events, newest first, and how often each outcome comes."""

    rows: list[Rehearsed]

    @property
    def counts(self) -> list[tuple[str, int]]:
        found = Counter(row.outcome for row in self.rows)
        return [(outcome.label, found[outcome]) for outcome in Outcome if found[outcome]]

    @property
    def reached(self) -> int:
        return sum(row.outcome == Outcome.SENT for row in self.rows)


def rehearse(
    policy: ProactivePolicy | None,
    version: ProactiveVersion,
    *,
    visible_to: AnyUser,
    limit: int = EVENTS,
) -> Rehearsal:
    """Decide the latest events that a user may see anew by `version`, in the order they came.

    Nothing is stored or said. Which chats were open then is not known any more: that
    question is left out, and so are other policies, which count for the cap.
    """
    events = BusinessEvent.objects.visible_to(visible_to).filter(type=version.event_type)
    if version.scene_id:
        events = events.filter(scene=version.scene_id)
    latest = list(events.select_related("scene")[:limit])
    unwanted = _unwanted(latest)
    told: dict[tuple[int | None, str], list[datetime]] = defaultdict(list)
    scenes = {version.scene_id or event.scene_id for event in latest}
    rules = {scene: rules_of(scene) for scene in scenes}
    ends = ends_of(version, latest)
    rows = [
        _one(
            policy or ProactivePolicy(),
            version,
            event,
            unwanted,
            ends.get(event.pk, []),
            told[event.site_id, event.customer_ref],
            rules[version.scene_id or event.scene_id],
        )
        for event in reversed(latest)
    ]
    return Rehearsal(rows[::-1])


def _unwanted(events: list[BusinessEvent]) -> set[int]:
    """Return the keys of those whose customers want no news."""
    said: dict[str, set[int | None]] = defaultdict(set)
    rows = OptOut.objects.filter(customer_ref__in={event.customer_ref for event in events})
    for site_pk, ref in rows.values_list("site", "customer_ref"):
        said[ref].add(site_pk)
    return {
        event.pk
        for event in events
        if (sites := said[event.customer_ref])
        and (event.site_id is None or sites & {None, event.site_id})
    }


def _one(
    policy: ProactivePolicy,
    version: ProactiveVersion,
    event: BusinessEvent,
    unwanted: set[int],
    ends: list[BusinessEvent],
    told: list[datetime],
    rules: Rules,
) -> Rehearsed:
    at = event.occurred_at + timedelta(minutes=version.delay_minutes)
    if why := unmet(version.conditions, event.data):
        return Rehearsed(event, Outcome.CONDITION, why)
    try:
        text = fill(version.template, event.data)
    except MissingField as error:
        return Rehearsed(event, Outcome.CONDITION, str(error))
    if not version.holds_at(at):
        return Rehearsed(event, Outcome.NOT_VALID, "Outside its validity.")
    if event.pk in unwanted:
        return Rehearsed(event, Outcome.OPTED_OUT, "The customer wants no news.")
    waited = rules.silence_end(at) or rules.quiet_end(zone_of(event), at)
    if waited and waited > event.occurred_at + timedelta(minutes=version.stale_minutes):
        return Rehearsed(event, Outcome.STALE, "Quiet hours end too late for it.")
    if ends and ends[0].occurred_at <= (waited or at):
        return Rehearsed(event, Outcome.STALE, f"{ends[0].type} came for it.")
    return _counted(policy, version, event, told, rules, waited or at, text, late=bool(waited))


def _counted(
    policy: ProactivePolicy,
    version: ProactiveVersion,
    event: BusinessEvent,
    told: list[datetime],
    rules: Rules,
    at: datetime,
    text: str,
    *,
    late: bool,
) -> Rehearsed:
    if any(at - earlier < timedelta(hours=version.cooldown_hours) for earlier in told):
        return Rehearsed(event, Outcome.COOLDOWN, "Told of the like before.")
    days = timedelta(days=rules.days)
    if sum(at - earlier < days for earlier in told) >= rules.most:
        return Rehearsed(event, Outcome.CAPPED, "Told often enough.")
    told.append(at)
    if is_held_out(policy, version, event.customer_ref):
        return Rehearsed(event, Outcome.HELD_OUT, "In the held-out group.")
    return Rehearsed(event, Outcome.SENT, "After the quiet hours." if late else "", text)
