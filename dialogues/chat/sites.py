"""What people do with the sites that embed the chat, and with the keys of those."""

from dataclasses import dataclass
from html import escape
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone

from dialogues import arranging
from dialogues.chat import site_keys
from dialogues.models import (
    Algorithm,
    Arranged,
    BusinessEvent,
    Conversation,
    OptOut,
    Site,
    SiteKey,
    WidgetLanguage,
)
from dialogues.models.sites import USUAL_COLOR
from dialogues.proactive.sending import LEFT_AFTER
from wowconsole.errors import Invalid, Refused

ENOUGH = 10_000  # so many chats or events are counted; more are not told apart
MOST_LIVE_KEYS = 4  # of one site: what is not used any more should be ended


class SiteInUse(Refused):
    code = "site_in_use"


class TooManyKeys(Refused):
    code = "too_many_keys"


@dataclass(frozen=True, slots=True)
class Consequences:
    """What hangs on a site: what is lost or stops when it goes. Counts end at ENOUGH."""

    chats: int
    open_chats: int  # that were not left: of the last day
    events: int
    opt_outs: int
    live_keys: int

    @property
    def may_be_removed(self) -> bool:
        return not self.chats and not self.events and not self.opt_outs


def consequences_of(site: Site) -> Consequences:
    chats = Conversation.objects.filter(site=site)
    alive = chats.filter(closed_at=None, updated_at__gt=timezone.now() - LEFT_AFTER)
    return Consequences(
        chats=_some(chats),
        open_chats=_some(alive),
        events=_some(BusinessEvent.objects.filter(site=site)),
        opt_outs=_some(OptOut.objects.filter(site=site)),
        live_keys=SiteKey.objects.live().filter(site=site).count(),
    )


def _some(rows: QuerySet[Any]) -> int:
    """Count rows, but not beyond what says enough."""
    return rows.order_by()[:ENOUGH].count()


@transaction.atomic
def remove_site(site: Site, *, by: User) -> None:
    """Delete a site that nothing refers to, with its keys.

    Raises:
        SiteInUse: chats, events or opt-outs are of it; it can be switched off.
    """
    site = Site.objects.select_for_update().get(pk=site.pk)
    hanging = consequences_of(site)
    if not hanging.may_be_removed:
        raise SiteInUse(
            "Chats, events or opt-outs are of this site, and say whose they are. Switch it off."
        )
    arranging.remove(site, by=by)


@transaction.atomic
def add_key(
    site: Site, *, by: User, algorithm: str = Algorithm.HS256, public_key: str = ""
) -> tuple[SiteKey, str]:
    """Make a key; return it with its secret, which is never shown again. RS256 has none.

    Raises:
        Invalid, ValidationError: a public key is for RS256, which needs one.
        TooManyKeys: end one first.
    """
    if bool(public_key) != (algorithm == Algorithm.RS256):
        raise Invalid("A public key is for RS256, which needs one.")
    if public_key:
        site_keys.check_public_key(public_key)
    Site.objects.select_for_update().get(pk=site.pk)
    if SiteKey.objects.live().filter(site=site).count() >= MOST_LIVE_KEYS:
        raise TooManyKeys(f"{MOST_LIVE_KEYS} keys are enough. End one that is not used any more.")
    key = SiteKey(site=site, algorithm=algorithm, public_key=public_key)
    secret = site_keys.fill_key(key)
    key.full_clean()
    key.save()
    _note(site, key, "made", by)
    return key, secret


@transaction.atomic
def end_key(key: SiteKey, *, by: User) -> SiteKey:
    """Let a key prove nothing any more, from now on; ending it again changes nothing."""
    Site.objects.select_for_update().get(pk=key.site_id)
    if SiteKey.objects.live().filter(pk=key.pk).update(expires_at=timezone.now()):
        _note(key.site, key, "ended", by)
    key.refresh_from_db()
    return key


def _note(site: Site, key: SiteKey, what: str, by: User) -> None:
    data = {"key": key.key_id, "algorithm": key.algorithm, "what": what}
    note = f"{key.key_id} {what}"
    arranging.write(Arranged.SITE_KEYS, site.slug, data, by=by, note=note)


def look_of(site: Site) -> dict[str, str]:
    """Return the attributes of the snippet that differ from what the widget does by itself."""
    wanted = {
        "color": site.color if site.color != USUAL_COLOR else "",
        "position": site.position if site.position == "left" else "",
        "lang": site.language if site.language != WidgetLanguage.AUTO else "",
        "title": site.title,
        "greeting": site.greeting,
    }
    return {name: value for name, value in wanted.items() if value}


def snippet_of(site: Site) -> str:
    """Return the line of HTML that a site's pages hold."""
    address = settings.PUBLIC_URL + reverse("dialogues:widget")
    said = {"site": site.slug, **look_of(site)}
    attributes = "".join(f' data-{name}="{escape(value)}"' for name, value in said.items())
    return f'<script src="{escape(address)}"{attributes} async></script>'
