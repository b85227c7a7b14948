"""Pictures, voice messages and files on their way into an answer.

Each message's are durable jobs (dialogues.senses.sensing). The turn about the message waits for
it a few seconds and then goes on; what comes later starts a turn of its own.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import transaction
from django.db.models import Max, Q, QuerySet
from django.utils import timezone

from agents import hearing, reading
from agents.actions import REPLY, DialogueAction
from agents.phrases import Phrase
from agents.subagents import REGISTRY
from dialogues.jobs.delegating import announce, send_soon
from dialogues.models import (
    FINISHED,
    Attachment,
    AttachmentKind,
    Conversation,
    Event,
    EventKind,
    Role,
    SubagentJob,
    SubagentState,
    Turn,
    TurnStatus,
)
from dialogues.senses.sensing import ASK_AGAIN, DOING, HEAR, LOOK, READ, advice_on

LOOK_SECONDS = 0.2  # between two looks at the jobs that are waited for
TOLD_EVERY = 10  # looks
SENSES = {AttachmentKind.IMAGE: LOOK, AttachmentKind.VOICE: HEAR, AttachmentKind.FILE: READ}
STILL_LOOKING = Phrase(
    "Thank you. I am looking at your picture; it takes a little longer.",
    zh="谢谢。我正在看您的图片，还需要一点时间。",
)
STILL_LISTENING = Phrase(
    "Thank you. I am listening to your message; it takes a little longer.",
    zh="谢谢。我正在听您的语音，还需要一点时间。",
)
STILL_READING = Phrase(
    "Thank you. I am reading your file; it takes a little longer.",
    zh="谢谢。我正在读您的文件，还需要一点时间。",
)
UNCLEAR = Phrase(
    "I can't make out your picture well enough. Please send a sharper or closer one, tell me in "
    "words what it shows, or ask for a person.",
    zh="您的图片我看不清楚。请发一张更清晰或更近的，或用文字说明，也可以要求人工服务。",
)
UNHEARD = Phrase(
    "I can't listen to voice messages here. Please write to me, or ask for a person.",
    zh="我在这里听不了语音。请用文字告诉我，或者要求人工服务。",
)
INAUDIBLE = Phrase(
    "I couldn't make out your recording. Please record it again where it is quiet, write to me, or "
    "ask for a person.",
    zh="您的语音我没听清。请在安静的地方重新录一段，或用文字告诉我，也可以要求人工服务。",
)
UNREAD = {
    "": Phrase(
        "I can't find any words in your file. Tell me what it is about, or ask for a person.",
        zh="您的文件里没有找到文字。请告诉我它是关于什么的，或者要求人工服务。",
    ),
    reading.LOCKED: Phrase(
        "Your file is locked with a password, so I can't read it. Please send one that opens "
        "without, tell me in words what it is about, or ask for a person.",
        zh="您的文件有密码，我打不开。请发一份没有密码的，或用文字说明，也可以要求人工服务。",
    ),
    reading.DAMAGED: Phrase(
        "Your file is damaged, so I can't read it. Please send it again or as a picture, or ask "
        "for a person.",
        zh="您的文件已损坏，我读不了。请重新发送或发成图片，也可以要求人工服务。",
    ),
    reading.TOO_HARD: Phrase(
        "Your file is too large for me to read. Please send a picture of what matters in it, or "
        "ask for a person.",
        zh="您的文件太大，我读不了。请把重要的部分拍成图片发来，也可以要求人工服务。",
    ),
}


def start(attachments: Sequence[Attachment], event: Event) -> None:
    """Have the pictures, recordings and files of a message looked into. In its transaction."""
    for kind, name in SENSES.items():
        ids = [str(one.public_id) for one in attachments if one.kind == kind]
        if ids and (name != HEAR or hearing.can_hear()):
            _start(name, ids, event)


def _start(name: str, ids: list[str], event: Event) -> None:
    subagent, now = REGISTRY[name], timezone.now()
    job = SubagentJob.objects.create(
        conversation=event.conversation,
        name=name,
        subagent=name,
        version=subagent.version,
        arguments={"attachments": ids},
        key=_key(name, event),
        most_attempts=subagent.most_attempts,
        created_at=now,
        due_at=now,
        deadline=now + timedelta(seconds=subagent.timeout_seconds),
    )
    announce(job)
    send_soon(job.pk)


def _key(name: str, event: Event) -> str:
    return f"{name}-{event.public_id}"


async def answer_for(
    turn: Turn, tell: Callable[[str, str], Awaitable[None]], waits: dict[str, float]
) -> DialogueAction | None:
    """Wait for what the turn's message carries; return what to say where no model can help.

    None where there are words to answer, written or heard, or good evidence. A turn of a
    conversation without files costs one query.

    Args:
        tell: shows the customer a state and what is being done.
        waits: is given the milliseconds that were waited, by sub-agent.
    """
    if not await turn.conversation.attachments.exclude(event=None).aexists():
        return None
    await _wait(turn, tell, waits)
    return await sync_to_async(_wordless)(turn)


async def _wait(
    turn: Turn, tell: Callable[[str, str], Awaitable[None]], waits: dict[str, float]
) -> None:
    """Wait, within LOOK_WAIT_SECONDS, for what the turn's message carries, and take it up."""
    jobs = await sync_to_async(_jobs_of)(turn)
    if not jobs:
        return
    unfinished = SubagentJob.objects.filter(pk__in=jobs).exclude(state__in=FINISHED)
    started, rounds = time.monotonic(), 0
    while doing := [name async for name in unfinished.values_list("name", flat=True)]:
        waited = time.monotonic() - started
        waits.update(dict.fromkeys(doing, round(waited * 1000, 1)))
        if waited >= settings.LOOK_WAIT_SECONDS:
            break
        if rounds % TOLD_EVERY == 0:  # in between, others tell the customer to have patience
            await tell("calling", DOING[doing[0]])
        rounds += 1
        await asyncio.sleep(LOOK_SECONDS)
    await sync_to_async(_take_up)(turn, jobs)


def _jobs_of(turn: Turn) -> list[int]:
    """Return the jobs about the messages that the turn answers."""
    keys = [_key(name, event) for event in _messages_of(turn) for name in SENSES.values()]
    return list(SubagentJob.objects.filter(key__in=keys).values_list("pk", flat=True))


def _messages_of(turn: Turn) -> QuerySet[Event]:
    """Return the customer's messages that the turn answers, or whose evidence it answers."""
    before = Turn.objects.before(turn).aggregate(seq=Max("asked_seq"))["seq"] or 0
    news = turn.conversation.events.filter(seq__gt=before, seq__lte=turn.asked_seq)
    brought = news.filter(kind=EventKind.JOB, data__name__in=SENSES.values())
    ids = [one for data in brought.values_list("data", flat=True) for one in _ids_in(data)]
    about = Q(seq__gt=before, seq__lte=turn.asked_seq) | Q(attachments__public_id__in=ids)
    messages = turn.conversation.events.filter(kind=EventKind.MESSAGE, role=Role.CUSTOMER)
    return messages.filter(about).distinct().order_by("seq")


def _ids_in(data: dict[str, Any]) -> list[str]:
    ids: list[str] = data.get("arguments", {}).get("attachments", [])
    return ids


@transaction.atomic
def _take_up(turn: Turn, jobs: list[int]) -> None:
    """Let the turn answer what its jobs brought too; else it would be answered once more."""
    Conversation.objects.select_for_update().get(pk=turn.conversation_id)
    ids = SubagentJob.objects.filter(pk__in=jobs, state__in=FINISHED)
    told = turn.conversation.events.filter(
        kind=EventKind.JOB,
        data__id__in=[str(public_id) for public_id in ids.values_list("public_id", flat=True)],
    )
    newest = told.aggregate(seq=Max("seq"))["seq"] or 0
    running = Turn.objects.filter(pk=turn.pk, status=TurnStatus.RUNNING, asked_seq__lt=newest)
    if running.update(asked_seq=newest):
        turn.asked_seq = newest


def _wordless(turn: Turn) -> DialogueAction | None:
    """Return what to say where the customer sent no words to reason about, else None."""
    messages = list(_messages_of(turn))
    if not messages or any(message.text for message in messages):
        return None
    attachments = Attachment.objects.filter(event__in=messages)
    words = _about(attachments, turn)
    if words is None:
        return None
    return DialogueAction(REPLY, turn.conversation.say(words), "No words to answer")


def _about(attachments: QuerySet[Attachment], turn: Turn) -> Phrase | None:
    kinds = {attachment.kind for attachment in attachments}
    evidence = [one.evidence for one in attachments if one.evidence is not None]
    if any(found.get("text") or found.get("item") for found in evidence):
        weak = ["signs" in found and advice_on(found) == ASK_AGAIN for found in evidence]
        return UNCLEAR if all(weak) else None
    if AttachmentKind.IMAGE in kinds:
        return STILL_LOOKING if _is_at_work(turn, LOOK) else UNCLEAR
    if AttachmentKind.FILE in kinds:
        problems = [found["problem"] for found in evidence if "problem" in found]
        return STILL_READING if _is_at_work(turn, READ) else UNREAD[max(problems, default="")]
    return _about_voice(turn) if AttachmentKind.VOICE in kinds else None


def _about_voice(turn: Turn) -> Phrase:
    if _is_at_work(turn, HEAR):
        return STILL_LISTENING
    return INAUDIBLE if hearing.can_hear() else UNHEARD


def _is_at_work(turn: Turn, name: str) -> bool:
    jobs = SubagentJob.objects.filter(pk__in=_jobs_of(turn), name=name)
    return jobs.exclude(state__in=[*FINISHED, SubagentState.CANCELLED]).exists()


def in_words(event: Event) -> str:
    """Return a message as the agent reads it.

    What it carried is named, but a customer's pictures and files beside words are not: their
    evidence is a line of its own, and rules are searched for by this one.
    """
    carried = event.data.get("attachments", [])
    told = [_named(one) for one in carried if not event.text or not _is_sensed(one, event)]
    return f"{event.text} ({', '.join(told)})".strip() if told else event.text


def _is_sensed(carried: dict[str, Any], event: Event) -> bool:
    return event.role == Role.CUSTOMER and carried["kind"] != AttachmentKind.VOICE


def _named(carried: dict[str, Any]) -> str:
    name = {"image": "picture", "voice": "recording", "file": "file"}[carried["kind"]]
    shows = carried.get("description")
    return f"{name} of {shows}" if shows else name


def heard(event: Event) -> str:
    """Return what was said in a voice message, if the event brings that: a customer's words."""
    if event.kind != EventKind.JOB or event.data.get("name") != HEAR:
        return ""
    return str(event.data.get("result", {}).get("said", ""))


def arguments_of(event: Event) -> dict[str, Any]:
    """Return the arguments of a call or job as the agent reads them: no keys of files."""
    arguments: dict[str, Any] = event.data["arguments"]
    return {} if is_evidence(event) else arguments


def is_evidence(event: Event) -> bool:
    """Say whether the event brings what a customer's picture or file says: no tool's words."""
    return event.kind == EventKind.JOB and event.data["name"] in (LOOK, READ)
