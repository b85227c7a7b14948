"""Calls over text: the link that a callee opens, and what they type behind it.

The link is signed, not stored, and good for one call: whoever answers first has it, and it
is dead when the call ends or its job does.
"""

import hashlib
import secrets
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import salted_hmac

from agents.cleaning import storable
from agents.subagents import Said
from dialogues.jobs.delegating import wake
from dialogues.jobs.leasing import add_lines
from dialogues.models import CallLink, Speaker, SubagentJob
from wowconsole.errors import Invalid, Refused, TooMany

LONGEST_LINE = 500  # characters
LINES_A_MINUTE = 20
LONGEST_CLIENT_ID = 64  # characters
SIGNATURE = 32  # hexadecimal signs of it in a link: 128 bits


class NotYourCall(Refused):
    code = "answered_elsewhere"
    status = 403


class CallEnded(Refused):
    code = "call_ended"


def token_of(job: SubagentJob) -> str:
    """Return what makes the link of a job's call: its id, signed."""
    return f"{job.public_id.hex}{_signature(job.public_id)}"


def _signature(job_id: UUID) -> str:
    return salted_hmac("call link", job_id.hex, algorithm="sha256").hexdigest()[:SIGNATURE]


def address_of(job: SubagentJob) -> str:
    """Return the whole address that the callee is given."""
    return settings.PUBLIC_URL + reverse("dialogues:call", args=[token_of(job)])


def link_of(token: str) -> CallLink | None:
    """Return the call that a link leads to; None for a link that we never gave."""
    try:
        job_id = UUID(token[:SIGNATURE])
    except ValueError:
        return None
    if not secrets.compare_digest(token[SIGNATURE:].encode(), _signature(job_id).encode()):
        return None
    return CallLink.objects.select_related("job").filter(job__public_id=job_id).first()


@transaction.atomic
def answer(link: CallLink) -> str:
    """Take the call; return the secret that the callee's browser keeps.

    Raises:
        NotYourCall: somebody took it before.
        CallEnded: it is too late.
    """
    link = _open(link)
    if link.answered_at:
        raise NotYourCall("This call has been answered on another device.")
    secret = secrets.token_urlsafe(24)
    link.callee_sha256 = _digest(secret)
    link.answered_at = timezone.now()
    link.save(update_fields=["callee_sha256", "answered_at"])
    wake(link.job_id)
    return secret


def is_callee(link: CallLink, secret: str) -> bool:
    """Say whether this browser answered the call."""
    return bool(link.callee_sha256) and secrets.compare_digest(link.callee_sha256, _digest(secret))


@transaction.atomic
def type_line(link: CallLink, *, secret: str, text: str, client_id: str) -> None:
    """Store what the callee typed; the same client_id again changes nothing.

    Raises:
        NotYourCall, CallEnded, Invalid, TooMany: it is not taken.
    """
    text, client_id = _checked(link, secret, text), client_id[:LONGEST_CLIENT_ID]
    link = _open(link)
    if link.job.lines.filter(client_id=client_id).exists():
        return
    since = timezone.now() - timedelta(minutes=1)
    if link.job.lines.filter(speaker=Speaker.CALLEE, at__gt=since).count() >= LINES_A_MINUTE:
        raise TooMany("That was very quick. Wait a minute before you write again.")
    add_lines(link.job, [Said(Speaker.CALLEE, text)], client_id=client_id)
    wake(link.job_id)


def _checked(link: CallLink, secret: str, text: str) -> str:
    if not is_callee(link, secret):
        raise NotYourCall("Answer the call first.")
    text = str(storable(text)).strip()
    if not 0 < len(text) <= LONGEST_LINE:
        raise Invalid(f"Write 1 to {LONGEST_LINE} characters.")
    return text


@transaction.atomic
def end(link: CallLink, *, by: Speaker) -> None:
    """End the call; an ended one stays as it ended."""
    job = SubagentJob.objects.select_for_update().get(pk=link.job_id)
    ended = CallLink.objects.filter(pk=link.pk, ended_at=None)
    if not ended.update(ended_at=timezone.now(), ended_by=by):
        return
    if by == Speaker.CALLEE:
        wake(job.pk)


def _open(link: CallLink) -> CallLink:
    """Lock the call, its job first.

    Raises:
        CallEnded: it has, or its job has.
    """
    job = SubagentJob.objects.select_for_update().get(pk=link.job_id)
    link = CallLink.objects.get(pk=link.pk)
    link.job = job
    if link.ended_at or job.is_finished:
        raise CallEnded("This call has ended.")
    return link


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
