"""`manage.py bench subagent`: the hop to a sub-agent and back, and how well calls are led.

The hop runs through the workers that are there. Calls go to simulated callees of every
temper; the live release's model words them where the engine answers.
"""

import time
from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.db.models import Q
from django.utils import timezone

from agents.models import live_release
from agents.subagents.callees import Temper
from dialogues import services
from dialogues.jobs import delegating, undertaking
from dialogues.models import CallPlan, Control, Conversation, SubagentJob, SubagentState
from wowconsole.benchmark_scale import spread

Figures = dict[str, Any]

HOP = "read_queue"
PLAN = "bench-"  # how the names of its call plans begin
TARGET_MS = 150.0  # p95 of the hop
HOP_SECONDS, CALL_SECONDS = 30.0, 300.0  # at most; then no worker serves the queue
LOOK_SECONDS = 0.005
CALLS_A_TEMPER = 2
CARD = {
    "whom": {"name": "Bangkok Corner"},
    "why": "order GW1001 is late",
    "facts": [
        {
            "name": "ready_in",
            "question": "In how many minutes will the order be ready?",
            "kind": "duration",
        },
        {"name": "complete", "question": "Is everything on it available?", "kind": "yes_no"},
        {"name": "reason", "question": "What is the reason for the delay?", "kind": "text"},
    ],
    "offers": [{"name": "wait", "words": "If it helps, the courier can come later."}],
}


def subagent(count: int) -> Figures:
    """Hops from delegation to the result in the log, and calls to callees of every temper."""
    CallPlan.objects.filter(name__startswith=PLAN).delete()  # of one that was broken off
    conversation = _conversation()
    try:
        _hop(conversation)  # opens connections on both sides
        hops = [_hop(conversation) for _ in range(count)]
        alone = [_alone(conversation) for _ in range(count)]
        tempers = {str(temper): _temper(conversation, temper) for temper in Temper}
    finally:
        services.close(conversation=conversation)
    hop, in_process = spread(hops), spread(alone)
    release = live_release()
    return {
        "count": count,
        "hop": hop,
        "hop_without_queue": in_process,
        "hop_to_without_queue": round(hop["p50_ms"] / in_process["p50_ms"], 2),
        "target_p95_ms": TARGET_MS,
        "target_met": hop["p95_ms"] < TARGET_MS,
        "worded_by": release.name if release else None,
        "tempers": tempers,
    }


def _conversation() -> Conversation:
    """Open a conversation that a person holds: results are told, and no model is asked."""
    conversation, _ = services.start_conversation(scene=None, customer="Benchmark")
    Conversation.objects.filter(pk=conversation.pk).update(control=Control.HUMAN)
    return conversation


def _hop(conversation: Conversation) -> float:
    """Return the milliseconds from delegation until a worker's result stands in the log."""
    started = time.perf_counter()
    job = _start(conversation, HOP)
    _await_end(job, HOP_SECONDS)
    return (time.perf_counter() - started) * 1000


def _alone(conversation: Conversation) -> float:
    """Do the same job in this process: the same rows and events, no queue and no worker."""
    started = time.perf_counter()
    now = timezone.now()
    job = SubagentJob.objects.create(
        conversation=conversation,
        name=HOP,
        subagent=HOP,
        key=f"bench-{uuid4()}",
        created_at=now,
        due_at=now,
        deadline=now + timedelta(minutes=1),
    )
    delegating.announce(job)
    undertaking.do_job(job.pk)
    _await_end(job, HOP_SECONDS)
    return (time.perf_counter() - started) * 1000


def _start(conversation: Conversation, name: str) -> SubagentJob:
    key = f"bench-{uuid4()}"
    return delegating.start(conversation=conversation, name=name, arguments={}, key=key)


def _await_end(job: SubagentJob, seconds: float) -> None:
    """Wait until the job has ended, or is to be tried again much later.

    A job and its last event are stored in one transaction: who sees one sees the other.
    """
    this = SubagentJob.objects.filter(pk=job.pk)
    later = Q(state=SubagentState.QUEUED, attempts__gt=0)
    until = time.monotonic() + seconds
    while not this.filter(Q(finished_at__isnull=False) | later).exists():
        if time.monotonic() > until:
            raise RuntimeError("No worker of the queue jobs did the job: is the console running?")
        time.sleep(LOOK_SECONDS)
    job.refresh_from_db()


def _temper(conversation: Conversation, temper: Temper) -> Figures:
    """Make calls to one temper; return outcomes, scores and how many lines the model worded."""
    jobs = [_call(conversation, temper, seed) for seed in range(CALLS_A_TEMPER)]
    lines = [line for job in jobs for line in job.lines.filter(speaker="agent")]
    scores = [job.result["score"] for job in jobs if "score" in job.result]
    return {
        "outcomes": sorted({job.result.get("outcome", "tried again later") for job in jobs}),
        "score_mean": round(sum(scores) / len(scores), 1) if scores else None,
        "score_least": min(scores, default=None),
        "lines": len(lines),
        "worded_by_model": sum(line.data.get("by") == "model" for line in lines),
    }


def _call(conversation: Conversation, temper: Temper, seed: int) -> SubagentJob:
    addresses = {"*": f"simulated:{temper}?seed={seed}"}
    plan = CallPlan.objects.create(
        name=f"{PLAN}{uuid4().hex[:12]}", description="Benchmark", card=CARD, addresses=addresses
    )
    try:
        job = _start(conversation, plan.name)
        _await_end(job, CALL_SECONDS)
    finally:
        plan.delete()
    if not job.is_finished:
        delegating.cancel(conversation=conversation, job=job.public_id, by="the benchmark")
    return job
