"""Who a customer is, proved by the site that embeds the chat.

A site signs with a key of its own: a JWT (RFC 7519; HS256 or RS256, `kid` names the key), or
an HMAC-SHA256 over "<expires>.<customer id>" for sites without a JWT library. Without a proof
a chat is anonymous, and tools give it no personal data.
"""

import hashlib
import hmac
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import jwt
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from agents.cleaning import storable
from agents.masking import masked
from dialogues import services
from dialogues.models import Algorithm, Conversation, OptOut, Site, SiteKey, SpentProof
from dialogues.proactive import policies, sending
from knowledge.models import Scene
from wowconsole import sealing
from wowconsole.errors import Invalid, Refused

logger = logging.getLogger(__name__)

LONGEST_PROOF = timedelta(hours=24)  # a proof that is good for longer is refused
LEEWAY = timedelta(seconds=60)  # between the site's clock and ours
USED_AT_PRECISION = timedelta(minutes=1)
LONGEST_REF = 120  # characters of a customer's id
LONGEST_TOKEN = 8192  # characters of a JWT
CLAIMS = ("segment", "region")  # of the audience


class NotIdentified(Refused):
    """A proof that proves nothing. Nothing was stored."""

    code = "identity_invalid"
    status = 403


class IdentityExpired(NotIdentified):
    code = "identity_expired"


class IdentityRequired(NotIdentified):
    code = "identity_required"


class OtherCustomer(Refused):
    code = "other_customer"


class OriginNotAllowed(Refused):
    code = "origin_not_allowed"
    status = 403


class SiteOff(Refused):
    code = "site_off"
    status = 403


class NoSuchSite(Invalid):
    code = "no_such_site"


@dataclass(frozen=True, slots=True)
class Customer:
    """Whom a site vouches for."""

    ref: str  # the site's own id
    site: Site
    name: str = ""
    audience: dict[str, str] = field(default_factory=dict)


class IdentitySpent(NotIdentified):
    code = "identity_spent"

    def __init__(self, customer: Customer) -> None:
        super().__init__("This proof was used before.")
        self.customer = customer  # whom it named


@transaction.atomic
def open_chat(
    *,
    site: str = "",
    origin: str = "",
    proof: Any = None,
    scene: Scene | None = None,
    customer: str = "",
    audience: Mapping[str, str] | None = None,
    token: str = "",
) -> tuple[Conversation, str]:
    """Start a conversation for a site's customer; return it with its secret.

    Args:
        site: its slug; may be empty where a proof names the key of one.
        origin: of the page that asks, unless it is ours; empty for programs.
        proof: {"jwt"} or {"key", "customer", "expires", "signature"}; None: anonymous.
        token: the secret; empty: a new one.

    Raises:
        NotIdentified, OriginNotAllowed, NoSuchSite, SiteOff: nothing was stored.
    """
    known = _site(site)
    who = None if proof is None else verify(proof)
    if who and known and who.site != known:
        raise NotIdentified("The proof is another site's.")
    known = known or (who.site if who else None)
    if known:
        _check_origin(known, origin)
        if known.identity_required and who is None:
            raise IdentityRequired("This site identifies its customers. Sign in there first.")
    if who and (waiting := sending.adopt(customer_ref=who.ref, site=who.site, token=token)):
        return waiting  # we spoke first, and they have come
    conversation, token = services.start_conversation(
        scene=scene or (known.scene if known else None),
        customer=who.name if who else customer,  # what they call themselves is no proof
        audience={**(audience or {}), **(who.audience if who else {})},
        token=token,
    )
    _keep(conversation, known, who)
    return conversation, token


@transaction.atomic
def waiting_chat(*, origin: str, proof: Any, token: str = "") -> tuple[Conversation, str] | None:
    """Return the chat that waits for a customer, with its secret; None leaves the proof unspent.

    Raises:
        NotIdentified, OriginNotAllowed: nothing was stored.
    """
    who = verify(proof)
    _check_origin(who.site, origin)
    waiting = sending.adopt(customer_ref=who.ref, site=who.site, token=token)
    if waiting is None:
        transaction.set_rollback(True)
    return waiting


def _site(slug: str) -> Site | None:
    if not slug:
        return None
    site = Site.objects.select_related("scene").filter(slug=slug).first()
    if site is None:
        raise NoSuchSite(f"There is no site “{slug}”.")
    if not site.is_active:
        raise SiteOff("The chat is switched off here at the moment.")
    return site


def _check_origin(site: Site, origin: str) -> None:
    if origin and origin not in site.origins:
        raise OriginNotAllowed(f"{origin} is not one of this site's origins.")


def _keep(conversation: Conversation, site: Site | None, who: Customer | None) -> None:
    conversation.site = site
    if who:
        conversation.customer_ref, conversation.identified_at = who.ref, timezone.now()
    conversation.save(update_fields=["site", "customer_ref", "identified_at"])


@transaction.atomic
def identify(*, conversation: Conversation, proof: Any) -> Customer:
    """Say in a chat that has begun who its customer is: somebody who signs in half way.

    A spent proof of whom the chat knows already changes nothing: its answer was lost on the way.

    Raises:
        NotIdentified: the proof proves nothing.
        OtherCustomer: the chat belongs to somebody else already.
    """
    try:
        who = verify(proof)
    except IdentitySpent as spent:
        if not _knows(conversation, spent.customer):
            raise
        return spent.customer
    row = Conversation.objects.select_for_update().get(pk=conversation.pk)
    if row.site_id not in (None, who.site.pk):
        raise NotIdentified("The proof is another site's.")
    if row.customer_ref and row.customer_ref != who.ref:
        raise OtherCustomer("This chat is another customer's. Start a new one.")
    proved = row.customer if row.identified_at else ""  # what they called themselves is no proof
    row.site, row.customer_ref, row.customer = who.site, who.ref, who.name or proved
    row.identified_at = row.identified_at or timezone.now()
    row.audience |= who.audience
    row.save(update_fields=["site", "customer_ref", "identified_at", "customer", "audience"])
    if OptOut.objects.filter(conversation=row).exists():
        policies.opt_out(row)  # what they said before anybody knew them holds in every chat
    return who


def _knows(conversation: Conversation, who: Customer) -> bool:
    same = Conversation.objects.filter(pk=conversation.pk, site=who.site, customer_ref=who.ref)
    return same.exists()


def verify(proof: Any) -> Customer:
    """Check a proof and return whom it names. A proof with a `jti` is good once.

    Raises:
        NotIdentified: of an unknown key, of a wrong signature, expired, spent, for too long.
    """
    if not isinstance(proof, dict):
        raise NotIdentified("Give the proof as an object: {jwt} or {key, customer, …}.")
    try:
        return _from_jwt(proof["jwt"]) if "jwt" in proof else _from_hmac(proof)
    except sealing.Unsealable:
        logger.error("SECRET_KEY was changed; the keys of sites can't be read")
        raise NotIdentified("The key can't be read; make a new one.") from None


def _key(key_id: Any, algorithms: list[str]) -> SiteKey:
    keys = SiteKey.objects.live().filter(site__is_active=True).select_related("site__scene")
    key = keys.filter(key_id=storable(str(key_id)[:64]), algorithm__in=algorithms).first()
    if key is None:
        raise NotIdentified("The key is unknown, or has ended.")
    return key


def _from_hmac(proof: dict[str, Any]) -> Customer:
    ref, expires = proof.get("customer"), proof.get("expires")
    if type(expires) is not int or not isinstance(ref, str):
        raise NotIdentified("customer is text, and expires a time in Unix seconds.")
    key = _key(proof.get("key"), [Algorithm.HS256])
    signed = f"{expires}.{ref}".encode("utf-8", "replace")
    expected = hmac.new(key.secret.encode(), signed, hashlib.sha256).hexdigest()
    given = str(proof.get("signature")).lower().encode("utf-8", "replace")
    if not hmac.compare_digest(expected.encode(), given):
        raise NotIdentified("The signature is wrong.")
    _check_time(expires)
    customer = Customer(_ref(ref), key.site)
    _note_use(key)
    return customer


def _from_jwt(token: Any) -> Customer:
    if not isinstance(token, str) or len(token) > LONGEST_TOKEN or not token.isascii():
        raise NotIdentified(f"A JWT is text of at most {LONGEST_TOKEN} ASCII characters.")
    try:
        key = _key(jwt.get_unverified_header(token).get("kid"), list(Algorithm.values))
        claims = jwt.decode(
            token,
            key.secret,
            algorithms=[key.algorithm],  # the key's, never what the token asks for
            leeway=LEEWAY,
            options={"require": ["exp", "sub"], "verify_aud": False},
        )
    except jwt.ExpiredSignatureError:
        raise IdentityExpired("The proof has expired.") from None
    except jwt.PyJWTError as wrong:
        raise NotIdentified(f"The JWT proves nothing: {wrong}.") from None
    _check_audience(claims, key.site)
    expires = _check_time(claims["exp"])
    told = {name: str(storable(str(claims.get(name) or ""))) for name in ("name", *CLAIMS)}
    name = masked(told.pop("name"))[:120]
    audience = {claim: text[:40] for claim, text in told.items() if text}
    customer = Customer(_ref(claims["sub"]), key.site, name, audience)
    _spend(key, claims.get("jti"), expires, customer)
    _note_use(key)
    return customer


def _note_use(key: SiteKey) -> None:
    """Keep when a key was good last; not a write per chat."""
    now = timezone.now()
    unused = Q(last_used_at=None) | Q(last_used_at__lt=now - USED_AT_PRECISION)
    if key.last_used_at is None or now - key.last_used_at > USED_AT_PRECISION:
        SiteKey.objects.filter(unused, pk=key.pk).update(last_used_at=now)


def _check_audience(claims: dict[str, Any], site: Site) -> None:
    aimed = claims.get("aud", site.slug)
    if site.slug not in (aimed if isinstance(aimed, list) else [aimed]):
        raise NotIdentified("The JWT is meant for somebody else (aud).")


def _check_time(expires: Any) -> datetime:
    """Return when the proof expires: neither past nor too far ahead."""
    now = timezone.now()
    try:
        at = datetime.fromtimestamp(expires, tz=now.tzinfo)
    except (OverflowError, ValueError, OSError, TypeError):
        raise NotIdentified("The time of expiry is no time.") from None
    if at < now - LEEWAY:
        raise IdentityExpired("The proof has expired.")
    if at > now + LONGEST_PROOF + LEEWAY:
        hours = LONGEST_PROOF // timedelta(hours=1)
        raise NotIdentified(f"A proof is good for at most {hours} hours.")
    return at


def _spend(key: SiteKey, jti: Any, expires: datetime, customer: Customer) -> None:
    """Refuse a token with a `jti` that was used before."""
    if jti is None:
        return
    digest = hashlib.sha256(str(jti).encode("utf-8", "replace")).hexdigest()
    try:
        with transaction.atomic():
            SpentProof.objects.create(key=key, jti_sha256=digest, expires_at=expires + LEEWAY)
    except IntegrityError:
        raise IdentitySpent(customer) from None


def _ref(value: Any) -> str:
    ref = str(value).strip()
    if not 0 < len(ref) <= LONGEST_REF or not ref.isprintable():
        raise NotIdentified(f"A customer's id has 1 to {LONGEST_REF} printable characters.")
    return ref


def forget_spent() -> None:
    """Delete what has expired; from beat."""
    SpentProof.objects.filter(expires_at__lt=timezone.now()).delete()
