"""REST: who waits for a person, and what people do with a conversation."""

from typing import Any, ClassVar, cast
from uuid import UUID

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from dialogues.chat import surveying
from dialogues.desk import annotating, control, drafting, queueing
from dialogues.desk.presenting import canned
from dialogues.models import (
    LONGEST_SUMMARY,
    CannedReply,
    Conversation,
    Handover,
    Note,
)


class HandoverSerializer(serializers.ModelSerializer[Handover]):
    """`place` in the scene's queue counts from 1, null with a person; `due_at` in open hours."""

    conversation = serializers.UUIDField(source="conversation.public_id", read_only=True)
    scene = serializers.SlugRelatedField[Any](
        source="conversation.scene", slug_field="slug", read_only=True
    )
    control = serializers.CharField(source="conversation.control", read_only=True)
    holder = serializers.SlugRelatedField[Any](slug_field="username", read_only=True)
    place = serializers.SerializerMethodField()
    overdue = serializers.BooleanField(source="is_overdue", read_only=True)

    class Meta:
        model = Handover
        fields = [
            "conversation",
            "scene",
            "control",
            "holder",
            "place",
            "asked_at",
            "due_at",
            "answered_at",
            "overdue",
        ]

    @extend_schema_field(OpenApiTypes.INT)
    def get_place(self, handover: Handover) -> int | None:
        places: dict[int, int] = self.context["places"]
        return places.get(handover.pk)


class NoteSerializer(serializers.ModelSerializer[Note]):
    id = serializers.UUIDField(source="public_id", read_only=True)
    author = serializers.SlugRelatedField[Any](slug_field="username", read_only=True)

    class Meta:
        model = Note
        fields = ["id", "author", "text", "at"]


class CannedReplySerializer(serializers.ModelSerializer[CannedReply]):
    class Meta:
        model = CannedReply
        fields = ["shortcut", "text"]


class TakeSerializer(serializers.Serializer[Any]):
    force = serializers.BooleanField(default=False, help_text="From the colleague who holds it")


class AssignSerializer(serializers.Serializer[Any]):
    to = serializers.CharField(help_text="Username")


class StaffTextSerializer(serializers.Serializer[Any]):
    text = serializers.CharField()


class DraftUsedSerializer(serializers.Serializer[Any]):
    draft = serializers.UUIDField(
        default=None, allow_null=True, help_text="Id of the draft of one's own that it began with"
    )


class StaffReplySerializer(DraftUsedSerializer):
    text = serializers.CharField(default="", allow_blank=True)
    attachments = serializers.ListField(
        child=serializers.UUIDField(),
        default=list,
        help_text="Ids of files uploaded before; only from who holds the conversation",
    )


class HandBackSerializer(DraftUsedSerializer):
    summary = serializers.CharField(
        default="",
        allow_blank=True,
        max_length=LONGEST_SUMMARY,
        help_text="What the person did; shown to the agent only",
    )
    seen = serializers.IntegerField(
        default=None,
        allow_null=True,
        min_value=0,
        help_text="seq of the last event the person was shown: a summary deals with what the "
        "customer wrote until then, the agent answers what came after. Without it, with all.",
    )


class LongestWait(CursorPagination):
    ordering = ("asked_at", "pk")
    page_size = 50


class DeskViewSet(mixins.ListModelMixin, GenericViewSet[Any]):
    """Conversations that wait for a person or are with one; the longest wait first."""

    queryset = Handover.objects.all()
    serializer_class = HandoverSerializer
    pagination_class = LongestWait
    lookup_field = "conversation"
    lookup_value_converter = "uuid"
    scopes: ClassVar[dict[str, str]] = {"read": "dialogues.reply", "write": "dialogues.reply"}

    def get_queryset(self) -> QuerySet[Handover]:
        seen = Handover.objects.open().visible_to(self.request.user)
        return seen.select_related("conversation__scene", "holder")

    def get_serializer_context(self) -> dict[str, Any]:
        waiting = Handover.objects.waiting().select_related("conversation")
        return {**super().get_serializer_context(), "places": queueing.places(waiting)}

    def _conversation(self, public_id: UUID) -> Conversation:
        visible = Conversation.objects.visible_to(self.request.user)
        return get_object_or_404(visible, public_id=public_id)

    @property
    def _by(self) -> User:
        return cast(User, self.request.user)  # the permission lets nobody else in

    def _sent(self, kind: type[serializers.Serializer[Any]]) -> dict[str, Any]:
        sent = kind(data=self.request.data)
        sent.is_valid(raise_exception=True)
        return dict(sent.validated_data)

    def _note_use(self, conversation: Conversation, draft: UUID | None, text: str) -> None:
        if draft and (used := drafting.draft_of(conversation, draft, self._by)):
            drafting.note_use(used, text)

    def _answer(self, conversation: Conversation) -> Response:
        """Return the open handover, or nothing where it has ended."""
        handover = self.get_queryset().filter(conversation=conversation).first()
        return Response(self.get_serializer(handover).data if handover else None)

    @extend_schema(request=TakeSerializer, responses=HandoverSerializer)
    @action(detail=True, methods=["post"])
    def take(self, request: Request, conversation: UUID) -> Response:
        """Hold the conversation oneself; the agent is silent at once."""
        row = self._conversation(conversation)
        control.take_control(conversation=row, by=self._by, **self._sent(TakeSerializer))
        return self._answer(row)

    @extend_schema(request=AssignSerializer, responses=HandoverSerializer)
    @action(detail=True, methods=["post"])
    def assign(self, request: Request, conversation: UUID) -> Response:
        """Give the conversation to a colleague."""
        row = self._conversation(conversation)
        name = self._sent(AssignSerializer)["to"]
        to = get_object_or_404(User, username=name, is_active=True)
        control.assign(conversation=row, to=to, by=self._by)
        return self._answer(row)

    @extend_schema(request=None, responses=HandoverSerializer)
    @action(detail=True, methods=["post"])
    def release(self, request: Request, conversation: UUID) -> Response:
        """Put the conversation back into the queue, at its old place."""
        row = self._conversation(conversation)
        control.release(conversation=row, by=self._by)
        return self._answer(row)

    @extend_schema(request=StaffReplySerializer, responses={201: HandoverSerializer})
    @action(detail=True, methods=["post"])
    def reply(self, request: Request, conversation: UUID) -> Response:
        """Answer the customer; the first answer takes the conversation over."""
        row = self._conversation(conversation)
        sent = self._sent(StaffReplySerializer)
        draft = sent.pop("draft")
        control.reply_as_staff(conversation=row, by=self._by, **sent)
        self._note_use(row, draft, sent["text"])
        answer = self._answer(row)
        answer.status_code = 201
        return answer

    @extend_schema(request=HandBackSerializer, responses={204: None})
    @action(detail=True, methods=["post"], url_path="hand-back")
    def hand_back(self, request: Request, conversation: UUID) -> Response:
        """Let the agent answer again."""
        row = self._conversation(conversation)
        sent = self._sent(HandBackSerializer)
        draft = sent.pop("draft")
        source = drafting.source_of(row, sent["summary"])
        if control.hand_back(conversation=row, by=self._by, source=source, **sent):
            self._note_use(row, draft, sent["summary"])
        return Response(status=204)

    @extend_schema(request=None, responses={204: None})
    @action(detail=True, methods=["post"])
    def close(self, request: Request, conversation: UUID) -> Response:
        """End the conversation, and what is done for it."""
        control.close(conversation=self._conversation(conversation), by=self._by)
        return Response(status=204)

    @extend_schema(request=None, responses={204: None})
    @action(detail=True, methods=["post"])
    def survey(self, request: Request, conversation: UUID) -> Response:
        """Ask the customer the questions of the scene's survey now."""
        surveying.ask(conversation=self._conversation(conversation))
        return Response(status=204)

    @extend_schema(request=StaffTextSerializer, responses={201: NoteSerializer})
    @action(detail=True, methods=["post"], pagination_class=None)
    def notes(self, request: Request, conversation: UUID) -> Response:
        """Add a note that only colleagues read."""
        text = self._sent(StaffTextSerializer)["text"]
        row = self._conversation(conversation)
        note = annotating.add_note(conversation=row, by=self._by, text=text)
        return Response(NoteSerializer(note).data, status=201)

    @extend_schema(operation_id="desk_notes_list", responses=NoteSerializer(many=True))
    @notes.mapping.get
    def list_notes(self, request: Request, conversation: UUID) -> Response:
        notes = self._conversation(conversation).notes.select_related("author")
        return Response(NoteSerializer(notes, many=True).data)

    @extend_schema(responses=CannedReplySerializer(many=True))
    @action(detail=True, pagination_class=None, url_path="canned-replies")
    def canned_replies(self, request: Request, conversation: UUID) -> Response:
        """Return what may be inserted here: a scene's own words before those of every scene."""
        found = canned(self._conversation(conversation))
        return Response(CannedReplySerializer(found, many=True).data)
