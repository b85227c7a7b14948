"""Handing work to sub-agents: jobs are started, told of in the chat, woken and cancelled.

The work itself is done by a worker (dialogues.undertaking).
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import jsonschema
from asgiref.sync import sync_to_async
from django.db import transaction
from django.utils import timezone

from agents.models import Tool, ToolKind, live_release
from agents.phrases import Phrase
from agents.subagents import REGISTRY, SubAgent
from dialogues.appending import ConversationClosed, append
from dialogues.jobs.subagents import CALL
from dialogues.models import (
    FINISHED,
    CallPlan,
    Conversation,
    Event,
    EventKind,
    Role,
    SubagentJob,
    SubagentState,
    Turn,
)
from wowconsole.committing import send_after_commit
from wowconsole.errors import Invalid, Refused

MOST_AT_ONCE = 3  # unfinished jobs of one conversation
FAILURES_IN_A_ROW = 5  # then a sub-agent is left alone for a while
PAUSE = timedelta(minutes=2)
STARTED = Phrase(
    "I have started that. I will tell you here as soon as I know more.",
    zh="我已经开始处理，一有消息就在这里告诉您。",
)
UNDER_WAY = Phrase("That is under way: {progress}.", zh="这件事正在处理中。")
TOLD = (SubagentState.DONE, SubagentState.FAILED, SubagentState.EXPIRED)

Delegate = Callable[[str, dict[str, Any], str], Awaitable[dict[str, Any]]]


class UnknownSubagent(Refused):
    code = "unknown_subagent"
    status = 422


class TooManyJobs(Refused):
    code = "too_many_jobs"


class SubagentPaused(Refused):
    code = "subagent_paused"


class NotIdentified(Refused):
    code = "not_identified"


class NoSuchJob(Refused):
    code = "no_such_job"
    status = 404


class JobOver(Refused):
    code = "job_over"


@dataclass(frozen=True, slots=True)
class Offer:
    """What a name leads to: whose code, with which arguments."""

    subagent: SubAgent
    inputs: dict[str, Any]
    memory: dict[str, Any] = field(default_factory=dict)  # with which a job of it begins


def delegate_for(turn: Turn) -> Delegate:
    """Return what starts a sub-agent's job for `turn`, given name, arguments and key.

    It never raises: a refusal becomes {"error": sentence}, for the model to read. The answer
    is the same when the same key comes again, after a crash.
    """

    async def delegate(name: str, arguments: dict[str, Any], key: str) -> dict[str, Any]:
        try:
            job = await sync_to_async(start)(
                conversation=turn.conversation,
                name=name,
                arguments=arguments,
                key=key,
                turn=turn,
            )
        except Refused as refused:
            return {"error": str(refused)}
        return await sync_to_async(_handed_over)(job, key)

    return delegate


def _handed_over(job: SubagentJob, key: str) -> dict[str, Any]:
    if job.key == key:  # what it was when it was handed over, however far it is by now
        note = job.conversation.say(STARTED)
        return {"job": str(job.public_id), "state": SubagentState.QUEUED.value, "note": note}
    note = job.conversation.say(UNDER_WAY).format(progress=job.progress or "it waits for its turn")
    return {"job": str(job.public_id), "state": str(job.state), "note": note}


def offer_of(name: str) -> Offer:
    """Find what a name leads to: a plan of a call, or a sub-agent.

    Raises:
        UnknownSubagent: neither is there, or it is switched off.
    """
    if plan := CallPlan.objects.filter(name=name, is_active=True).first():
        kept = {"card": plan.card, "look_up": plan.look_up, "addresses": plan.addresses}
        return Offer(REGISTRY[CALL], plan.parameters, {"plan": kept})
    if name not in REGISTRY or not REGISTRY[name].is_tool:
        raise UnknownSubagent(f"There is no sub-agent {name}.")
    return Offer(REGISTRY[name], REGISTRY[name].inputs)


@transaction.atomic
def start(
    *,
    conversation: Conversation,
    name: str,
    arguments: dict[str, Any],
    key: str,
    turn: Turn | None = None,
) -> SubagentJob:
    """Store a job and have a worker do it. The same key again returns the same job.

    So does the same work while it is still under way in this conversation: a customer who
    asks "any news?" has nobody called twice.

    Raises:
        UnknownSubagent, Invalid, TooManyJobs, SubagentPaused, NotIdentified,
        ConversationClosed: not started.
    """
    offer = offer_of(name)
    _check_arguments(arguments, offer.inputs)
    conversation = Conversation.objects.select_for_update().get(pk=conversation.pk)
    if known := _known(conversation, name, arguments, key):
        return known
    _check_room(conversation, name)
    if turn is not None and not conversation.identified_at:
        _check_personal(offer)
    subagent = offer.subagent
    now = timezone.now()
    job = SubagentJob.objects.create(
        conversation=conversation,
        turn=turn,
        release=conversation.release or live_release(conversation.scene),
        name=name,
        subagent=subagent.name,
        version=subagent.version,
        arguments=arguments,
        memory=offer.memory,
        key=key,
        most_attempts=subagent.most_attempts,
        created_at=now,
        due_at=now,
        deadline=now + timedelta(seconds=subagent.timeout_seconds),
        cost=_price_of(name),
    )
    announce(job)
    send_soon(job.pk)
    return job


def _price_of(name: str) -> Decimal:
    """Return the dollars that a job costs whoever starts it, by the price of its tool."""
    prices = Tool.objects.filter(name=name, kind=ToolKind.SUBAGENT)
    return prices.values_list("cost_per_call", flat=True).first() or Decimal(0)


def _check_arguments(arguments: dict[str, Any], inputs: dict[str, Any]) -> None:
    try:
        jsonschema.validate(arguments, inputs)
    except jsonschema.ValidationError as error:
        raise Invalid(f"Wrong arguments: {error.message[:200]}") from None


def _check_personal(offer: Offer) -> None:
    """Refuse who has not proved who they are a call whose card holds personal data."""
    name = offer.memory.get("plan", {}).get("look_up")
    if name and Tool.objects.filter(name=name, personal=True).exists():
        raise NotIdentified("The customer is not identified.")


def _known(
    conversation: Conversation, name: str, arguments: dict[str, Any], key: str
) -> SubagentJob | None:
    if same_key := SubagentJob.objects.filter(key=key).first():
        return same_key
    return conversation.jobs.unfinished().filter(name=name, arguments=arguments).first()


def _check_room(conversation: Conversation, name: str) -> None:
    if conversation.closed_at:
        raise ConversationClosed("This conversation has ended.")
    if conversation.jobs.unfinished().count() >= MOST_AT_ONCE:
        raise TooManyJobs(f"{MOST_AT_ONCE} things are under way already. Wait for one of them.")
    ended = SubagentJob.objects.filter(name=name, state__in=FINISHED).order_by("-finished_at")
    recent = ended.values_list("state", "finished_at")[:FAILURES_IN_A_ROW]
    since = timezone.now() - PAUSE
    failed = [at for state, at in recent if state == SubagentState.FAILED and at and at > since]
    if len(failed) == FAILURES_IN_A_ROW:
        raise SubagentPaused(f"{name} does not work at the moment. Try again in a few minutes.")


def announce(job: SubagentJob) -> Event:
    """Add the job's state to the conversation's log, where the chat shows it.

    The caller holds the conversation's lock, so that states stand in order.
    """
    data: dict[str, Any] = {"id": str(job.public_id), "name": job.name, "state": str(job.state)}
    data |= {"detail": job.progress or job.get_state_display()}
    if job.state in TOLD:
        tell = REGISTRY[job.subagent].tell
        data |= {"arguments": job.arguments, "result": tell(job.result)}
    elif job.state == SubagentState.CANCELLED:
        data["arguments"] = job.arguments
    return append(
        conversation=job.conversation, kind=EventKind.JOB, role=Role.SYSTEM, turn=None, data=data
    )


def send_soon(job_pk: int) -> None:
    """Put the job's task on the queue after the commit; should that fail, the sweeper does."""
    send_after_commit("dialogues.tasks.do_job", job_pk)


@transaction.atomic
def wake(job_pk: int) -> None:
    """Have a waiting job looked at now: somebody outside has acted.

    A job that is being worked at is not disturbed; it looks again before it waits.
    """
    if SubagentJob.objects.unfinished().filter(pk=job_pk).update(due_at=timezone.now()):
        send_soon(job_pk)


@transaction.atomic
def cancel(*, conversation: Conversation, job: UUID | str, by: str = "the customer") -> SubagentJob:
    """End a job at once; its worker stops at its next step and hangs up.

    Args:
        job: its public id.
        by: whom the log names.

    Raises:
        NoSuchJob: not in this conversation.
        JobOver: it had ended before.
    """
    found = _job_of(conversation, job)
    Conversation.objects.select_for_update().get(pk=conversation.pk)
    found = SubagentJob.objects.select_for_update().get(pk=found.pk)
    if found.is_finished:
        raise JobOver(f"It has ended already: {found.get_state_display().lower()}.")
    _cancel(found, f"Cancelled by {by}")
    return found


def cancel_all(conversation: Conversation, *, why: str) -> None:
    """End what is still under way in a conversation. The caller holds its lock."""
    for job in conversation.jobs.unfinished().select_for_update():
        _cancel(job, why)


def _cancel(job: SubagentJob, why: str) -> None:
    job.state = SubagentState.CANCELLED
    job.progress = why[:300]
    job.owner = job.leased_until = None
    job.finished_at = timezone.now()
    job.save()
    announce(job)


def _job_of(conversation: Conversation, job: UUID | str) -> SubagentJob:
    try:
        return conversation.jobs.get(public_id=UUID(str(job)))
    except (ValueError, SubagentJob.DoesNotExist):
        raise NoSuchJob("There is no such job in this conversation.") from None
