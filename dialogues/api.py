"""REST: conversations, stored turns, judgements and cases."""

from typing import Any, ClassVar
from uuid import UUID

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from dialogues.chat.api import ChatSessionView
from dialogues.loop import reviewing
from dialogues.models import (
    Case,
    Conversation,
    Event,
    IssueType,
    Judgement,
    JudgementSource,
    Turn,
    TurnUnit,
    Verdict,
)

__all__ = [
    "CaseViewSet",
    "ChatSessionView",
    "ConversationViewSet",
    "JudgementViewSet",
    "TurnViewSet",
]

EVENTS_AT_ONCE = 500
LONGEST_REWRITE = 4000  # characters


def _public_id(**options: Any) -> serializers.UUIDField:
    return serializers.UUIDField(read_only=True, **options)


class ConversationSerializer(serializers.ModelSerializer[Conversation]):
    id = _public_id(source="public_id")
    scene = serializers.SlugRelatedField[Any](slug_field="slug", read_only=True)
    release = serializers.SlugRelatedField[Any](slug_field="name", read_only=True)
    site = serializers.SlugRelatedField[Any](slug_field="slug", read_only=True)

    class Meta:
        model = Conversation
        fields = [
            "id",
            "scene",
            "channel",
            "external_id",
            "customer",
            "site",
            "customer_ref",
            "identified_at",
            "control",
            "last_seq",
            "release",
            "rating",
            "created_at",
            "updated_at",
            "closed_at",
        ]


class EventSerializer(serializers.ModelSerializer[Event]):
    id = _public_id(source="public_id")
    turn = _public_id(source="turn.public_id", allow_null=True, default=None)

    class Meta:
        model = Event
        fields = ["id", "seq", "kind", "role", "text", "data", "turn", "at"]


class TurnUnitSerializer(serializers.ModelSerializer[TurnUnit]):
    unit = serializers.IntegerField(source="unit_id")
    title = serializers.CharField(source="revision.title")
    revision = serializers.IntegerField(source="revision.number")

    class Meta:
        model = TurnUnit
        fields = [
            "unit",
            "title",
            "revision",
            "rank",
            "score",
            "similarity",
            "vector_rank",
            "text_rank",
            "cited",
        ]


class TurnSerializer(serializers.ModelSerializer[Turn]):
    id = _public_id(source="public_id")
    conversation = _public_id(source="conversation.public_id")
    release = serializers.SlugRelatedField[Any](slug_field="name", read_only=True)
    units = TurnUnitSerializer(many=True, read_only=True)

    class Meta:
        model = Turn
        fields = [
            "id",
            "conversation",
            "asked_seq",
            "release",
            "status",
            "attempts",
            "units",
            "steps",
            "output",
            "timings",
            "error",
            "degraded",
            "cost",
            "created_at",
            "finished_at",
        ]


class JudgementSerializer(serializers.ModelSerializer[Judgement]):
    id = _public_id(source="public_id")
    turn = _public_id(source="turn.public_id")
    author = serializers.SlugRelatedField[Any](slug_field="username", read_only=True)

    class Meta:
        model = Judgement
        fields = [
            "id",
            "turn",
            "source",
            "author",
            "verdict",
            "issue_types",
            "rewrite",
            "comment",
            "at",
        ]


class NewJudgementSerializer(serializers.Serializer[Any]):
    """`rewrite_text` puts other words on the turn's action; `rewrite` is a whole action."""

    turn = serializers.UUIDField()
    verdict = serializers.ChoiceField(choices=Verdict.choices)
    issue_types = serializers.ListField(
        child=serializers.ChoiceField(choices=IssueType.choices), default=list
    )
    rewrite_text = serializers.CharField(required=False, max_length=LONGEST_REWRITE)
    rewrite = serializers.JSONField(required=False)
    comment = serializers.CharField(default="", allow_blank=True, max_length=2000)

    def validate_rewrite(self, rewrite: Any) -> dict[str, Any]:
        if not isinstance(rewrite, dict):
            raise serializers.ValidationError("Give a dialogue action, a JSON object.")
        return rewrite

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "rewrite" in attrs and "rewrite_text" in attrs:
            raise serializers.ValidationError("Give rewrite or rewrite_text, not both.")
        return attrs


class CaseSerializer(serializers.ModelSerializer[Case]):
    id = _public_id(source="public_id")
    turn = _public_id(source="turn.public_id")
    conversation = _public_id(source="turn.conversation.public_id")
    output = serializers.JSONField(source="turn.output", read_only=True)

    class Meta:
        model = Case
        fields = [
            "id",
            "turn",
            "conversation",
            "label",
            "issue_types",
            "output",
            "rewrite",
            "updated_at",
        ]


class DialogueViewSet(GenericViewSet[Any]):
    """What these endpoints share: who may, and how a row is named."""

    lookup_field = "public_id"
    lookup_value_converter = "uuid"
    scopes: ClassVar[dict[str, str]] = {"read": "dialogues.read", "write": "dialogues.judge"}


class ConversationViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, DialogueViewSet):
    queryset = Conversation.objects.select_related("scene", "release", "site")
    serializer_class = ConversationSerializer

    def get_queryset(self) -> QuerySet[Conversation]:
        visible = Conversation.objects.visible_to(self.request.user)
        return visible.select_related("scene", "release", "site")

    @extend_schema(
        parameters=[
            OpenApiParameter("after", OpenApiTypes.INT, description="Only events of a higher seq")
        ],
        responses=EventSerializer(many=True),
    )
    @action(detail=True, pagination_class=None)
    def events(self, request: Request, public_id: UUID) -> Response:
        """Return the next events of the log, oldest first, at most 500 at once."""
        after = serializers.IntegerField(min_value=0).run_validation(
            request.query_params.get("after", 0)
        )
        log = self.get_object().events.filter(seq__gt=after).select_related("turn")
        return Response(EventSerializer(log[:EVENTS_AT_ONCE], many=True).data)


class TurnViewSet(mixins.RetrieveModelMixin, DialogueViewSet):
    queryset = Turn.objects.all()
    serializer_class = TurnSerializer

    def get_queryset(self) -> QuerySet[Turn]:
        visible = Turn.objects.visible_to(self.request.user)
        return visible.select_related("conversation", "release").prefetch_related("units__revision")


class JudgementViewSet(mixins.ListModelMixin, DialogueViewSet):
    queryset = Judgement.objects.all()
    serializer_class = JudgementSerializer

    def get_queryset(self) -> QuerySet[Judgement]:
        turns = Turn.objects.visible_to(self.request.user)
        return Judgement.objects.filter(turn__in=turns).select_related("turn", "author")

    @extend_schema(request=NewJudgementSerializer, responses={201: JudgementSerializer})
    def create(self, request: Request) -> Response:
        """Judge a turn as a reviewer; the turn is classed by it."""
        new = NewJudgementSerializer(data=request.data)
        new.is_valid(raise_exception=True)
        data = new.validated_data
        turns = Turn.objects.visible_to(request.user)
        turn = get_object_or_404(turns, public_id=data.pop("turn"))
        judgement = reviewing.judge_turn(
            turn=turn,
            by=request.user if isinstance(request.user, User) else None,
            source=JudgementSource.REVIEWER,
            rewrite=_rewrite(turn, data),
            **data,
        )
        return Response(JudgementSerializer(judgement).data, status=201)


def _rewrite(turn: Turn, data: dict[str, Any]) -> dict[str, Any]:
    """Take the rewrite out of `data` in either of its forms.

    Raises:
        RewriteUnchanged: the text is what was said.
    """
    whole: dict[str, Any] = data.pop("rewrite", {})
    text = data.pop("rewrite_text", "")
    if not text:
        return whole
    # Words equal to the reply are refused by the check, not taken for no rewrite.
    rewrite = reviewing.build_rewrite(turn, reply=text)
    return rewrite or reviewing.spoken_action(turn).as_dict()


class CaseViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, DialogueViewSet):
    queryset = Case.objects.all()
    serializer_class = CaseSerializer

    def get_queryset(self) -> QuerySet[Case]:
        visible = Case.objects.visible_to(self.request.user)
        return visible.select_related("turn__conversation")
