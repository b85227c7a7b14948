"""The sub-agents that look at pictures and hear voice messages, as the registry knows them.

Each job is about all pictures, or all recordings, of one message. What comes of it stands in
the job's result and beside each attachment, for staff.
"""

import asyncio
from collections.abc import Callable

from asgiref.sync import sync_to_async
from django.core.files.storage import default_storage
from pgvector.django import HammingDistance

from agents import hearing, seeing
from agents.subagents import CostClass, Data, GaveUp, Outcome, SubAgent, Work, register
from dialogues.models import Attachment

LOOK, HEAR = "look_at_image", "hear_voice"
TIMEOUT_SECONDS = 120
LEAST_CONFIDENCE = 0.6  # below it, another picture or a person is asked for
TOLD_CHARACTERS = 400  # of all pictures' words that the agent is told
NEAR_BITS = 20  # of 256 in which the looks of one picture differ after a new encoding
LEAST_MARKED, MOST_MARKED = 90, 166  # bits set in looks of photos; a page of text has fewer
EDITORS = ("photoshop", "gimp", "snapseed", "picsart", "canva", "meitu", "facetune", "pixelmator")
ASK_AGAIN = "Ask for a sharper or closer picture, or pass to a colleague."
CHECK = "Before anything is promised because of this picture, a colleague has to look at it."
UNKNOWN_ITEM = "What it shows is unknown: nothing here can tell. Ask the customer."


async def look(work: Work) -> Outcome:
    """Make evidence of each picture, one after the other."""
    return await _each(work, _look, "Looking at your picture")


async def hear(work: Work) -> Outcome:
    """Make text of each recording."""
    return await _each(work, _hear, "Listening to your message")


async def _each(work: Work, sense: Callable[[bytes, Attachment], Data], progress: str) -> Outcome:
    found: list[Data] = []
    wanted = work.arguments["attachments"]
    for number, public_id in enumerate(wanted, start=1):
        count = f" ({number} of {len(wanted)})" if len(wanted) > 1 else ""
        await work.keep(memory={}, progress=progress + count)
        attachment = await sync_to_async(_attachment)(public_id)
        sensed: Data | None = attachment.evidence  # of a worker that died afterwards
        if sensed is None:
            content = await sync_to_async(_content_of)(attachment)
            # In a thread of its own: the lease is kept meanwhile.
            sensed = await asyncio.to_thread(sense, content, attachment)
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


def _keep(attachment: Attachment, sensed: Data) -> None:
    if "signs" in sensed:
        sensed |= {"signs": [*signs_of(attachment), *sensed["signs"]]}
    attachment.evidence = sensed
    attachment.save(update_fields=["evidence"])


def signs_of(attachment: Attachment) -> list[str]:
    """Return why a picture may have been tampered with: hints for people, no proof."""
    traits, signs = attachment.traits, []
    software = str(traits.get("software", ""))
    if any(editor in software.lower() for editor in EDITORS):
        signs.append(f"It was saved by {software}.")
    if "edited_at" in traits:
        signs.append(f"It was changed after it was taken ({traits['edited_at']}).")
    if patch := traits.get("patch"):
        x, y, width, height = patch
        signs.append(
            f"A region of {width} × {height} pixels at {x}, {y} was saved less often than the rest."
        )
    if talks := sent_elsewhere(attachment):
        signs.append(f"The same picture was sent in {talks} other conversation(s).")
    return signs


def sent_elsewhere(attachment: Attachment) -> int:
    """Count the conversations of others, or of nobody known, with this very picture.

    The same bytes, or pixels that look alike; pages of text all look alike and are compared
    by their bytes alone.
    """
    same = Attachment.objects.filter(sha256=attachment.sha256)
    look = str(attachment.look or "")
    if LEAST_MARKED <= look.count("1") <= MOST_MARKED:
        pictures = Attachment.objects.exclude(look=None)
        near = pictures.annotate(bits=HammingDistance("look", look)).filter(bits__lte=NEAR_BITS)
        same = same | Attachment.objects.filter(pk__in=near.values("pk"))
    same = same.exclude(conversation=attachment.conversation_id)
    if owner := attachment.conversation.customer_ref:
        same = same.exclude(conversation__customer_ref=owner)
    return same.values("conversation").distinct().count()


def advice_on(found: Data) -> str:
    """Return what the agent should do about weak evidence, "" where it is good.

    Signs of tampering are for staff: customers read what the agent is told.
    """
    if found["confidence"] < LEAST_CONFIDENCE:
        return ASK_AGAIN
    if found["signs"]:
        return CHECK
    return UNKNOWN_ITEM if found["item"] is None and not found["text"] else ""


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
        cost_class=CostClass.LOW,
        run=hear,
        is_tool=False,
        tell=tell_heard,
    )
)
