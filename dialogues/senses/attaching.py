"""Taking in what customers and staff send besides text, and clearing away what is not needed
any more.
"""

import hashlib
import uuid
from collections.abc import Sequence
from datetime import timedelta
from pathlib import PurePath
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from agents.cleaning import storable
from agents.masking import masked
from dialogues.appending import ConversationClosed
from dialogues.models import (
    Attachment,
    AttachmentKind,
    Conversation,
    DeadFile,
    Event,
    Role,
)
from dialogues.models.attachments import DESCRIPTION_LENGTH
from dialogues.senses import looking, picturing, sniffing
from wowconsole.errors import Invalid, Refused, TooMany

UPLOADS_A_MINUTE = 10
UPLOADS_A_CONVERSATION = 50
MOST_IN_A_MESSAGE = 5
LONGEST_NAME = 120  # characters
FORGOTTEN_AFTER = timedelta(days=1)
DEAD_AFTER = timedelta(minutes=10)  # a file that is still being written is younger
SWEPT_AT_ONCE = 500


class UnknownKind(Refused):
    code = "unsupported_file"
    status = 415


class TooLarge(Refused):
    code = "file_too_large"
    status = 413


def largest(kind: str) -> int:
    """Return how many bytes a file of this kind may have."""
    megabytes = {
        AttachmentKind.IMAGE: settings.IMAGE_MEGABYTES,
        AttachmentKind.VOICE: settings.VOICE_MEGABYTES,
        AttachmentKind.FILE: settings.FILE_MEGABYTES,
    }
    return int(megabytes[AttachmentKind(kind)] * 1_000_000)


def largest_of_all() -> int:
    return max(largest(kind) for kind in AttachmentKind.values)


def content_of(file: "UploadedFile[Any] | None") -> bytes:
    """Read what a form or a program sent, unless it is larger than anything that is taken.

    Raises:
        Invalid, TooLarge: there is no file, nothing in it, or too much.
    """
    if file is None:
        raise Invalid("Send the file in the field “file”.")
    if (file.size or 0) > largest_of_all():
        raise TooLarge(f"This is larger than {largest_of_all() // 1_000_000} MB.")
    content: bytes = file.read()
    if not content:
        raise Invalid("This file is empty.")
    return content


def upload(
    *,
    conversation: Conversation,
    name: str,
    content: bytes,
    by: User | None = None,
    description: str = "",
) -> Attachment:
    """Keep a file; it is not part of the talk until a message names it.

    Args:
        by: the colleague who sends it; None: the customer.
        description: what a colleague's picture shows, for those who don't see it.

    Raises:
        UnknownKind, TooLarge, Invalid: by its content it is nothing that is taken.
        TooMany, ConversationClosed: it can't be taken now.
    """
    _check_count(conversation, by)
    sort = sniffing.sort_of(content)
    if sort is None:
        raise UnknownKind(
            "Send a picture (JPEG, PNG, WebP, GIF), a voice message (WAV, MP3, M4A, OGG, WebM), "
            "a PDF or plain text."
        )
    sha256 = hashlib.sha256(content).hexdigest()
    if sort is sniffing.TEXT:
        content = sniffing.in_utf8(content)
    if len(content) > largest(sort.kind):
        raise TooLarge(f"This is larger than {largest(sort.kind) // 1_000_000} MB.")
    fields: dict[str, Any] = {
        "conversation": conversation,
        "by": by,
        "kind": sort.kind,
        "name": _shown_name(name, sort),
        "sha256": sha256,
    }
    if sort.kind == AttachmentKind.IMAGE:
        return _keep_picture(content, fields | {"description": _described(description)})
    fields |= {"content_type": sort.content_type, "size": len(content)}
    return _store(fields, {"file": (sort.suffix, content)})


def _described(text: str) -> str:
    return masked(" ".join(str(storable(text)).split()))[:DESCRIPTION_LENGTH]


def _keep_picture(content: bytes, fields: dict[str, Any]) -> Attachment:
    try:
        picture = picturing.clean(content, megapixels=settings.IMAGE_MEGAPIXELS)
    except picturing.Unreadable as error:
        raise Invalid(str(error)) from None
    fields |= {
        "content_type": picture.content_type,
        "size": len(picture.content),
        "width": picture.width,
        "height": picture.height,
        "look": picture.look,
        "traits": storable(picture.traits),
    }
    files = {"file": (picture.suffix, picture.content), "thumbnail": (".jpg", picture.thumbnail)}
    return _store(fields, files)


def _store(fields: dict[str, Any], files: dict[str, tuple[str, bytes]]) -> Attachment:
    """Write the files, then the row. What a crash leaves in between, the sweep deletes."""
    names = {field: _drawn_name(suffix) for field, (suffix, _) in files.items()}
    DeadFile.objects.bulk_create(DeadFile(name=name) for name in names.values())
    for field, (_, content) in files.items():
        default_storage.save(names[field], ContentFile(content))
    with transaction.atomic():
        Conversation.objects.select_for_update().get(pk=fields["conversation"].pk)
        _check_count(fields["conversation"], fields["by"])
        attachment = Attachment.objects.create(**fields, **names)
        DeadFile.objects.filter(name__in=names.values()).delete()
    return attachment


def _drawn_name(suffix: str) -> str:
    """Return where a file is stored: nothing of what its sender called it."""
    drawn = uuid.uuid4().hex
    return f"{drawn[:2]}/{drawn}{suffix}"


def _shown_name(name: str, sort: sniffing.Sort) -> str:
    """Return the sender's name for it without folders, marks that can't be seen and card numbers.

    It ends as the content does: text that is called `bill.hta` would run where it is opened.
    """
    last = PurePath(str(storable(name)).replace("\\", "/")).name
    seen = "".join(mark for mark in last if mark.isprintable())
    shown = masked(seen).strip(" .") or str(sort.kind)
    if PurePath(shown).suffix.lower() not in (sort.suffix, *sort.other_suffixes):
        shown += sort.suffix
    return shown[-LONGEST_NAME:]


def _check_count(conversation: Conversation, by: User | None) -> None:
    """Customers and colleagues have allowances of their own."""
    if Conversation.objects.filter(pk=conversation.pk, closed_at__isnull=False).exists():
        raise ConversationClosed("This conversation has ended. Start a new one.")
    sent = Attachment.objects.filter(conversation=conversation, by__isnull=by is None)
    if sent.count() >= UPLOADS_A_CONVERSATION:
        raise TooMany(f"A conversation takes {UPLOADS_A_CONVERSATION} files.")
    if sent.filter(created_at__gt=timezone.now() - timedelta(minutes=1)).count() >= (
        UPLOADS_A_MINUTE
    ):
        raise TooMany("That was very quick. Wait a minute before you send another file.")


def take(
    conversation: Conversation, ids: Sequence[UUID], by: User | None = None
) -> list[Attachment]:
    """Lock and return what a message is to carry, in its order.

    Raises:
        Invalid: too many, or one that is not of this conversation and sender, or was sent before.
    """
    if len(set(ids)) != len(ids) or len(ids) > MOST_IN_A_MESSAGE:
        raise Invalid(f"A message carries at most {MOST_IN_A_MESSAGE} files, each once.")
    waiting = conversation.attachments.filter(event=None, by=by, public_id__in=ids)
    found = {attachment.public_id: attachment for attachment in waiting.select_for_update()}
    if len(found) != len(ids):
        raise Invalid("A file is not here any more, or was sent already. Upload it again.")
    return [found[public_id] for public_id in ids]


def send(attachments: Sequence[Attachment], event: Event) -> None:
    """Make them part of the message, and have a customer's looked into."""
    for attachment in attachments:
        attachment.event = event
        attachment.save(update_fields=["event"])
    if event.role == Role.CUSTOMER:
        looking.start(attachments, event)


def carried(attachments: Sequence[Attachment]) -> dict[str, Any]:
    """Return the part of a message's data that tells what it carries."""
    shown = [as_json(attachment) for attachment in attachments]
    return {"attachments": shown} if shown else {}


def as_json(attachment: Attachment) -> dict[str, Any]:
    """Return it as message events and the API show it. Addresses are without the token."""
    return {
        "id": str(attachment.public_id),
        "kind": attachment.kind,
        "name": attachment.name,
        "description": attachment.description,
        "content_type": attachment.content_type,
        "bytes": attachment.size,
        "url": _url("chat-attachment", attachment),
        "thumbnail": _url("chat-thumbnail", attachment) if attachment.thumbnail else None,
    }


def _url(view: str, attachment: Attachment) -> str:
    return reverse(view, args=[attachment.conversation.public_id, attachment.public_id])


def sweep() -> None:
    """Delete what was never sent within a day, and files that no row holds; from beat."""
    Attachment.objects.forgotten(after=FORGOTTEN_AFTER).delete()
    dead = DeadFile.objects.filter(at__lt=timezone.now() - DEAD_AFTER)
    for file in dead[:SWEPT_AT_ONCE]:
        default_storage.delete(file.name)  # one that is gone already is no error
        file.delete()
