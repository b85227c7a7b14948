"""Who may be telephoned now, and who never again. Asked of the database as the call is noted.

What an installation may dial at all is settled before (agents.telephone.numbers).
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.utils import timezone

from agents.cleaning import storable
from agents.masking import masked
from agents.telephone import numbers
from agents.telephone.numbers import Forbidden, Target
from dialogues.models import Dial, DoNotCall, SubagentJob
from dialogues.models.telephone import LONGEST_ADDRESS
from dialogues.proactive import contact
from wowconsole.errors import Invalid

HOUR = timedelta(hours=1)
MOST_WORDS = 300  # characters of what they said


class JobRegister:
    """The register of one job's calls (agents.subagents.sip.Register)."""

    def __init__(self, job_id: UUID) -> None:
        self.job_id = job_id

    async def note_call(self, target: Target) -> None:
        await sync_to_async(note_call)(self.job_id, target)

    async def never_again(self, target: Target, words: str) -> None:
        await sync_to_async(never_again)(self.job_id, target, words)


@transaction.atomic
def note_call(job_id: UUID, target: Target) -> Dial:
    """Note that a job calls somebody now. Calls to one number wait for each other here.

    Raises:
        Forbidden: it is quiet, they were called too often, or asked never to be called.
    """
    job = SubagentJob.objects.select_related("conversation").get(public_id=job_id)
    now = timezone.localtime()
    _check_time(job.conversation.scene_id, now)
    address = numbers.key_of(target.uri)
    _wait_for_others(address)
    if DoNotCall.objects.filter(address=address).exists():
        raise Forbidden("They asked never to be called again.")
    if (
        Dial.objects.filter(address=address, at__gt=now - HOUR).count()
        >= settings.SIP_CALLS_AN_HOUR
    ):
        raise Forbidden("They have been called often enough for now.")
    return Dial.objects.create(job=job, address=address)


def _wait_for_others(address: str) -> None:
    """Let nobody else note a call to a number, or list it, before this transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [address])


def _check_time(scene_pk: int | None, now: datetime) -> None:
    """Keep to the hours of the installation, and to the contact rules of the scene.

    Callees' clocks are unknown: the installation's counts.
    """
    numbers.check_hour(now)
    rules = contact.rules_of(scene_pk)
    if until := rules.silence_end(now):
        until = timezone.localtime(until)
        raise Forbidden(f"The contact rules let nobody be disturbed until {until:%Y-%m-%d %H:%M}.")
    if end := rules.quiet_end(timezone.get_default_timezone(), now):
        raise Forbidden(f"The contact rules want quiet until {end:%H:%M}.")


@transaction.atomic
def never_again(job_id: UUID, target: Target, words: str) -> None:
    """Put whom a job has called on the list, as they want in these words; again changes nothing."""
    job = SubagentJob.objects.get(public_id=job_id)
    words = masked(str(storable(words)))[:MOST_WORDS]
    _list(numbers.key_of(target.uri), job=job, words=words)


@transaction.atomic
def add(address: str, *, by: User) -> DoNotCall:
    """Put a number or SIP address on the list, as somebody told a person; again changes nothing.

    Raises:
        Invalid: it is neither.
    """
    key = numbers.key_of(address)
    if not 0 < len(key) <= LONGEST_ADDRESS:
        raise Invalid("Write a number with its country, such as +44 20 1234 5678, or name@host.")
    return _list(key, by=by)


def _list(address: str, **told: Any) -> DoNotCall:
    _wait_for_others(address)
    row, _ = DoNotCall.objects.get_or_create(address=address, defaults=told)
    return row
