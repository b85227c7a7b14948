"""REST: what customers send besides text, in and out; what colleagues send them, out.

In with the session's token in `Authorization: Bearer`, out with `?token=` for the customer
and by login or API key for staff.
"""

from typing import Any
from uuid import UUID

from django.core.files.storage import default_storage
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import path
from django.utils.http import content_disposition_header
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.authentication import get_authorization_header
from rest_framework.exceptions import NotFound
from rest_framework.parsers import MultiPartParser
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from dialogues import services
from dialogues.models import Attachment, AttachmentKind, Conversation
from dialogues.senses import attaching
from wowconsole.apikeys import HasScope

KEPT_SECONDS = 3600  # by the browser; a file never changes


class AttachmentUpload(serializers.Serializer[Any]):
    file = serializers.FileField(
        help_text="JPEG, PNG, WebP, GIF; WAV, MP3, OGG, WebM; PDF, plain text in UTF-8"
    )


class AttachmentAnswer(serializers.Serializer[Any]):
    id = serializers.UUIDField(help_text="to be named in the message that carries it")
    kind = serializers.ChoiceField(choices=AttachmentKind.choices)
    name = serializers.CharField()
    description = serializers.CharField(help_text="alternative text of a colleague's picture")
    content_type = serializers.CharField()
    bytes = serializers.IntegerField()
    url = serializers.CharField()
    thumbnail = serializers.CharField(allow_null=True)


class AttachmentsView(APIView):
    """Upload a file, to be sent with a message: kind and type are told by its content."""

    authentication_classes: list[Any] = []
    permission_classes = [AllowAny]
    parser_classes = [MultiPartParser]

    @extend_schema(
        request={"multipart/form-data": AttachmentUpload}, responses={201: AttachmentAnswer}
    )
    def post(self, request: Request, session: UUID) -> Response:
        token = get_authorization_header(request).partition(b" ")[2].decode("latin-1").strip()
        conversation = _opened(session, token)
        file = request.FILES.get("file")
        content = attaching.content_of(file)
        attachment = attaching.upload(
            conversation=conversation, name=file.name or "", content=content
        )
        answer = AttachmentAnswer(attaching.as_json(attachment)).data
        return Response(answer, status=201)


def _opened(session: UUID, token: str) -> Conversation:
    conversation = Conversation.objects.filter(public_id=session).first()
    if conversation is None or not services.opens(conversation, token):
        raise NotFound("There is no such session, or its token is another.")
    return conversation


class AttachmentView(APIView):
    """The file itself: pictures and voice to be shown, others only to be saved."""

    permission_classes = [AllowAny]  # who may is seen below
    scope = "dialogues.read"
    field = "file"

    @extend_schema(
        parameters=[
            OpenApiParameter("token", OpenApiTypes.STR, description="of the session: customers")
        ],
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, session: UUID, public_id: UUID) -> HttpResponse:
        found = Attachment.objects.filter(conversation__public_id=session, public_id=public_id)
        if token := request.query_params.get("token", ""):
            _opened(session, token)
            found = found.shown_to_customer()
        elif HasScope().has_permission(request, self):
            found = found.visible_to(request.user)
        else:
            self.permission_denied(request)
        return _file(get_object_or_404(found), self.field)


class ThumbnailView(AttachmentView):
    """A small picture, JPEG, at most 320 pixels wide and high."""

    field = "thumbnail"


def _file(attachment: Attachment, field: str) -> HttpResponse:
    """Answer with bytes that no browser will run, whatever is in them."""
    stored = getattr(attachment, field)
    if not stored:
        raise NotFound
    try:
        with default_storage.open(stored.name) as file:
            content = file.read()
    except FileNotFoundError:
        raise NotFound("The file is not there any more.") from None
    kind = "image/jpeg" if field == "thumbnail" else attachment.content_type
    response = HttpResponse(content, content_type=kind)
    saved = attachment.kind == AttachmentKind.FILE
    response["Content-Disposition"] = content_disposition_header(saved, attachment.name) or ""
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    response["Cache-Control"] = f"private, max-age={KEPT_SECONDS}"
    return response


urlpatterns = [
    path("", AttachmentsView.as_view(), name="chat-attachments"),
    path("<uuid:public_id>/", AttachmentView.as_view(), name="chat-attachment"),
    path("<uuid:public_id>/thumbnail/", ThumbnailView.as_view(), name="chat-thumbnail"),
]
