"""When and how often customers may be told unasked things; and who wants to hear nothing."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import F, Q

from dialogues.models import BusinessEvent, ContactRules, OptOut, Site
from dialogues.proactive.customers import meant_site
from wowconsole.errors import Invalid

USUAL_HOLDOUT = 10  # percent
LONGEST_REF = 120  # characters of a customer's id


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for the customers of a scene; of a row, or of the settings."""

    quiet_from: time
    quiet_until: time
    most: int
    days: int
    holdout_percent: int = USUAL_HOLDOUT
    silent_until: datetime | None = None

    def quiet_end(self, zone: ZoneInfo, now: datetime) -> datetime | None:
        """Return when the quiet hours end that `now` lies in, by a clock there; else None."""
        begin, end = self.quiet_from, self.quiet_until
        local = now.astimezone(zone)
        clock = local.time()
        over_night = begin > end
        is_quiet = (clock >= begin or clock < end) if over_night else begin <= clock < end
        if not is_quiet:
            return None
        day = local.date() + timedelta(days=1 if over_night and clock >= begin else 0)
        return datetime.combine(day, end, tzinfo=zone)

    def silence_end(self, now: datetime) -> datetime | None:
        """Return until when nobody at all is told anything; None: now they may be."""
        return self.silent_until if self.silent_until and self.silent_until > now else None


def usual_rules() -> Rules:
    """Return what holds where nobody has written rules."""
    return Rules(
        quiet_from=time(settings.QUIET_FROM_HOUR % 24),
        quiet_until=time(settings.QUIET_UNTIL_HOUR % 24),
        most=settings.PROACTIVE_MOST,
        days=settings.PROACTIVE_DAYS,
    )


def rules_of(scene_pk: int | None) -> Rules:
    """Return the rules of a scene, else of every other scene, else of the settings."""
    rows = ContactRules.objects.filter(Q(scene=scene_pk) | Q(scene=None))
    row = rows.order_by(F("scene").asc(nulls_last=True)).first()
    if row is None:
        return usual_rules()
    return Rules(
        row.quiet_from, row.quiet_until, row.most, row.days, row.holdout_percent, row.silent_until
    )


def zone_of(event: BusinessEvent | None) -> ZoneInfo:
    """Return whose clock says when a customer has quiet hours: theirs, where an event told it."""
    return ZoneInfo((event.time_zone if event else "") or settings.TIME_ZONE)


def opt_out(customer_ref: str, *, by: User, site: Site | None = None) -> OptOut:
    """Never speak first to a customer again, as they told a person; again changes nothing.

    Args:
        site: whose customer it is; None: of the one that is meant where none is named.

    Raises:
        Invalid: that is no customer's id.
        SiteNeeded: there are several sites.
    """
    ref = customer_ref.strip()
    if not 0 < len(ref) <= LONGEST_REF or not ref.isprintable():
        raise Invalid(f"A customer's id has 1 to {LONGEST_REF} printable characters.")
    row, _ = OptOut.objects.get_or_create(
        site=site or meant_site(), customer_ref=ref, defaults={"by": by}
    )
    return row
