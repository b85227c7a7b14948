"""Trying a plan of calls on somebody simulated: the calling agent as it is, no customer, no line.

The transcript is kept as it grows; a worker that dies leaves the call to the next one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any
from uuid import UUID

from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth.models import User
from django.db import transaction

from agents import engines
from agents.cleaning import storable
from agents.models import Release, live_release
from agents.subagents import GaveUp, Outcome, Said, cards, outbound
from agents.subagents.callees import SCHEME, Temper
from dialogues.models import CallPlan, CallTrial
from knowledge import jobs
from knowledge.models import UNFINISHED, Job
from wowconsole.errors import Invalid

TASK = "dialogues.tasks.try_call"
LARGEST_SEED = 999


@transaction.atomic
def try_plan(
    plan: CallPlan,
    *,
    by: User,
    temper: str,
    seed: int = 0,
    values: Mapping[str, Any],
    model_words: bool = False,
) -> CallTrial:
    """Have a worker lead a call by the plan with somebody simulated.

    Args:
        values: of the card's blanks; nothing is looked up.

    Returns the same trial while the same person's waits or runs.

    Raises:
        Invalid: no such temper, or the card as it is filled can't lead a call.
    """
    if temper not in set(Temper) or not 0 <= seed <= LARGEST_SEED:
        known = ", ".join(Temper)
        raise Invalid(f"Tempers are {known}; seeds go from 0 to {LARGEST_SEED}.")
    card = _card(plan, f"{SCHEME}:{temper}?seed={seed}", values)
    same = plan.trials.filter(temper=temper, seed=seed, card=card, model_words=model_words)
    if under_way := same.filter(job__state__in=UNFINISHED, job__by=by).first():
        return under_way
    title = f"{plan} tried on {temper.replace('_', ' ')}"
    job = jobs.start(task=TASK, title=title, by=by)
    return CallTrial.objects.create(
        plan=plan, job=job, card=card, temper=temper, seed=seed, model_words=model_words
    )


def _card(plan: CallPlan, address: str, values: Mapping[str, Any]) -> dict[str, Any]:
    card = cards.fill(plan.card, values)
    whom = card.get("whom")
    filled = {**card, "whom": {**(whom if isinstance(whom, dict) else {}), "address": address}}
    try:
        cards.read_card(filled)
    except GaveUp as error:
        raise Invalid(str(error)) from None
    return filled


@dataclass(slots=True)
class TrialWork:
    """A trial as the calling agent sees it (agents.subagents.Work): one attempt, no customer."""

    row: CallTrial
    task: Job
    lines: list[Said]
    release: Release | None
    attempt: int = 1
    most_attempts: int = 1
    customer: str = ""

    @property
    def job(self) -> UUID:
        return self.row.public_id

    @property
    def key(self) -> str:
        return f"trial-{self.row.public_id}"

    @property
    def arguments(self) -> dict[str, Any]:
        return dict(self.row.card)

    @property
    def memory(self) -> dict[str, Any]:
        return dict(self.row.memory)

    async def money_left(self) -> Decimal | None:
        """A trial is no conversation's: no cap holds it back."""
        return None

    async def keep(
        self,
        *,
        memory: dict[str, Any],
        lines: Sequence[Said] = (),
        progress: str | None = None,
        tokens: tuple[int, int] = (0, 0),
        paid: Decimal = Decimal(0),
        heard: int | None = None,
    ) -> None:
        """Store where the call stands; what it costs is no conversation's, so it is not added up.

        Raises:
            knowledge.jobs.Cancelled, LostLease: stop here.
        """
        await sync_to_async(self._keep)(memory, lines, progress)

    def _keep(self, memory: dict[str, Any], lines: Sequence[Said], progress: str | None) -> None:
        first = len(self.lines) + 1
        added = [replace(line, number=number) for number, line in enumerate(lines, start=first)]
        self.lines.extend(added)
        self.row.memory = storable(memory)
        self.row.lines = [*self.row.lines, *(_plain(line) for line in added)]
        note = progress or self.task.note
        with jobs.step(self.task, done=len(self.lines), note=note):
            self.row.save(update_fields=["memory", "lines"])


def _plain(line: Said) -> dict[str, Any]:
    return dict(
        storable(
            {
                "number": line.number,
                "speaker": str(line.speaker),
                "text": line.text,
                "data": line.data,
            }
        )
    )


def run(job: Job) -> None:
    """Lead the call of a job to its end, or go on with it."""
    trial = CallTrial.objects.select_related("plan").get(job=job)
    if not trial.result:
        work = TrialWork(
            row=trial,
            task=job,
            lines=[Said(**line) for line in trial.lines],
            release=live_release(None) if trial.model_words else None,
        )
        outcome = async_to_sync(_call)(work)
        trial.result, trial.report = storable(outcome.result), storable(outcome.report)
        trial.save(update_fields=["result", "report"])
    jobs.advance(job, done=len(trial.lines), total=len(trial.lines), note="The call is over")


async def _call(work: TrialWork) -> Outcome:
    try:
        return await outbound.call(work)
    finally:
        await engines.close()
