"""REST: files that colleagues send to the customer, and that they are writing."""

from typing import Any, cast
from uuid import UUID

from django.contrib.auth.models import User
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from dialogues.desk import handing
from dialogues.models import Conversation
from dialogues.models.attachments import DESCRIPTION_LENGTH
from dialogues.senses import attaching
from dialogues.senses.api import AttachmentAnswer, AttachmentUpload


class StaffUpload(AttachmentUpload):
    description = serializers.CharField(
        default="",
        allow_blank=True,
        max_length=DESCRIPTION_LENGTH,
        help_text="What a picture shows, for those who don't see it",
    )


class StaffAttachmentsView(APIView):
    """Upload a file for the customer; an answer then names it. For who holds the conversation."""

    scope = "dialogues.reply"
    parser_classes = [MultiPartParser]

    @extend_schema(request={"multipart/form-data": StaffUpload}, responses={201: AttachmentAnswer})
    def post(self, request: Request, conversation: UUID) -> Response:
        row = _conversation(request, conversation)
        attachment = handing.upload(
            conversation=row,
            by=cast(User, request.user),  # the permission lets nobody else in
            file=request.FILES.get("file"),
            description=request.POST.get("description", ""),
        )
        return Response(AttachmentAnswer(attaching.as_json(attachment)).data, status=201)


class StaffTypingView(APIView):
    """Show the customer for six seconds that the person who holds the conversation writes."""

    scope = "dialogues.reply"

    @extend_schema(request=None, responses={204: None})
    def post(self, request: Request, conversation: UUID) -> Response:
        row = _conversation(request, conversation)
        handing.note_writing(conversation=row, by=cast(User, request.user))
        return Response(status=204)


def _conversation(request: Request, public_id: UUID) -> Conversation:
    visible: Any = Conversation.objects.visible_to(request.user)
    row: Conversation = get_object_or_404(visible, public_id=public_id)
    return row
