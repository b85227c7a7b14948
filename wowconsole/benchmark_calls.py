"""`manage.py bench calls`: whole calls by speech, over SIP and RTP on loopback.

Simulated callees of every temper answer a telephone of this process: they hear the agent's
voice, understand what the recogniser does, and speak. Each call is a job, done here from goal
card to score. What is reported of the voice is measured at the callee's end.
"""

import asyncio
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.utils import timezone

from agents.models import live_release
from agents.subagents import sip
from agents.subagents.callees import SimulatedCallee, Temper, make_sheet
from agents.subagents.cards import Card, read_card
from agents.subagents.outbound import CALL
from dialogues import services
from dialogues.jobs import delegating, undertaking
from dialogues.models import Control, Conversation, SubagentJob
from wowconsole.benchmark_scale import spread
from wowconsole.benchmark_subagent import CARD

Figures = dict[str, Any]

CALLS = 7  # unless told otherwise: one a temper
JOB_MINUTES = 10
QUIET = {"SIP_BIND": "127.0.0.1", "SIP_TRUNK": "", "QUIET_FROM_HOUR": 0, "QUIET_UNTIL_HOUR": 0}


def calls(count: int) -> Figures:
    """Make so many calls, to callees of one temper after another.

    Raises:
        RuntimeError: this installation can't speak, hear or telephone.
    """
    with telephone() as phone:
        done = [_call(phone, list(Temper)[number % len(Temper)], number) for number in range(count)]
        taken = phone.calls
    gaps = [gap * 1000 for call in taken for gap in call.gaps]
    release = live_release()
    return {
        "count": count,
        "from_their_last_word_to_our_first": spread(gaps) if gaps else None,
        "word_error_rate": _word_errors(
            [(call.said, _heard(job)) for call, job in zip(taken, done, strict=True)]
        ),
        "our_words_as_understood_word_error_rate": _word_errors(
            [(_said(job), call.heard) for call, job in zip(taken, done, strict=True)]
        ),
        "worded_by": release.name if release else None,
        "voice": "engine" if settings.SPEECH_VOICE else "espeak-ng",
        "recogniser": settings.SPEECH_MODEL if settings.SPEECH_URL else "whisper-base",
        "calls": [_figures(job) for job in done],
    }


def _figures(job: SubagentJob) -> Figures:
    seconds = (job.finished_at - job.created_at).total_seconds() if job.finished_at else 0.0
    lines = job.lines.filter(speaker="agent")
    return {
        "temper": job.memory["card"]["whom"]["address"].partition(":")[2].partition("-")[0],
        "outcome": job.result.get("outcome", job.error),
        "score": job.result.get("score"),
        "seconds": round(seconds, 1),
        "lines": lines.count(),
        "interrupted": job.lines.filter(text__startswith="Interrupted").count(),
    }


class Telephone:
    """The callees' telephone, on an event loop of its own thread."""

    def __init__(self, card: Card) -> None:
        from agents.subagents.phones import Phone

        def callee_for(user: str) -> SimulatedCallee:
            temper, _, seed = user.partition("-")
            return SimulatedCallee(Temper(temper), int(seed), make_sheet(card.facts, int(seed)))

        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.phone = Phone(callee_for)
        self._do(self.phone.start())

    def _do(self, coroutine: Any) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)

    def stop(self) -> None:
        self._do(self.phone.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)

    @property
    def calls(self) -> "list[Any]":
        return self.phone.calls


@contextmanager
def telephone() -> Iterator[Telephone]:
    """Let this process, and it alone, telephone with callees on this machine.

    Raises:
        RuntimeError: it can't.
    """
    before = {name: getattr(settings, name) for name in (*QUIET, "SIP_ALLOW", "SIP_RING_SECONDS")}
    for name, value in QUIET.items():
        setattr(settings, name, value)
    phone = Telephone(read_card(CARD))
    settings.SIP_ALLOW, settings.SIP_RING_SECONDS = [f"@127.0.0.1:{phone.phone.port}"], 5
    try:
        if lacking := sip.missing():
            raise RuntimeError(f"No calls by telephone here. It lacks: {' '.join(lacking)}")
        yield phone
    finally:
        phone.stop()
        for name, value in before.items():
            setattr(settings, name, value)


def _call(phone: Telephone, temper: Temper, seed: int) -> SubagentJob:
    """Do one call's job in this process; it is not tried again."""
    conversation, _ = services.start_conversation(scene=None, customer="Benchmark")
    Conversation.objects.filter(pk=conversation.pk).update(control=Control.HUMAN)
    address = f"sip:{temper}-{seed}@127.0.0.1:{phone.phone.port}"
    now = timezone.now()
    job = SubagentJob.objects.create(
        conversation=conversation,
        name=CALL,
        subagent=CALL,
        key=f"bench-{uuid4()}",
        memory={"card": {**CARD, "whom": {"name": "Bangkok Corner", "address": address}}},
        most_attempts=1,
        created_at=now,
        due_at=now,
        deadline=now + timedelta(minutes=JOB_MINUTES),
    )
    delegating.announce(job)
    undertaking.do_job(job.pk)
    job.refresh_from_db()
    services.close(conversation=conversation)
    return job


def _heard(job: SubagentJob) -> list[str]:
    return list(job.lines.filter(speaker="callee").values_list("text", flat=True))


def _said(job: SubagentJob) -> list[str]:
    return list(job.lines.filter(speaker="agent").values_list("text", flat=True))


def _word_errors(pairs: Sequence[tuple[list[str], list[str]]]) -> float | None:
    """Return wrong, missing and added words by words said, over all calls."""
    said = [(_words(" ".join(one)), _words(" ".join(other))) for one, other in pairs]
    total = sum(len(words) for words, _ in said)
    return round(sum(_distance(*pair) for pair in said) / total, 3) if total else None


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9']+|[\u4e00-\u9fff]", text.lower())


def _distance(said: list[str], heard: list[str]) -> int:
    """Return how many words must be changed, added or left out (Levenshtein)."""
    row = list(range(len(heard) + 1))
    for number, word in enumerate(said, start=1):
        above, row[0] = row[:], number
        for at, other in enumerate(heard, start=1):
            row[at] = min(above[at] + 1, row[at - 1] + 1, above[at - 1] + (word != other))
    return row[-1]
