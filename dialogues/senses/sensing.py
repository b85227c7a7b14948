"""The sub-agents that look at pictures, hear voice messages and read files, as the registry
knows them.

Each job is about all pictures, or all recordings, or all files, of one message. What comes of
it stands in the job's result and beside each attachment, for staff.
"""

import asyncio
from collections.abc import Callable

from asgiref.sync import sync_to_async
from django.core.files.storage import default_storage

from agents import hearing, reading, seeing
from agents.masking import masked
from agents.subagents import CostClass, Data, GaveUp, Outcome, SubAgent, Work, register
from dialogues.models import Attachment
from dialogues.senses import suspecting

LOOK, HEAR, READ = "look_at_image", "hear_voice", "read_file"
DOING = {
    LOOK: "Looking at your picture",
    HEAR: "Listening to your message",
    READ: "Reading your file",
}
TIMEOUT_SECONDS = 120
BUDGET_MS = 4_000  # of a turn that waits: Whisper takes about three seconds on two cores
LEAST_CONFIDENCE = 0.6  # below it, another picture or a person is asked for
TOLD_CHARACTERS = 400  # of the words of all pictures, or files, that the agent is told
TOLD_AT_END = 0.3  # of them from the end of a file: an invoice's total stands there
ASK_AGAIN = "Ask for a sharper or closer picture, or pass to a colleague."
CHECK = "Before anything is promised because of it, a colleague has to look at it."
PROBLEMS = {
    reading.LOCKED: "It is locked with a password. Ask for one that opens without.",
    reading.DAMAGED: "It is damaged. Ask for the file again, or for a picture of it.",
    reading.TOO_HARD: "It is too large or involved to be read. Ask for a picture of what matters.",
}
NO_WORDS = "No words were found in it. Ask what it is about."
UNKNOWN_ITEM = "What it shows is unknown: nothing here can tell. Ask the customer."


async def look(work: Work) -> Outcome:
    """Make evidence of each picture, one after the other."""
    return await _each(work, LOOK, _look)


async def hear(work: Work) -> Outcome:
    """Make text of each recording."""
    return await _each(work, HEAR, _hear)


async def read(work: Work) -> Outcome:
    """Make text of the first pages of each file."""
    return await _each(work, READ, _read)


async def _each(work: Work, name: str, sense: Callable[[bytes, Attachment], Data]) -> Outcome:
    found: list[Data] = []
    wanted = work.arguments["attachments"]
    for number, public_id in enumerate(wanted, start=1):
        count = f" ({number} of {len(wanted)})" if len(wanted) > 1 else ""
        await work.keep(memory={}, progress=DOING[name] + count)
        attachment = await sync_to_async(_attachment)(public_id)
        sensed: Data | None = attachment.evidence  # of a worker that died afterwards
        if sensed is None:
            content = await sync_to_async(_content_of)(attachment)
            # In a thread of its own: the lease is kept meanwhile.
            sensed = await asyncio.to_thread(sense, content, attachment)
            sensed["text"] = masked(sensed["text"])
            await sync_to_async(_keep)(attachment, sensed)
        found.append({"name": attachment.name} | sensed)
    return Outcome({"found": found})


def _attachment(public_id: str) -> Attachment:
    attachment = Attachment.objects.filter(public_id=public_id).first()
    if attachment is None:
        raise GaveUp("The file is not there any more.")
    return attachment


def _content_of(attachment: Attachment) -> bytes:
    try:
        with default_storage.open(str(attachment.file)) as file:
            content: bytes = file.read()
    except FileNotFoundError:
        raise GaveUp("The file is not there any more.") from None
    return content


def _look(content: bytes, attachment: Attachment) -> Data:
    return seeing.look(content, attachment.content_type).as_dict()


def _hear(content: bytes, attachment: Attachment) -> Data:
    try:
        return hearing.hear(content, str(attachment.file)).as_dict()
    except hearing.HearingUnavailable as error:
        raise GaveUp(str(error)) from None


def _read(content: bytes, attachment: Attachment) -> Data:
    read = reading.read(content, attachment.content_type).as_dict()
    attachment.traits = read.pop("traits") | {"hidden": read.pop("hidden")}
    return read


def _keep(attachment: Attachment, sensed: Data) -> None:
    if "signs" in sensed:
        sensed |= {"signs": [*suspecting.signs_of(attachment), *sensed["signs"]]}
    attachment.evidence = sensed
    attachment.save(update_fields=["evidence", "traits"])


def advice_on(found: Data) -> str:
    """Return what the agent should do about weak evidence, "" where it is good.

    Signs of tampering are for staff: customers read what the agent is told.
    """
    if problem := PROBLEMS.get("" if found["text"] else found.get("problem", "")):
        return problem
    if "pages" in found and not found["text"]:
        return NO_WORDS
    if found["confidence"] < LEAST_CONFIDENCE:
        return ASK_AGAIN
    if found["signs"]:
        return CHECK
    return UNKNOWN_ITEM if not found.get("item") and not found["text"] else ""


def tell_seen(result: Data) -> Data:
    """Return the result as the agent reads it: short, and marked as the picture's words."""
    if "error" in result:
        return result
    most = TOLD_CHARACTERS // len(result["found"])
    return {"pictures": [_told(found, most) for found in result["found"]]}


def _told(found: Data, most: int) -> Data:
    told = {
        "words_in_picture": found["text"][:most],
        "item": found["item"],
        "damage": found["damage"],
        "confidence": found["confidence"],
    }
    advice = advice_on(found)
    return told | ({"advice": advice} if advice else {})


def tell_read(result: Data) -> Data:
    """Return the result as the agent reads it: short, and marked as the file's words."""
    if "error" in result:
        return result
    most = TOLD_CHARACTERS // len(result["found"])
    return {"files": [_told_of_file(found, most) for found in result["found"]]}


def _told_of_file(found: Data, most: int) -> Data:
    told: Data = {"words_in_file": _ends(found["text"], most)}
    if found["pages_read"] < found["pages"]:
        told |= {"pages": found["pages"], "pages_read": found["pages_read"]}
    advice = advice_on(found)
    return told | ({"advice": advice} if advice else {})


def _ends(text: str, most: int) -> str:
    """Shorten a text to its beginning and its end, at spaces; `most` in characters."""
    lines = "\n".join(" ".join(line.split()) for line in text.splitlines() if line.strip())
    if len(lines) <= most:
        return lines
    tail = int(most * TOLD_AT_END)
    head = lines[: most - tail].rsplit(maxsplit=1)[0]
    return f"{head} … {lines[-tail:].split(maxsplit=1)[-1]}"


def tell_heard(result: Data) -> Data:
    if "error" in result:
        return result
    return {"said": " ".join(found["text"] for found in result["found"]).strip()}


_INPUTS: Data = {
    "type": "object",
    "properties": {"attachments": {"type": "array", "items": {"type": "string"}, "minItems": 1}},
    "required": ["attachments"],
    "additionalProperties": False,
}


def _outputs(properties: Data) -> Data:
    found = {
        "type": "object",
        "properties": {"name": {"type": "string"}} | properties,
        "required": ["name", *properties],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"found": {"type": "array", "items": found, "minItems": 1}},
        "required": ["found"],
        "additionalProperties": False,
    }


register(
    SubAgent(
        name=LOOK,
        version=1,
        description="look at the pictures of a message",
        inputs=_INPUTS,
        outputs=_outputs(seeing.PROPERTIES | {"by": {"type": "string"}}),
        timeout_seconds=TIMEOUT_SECONDS,
        budget_ms=BUDGET_MS,
        cost_class=CostClass.LOW,
        run=look,
        is_tool=False,
        tell=tell_seen,
    )
)
register(
    SubAgent(
        name=HEAR,
        version=1,
        description="hear the voice messages of a message",
        inputs=_INPUTS,
        outputs=_outputs(
            {
                "text": {"type": "string"},
                "confidence": {"type": ["number", "null"]},
                "by": {"type": "string"},
            }
        ),
        timeout_seconds=TIMEOUT_SECONDS,
        budget_ms=BUDGET_MS,
        cost_class=CostClass.LOW,
        run=hear,
        is_tool=False,
        tell=tell_heard,
    )
)
register(
    SubAgent(
        name=READ,
        version=1,
        description="read the files of a message",
        inputs=_INPUTS,
        outputs=_outputs(
            {
                "text": {"type": "string"},
                "confidence": {"type": "number", "minimum": 0, "maximum": 1},
                "signs": {"type": "array", "items": {"type": "string"}},
                "by": {"type": "string"},
                "pages": {"type": "integer", "minimum": 0},
                "pages_read": {"type": "integer", "minimum": 0},
                "problem": {"enum": ["", *PROBLEMS]},
            }
        ),
        timeout_seconds=TIMEOUT_SECONDS,
        budget_ms=BUDGET_MS,
        cost_class=CostClass.LOW,
        run=read,
        is_tool=False,
        tell=tell_read,
    )
)
