"""The lines of calls that need our tables: text, and telephones, whose register is kept here.

A call over text is rows that the callee's page writes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from asgiref.sync import sync_to_async
from django.utils import timezone

from agents.subagents import Said, Work, sip
from agents.subagents.cards import Card
from agents.subagents.transports import FACTORIES, LINK, TextTransport
from agents.telephone.numbers import SCHEMES
from dialogues.jobs.permitting import JobRegister
from dialogues.models import CallLink, Speaker, SubagentJob, SubagentLine


@dataclass(slots=True)
class StoredCall:
    """A call over text as the calling agent sees it (agents.subagents.transports.Mailbox)."""

    job_id: UUID

    async def dial(self) -> tuple[str, float]:
        """Return the state of the call, which begins with the first look, and its age in s."""
        link = await sync_to_async(self._dial)()
        is_declined = link.state == "ended" and not link.answered_at
        state = "declined" if is_declined else link.state
        return state, (timezone.now() - link.dialled_at).total_seconds()

    def _dial(self) -> CallLink:
        job = SubagentJob.objects.get(public_id=self.job_id)
        return CallLink.objects.get_or_create(job=job)[0]

    async def typed(self, after: int) -> Sequence[Said]:
        rows = SubagentLine.objects.filter(
            job__public_id=self.job_id, speaker=Speaker.CALLEE, number__gt=after
        )
        return [Said(row.speaker, row.text, row.data, row.number) async for row in rows]

    async def quiet_seconds(self) -> float:
        lines = SubagentLine.objects.filter(job__public_id=self.job_id)
        newest = await lines.order_by("-number").afirst()
        return (timezone.now() - newest.at).total_seconds() if newest else 0.0

    async def end(self) -> None:
        link = CallLink.objects.filter(job__public_id=self.job_id, ended_at=None)
        await link.aupdate(ended_at=timezone.now(), ended_by=Speaker.AGENT)


def _line_to(work: Work, card: Card) -> TextTransport:
    return TextTransport(work, StoredCall(work.job))


def _telephone_to(work: Work, card: Card) -> sip.SipTransport:
    return sip.line_to(work, card, JobRegister(work.job))


FACTORIES[LINK] = _line_to
for scheme in SCHEMES:
    FACTORIES[scheme] = _telephone_to
