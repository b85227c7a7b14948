"""REST: jobs of sub-agents."""

from typing import Any, ClassVar, cast
from uuid import UUID, uuid4

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

from dialogues.jobs import delegating
from dialogues.jobs.forms import JobFilterForm
from dialogues.models import Conversation, SubagentChange, SubagentJob, SubagentLine

FILTERS = [
    OpenApiParameter("state", OpenApiTypes.STR, description="A state, or open for unfinished"),
    OpenApiParameter("name", OpenApiTypes.STR, description="Of the tool or the sub-agent"),
]


class NewJobSerializer(serializers.Serializer[Any]):
    """`name` is of a sub-agent or a call plan; `arguments` fit its parameters."""

    conversation = serializers.UUIDField()
    name = serializers.SlugField(max_length=40)
    arguments = serializers.DictField(default=dict)


class SubagentLineSerializer(serializers.ModelSerializer[SubagentLine]):
    class Meta:
        model = SubagentLine
        fields = ["number", "speaker", "text", "data", "at"]


class SubagentChangeSerializer(serializers.ModelSerializer[SubagentChange]):
    class Meta:
        model = SubagentChange
        fields = ["state", "detail", "at"]


class SubagentJobSerializer(serializers.ModelSerializer[SubagentJob]):
    """`result` fits the sub-agent's output schema; `report` holds the score and its evidence.

    `cost` is in US dollars.
    """

    id = serializers.UUIDField(source="public_id", read_only=True)
    conversation = serializers.UUIDField(source="conversation.public_id", read_only=True)
    turn = serializers.UUIDField(source="turn.public_id", read_only=True, allow_null=True)

    class Meta:
        model = SubagentJob
        fields = [
            "id",
            "conversation",
            "turn",
            "name",
            "subagent",
            "version",
            "arguments",
            "state",
            "progress",
            "attempts",
            "most_attempts",
            "deadline",
            "result",
            "report",
            "error",
            "prompt_tokens",
            "completion_tokens",
            "cost",
            "created_at",
            "started_at",
            "finished_at",
        ]


class SubagentJobDetailSerializer(SubagentJobSerializer):
    lines = SubagentLineSerializer(many=True, read_only=True)
    changes = SubagentChangeSerializer(many=True, read_only=True)

    class Meta(SubagentJobSerializer.Meta):
        fields = [*SubagentJobSerializer.Meta.fields, "lines", "changes"]


class JobViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, GenericViewSet[SubagentJob]):
    queryset = SubagentJob.objects.all()
    lookup_field = "public_id"
    lookup_value_converter = "uuid"
    scopes: ClassVar[dict[str, str]] = {"read": "dialogues.read", "write": "dialogues.reply"}

    def get_queryset(self) -> QuerySet[SubagentJob]:
        visible = SubagentJob.objects.visible_to(self.request.user)
        jobs = visible.select_related("conversation", "turn")
        if self.action == "list":
            return JobFilterForm(self.request.GET).filter(jobs)
        return jobs.prefetch_related("lines", "changes")

    def get_serializer_class(self) -> Any:
        return SubagentJobSerializer if self.action == "list" else SubagentJobDetailSerializer

    @extend_schema(parameters=FILTERS)
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().list(request, *args, **kwargs)

    @extend_schema(request=NewJobSerializer, responses={201: SubagentJobDetailSerializer})
    def create(self, request: Request) -> Response:
        """Start a job for a conversation; the same work that is under way is not begun again."""
        new = NewJobSerializer(data=request.data)
        new.is_valid(raise_exception=True)
        visible = Conversation.objects.visible_to(request.user)
        job = delegating.start(
            conversation=get_object_or_404(visible, public_id=new.validated_data["conversation"]),
            name=new.validated_data["name"],
            arguments=new.validated_data["arguments"],
            key=f"api-{uuid4()}",
        )
        shown = self.get_serializer(self.get_queryset().get(pk=job.pk))
        return Response(shown.data, status=201)

    @extend_schema(request=None, responses=SubagentJobDetailSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, public_id: UUID) -> Response:
        """End a job at once; its worker stops at its next step. 409 if it has ended already."""
        job = self.get_object()
        by = cast(User, request.user).get_username()
        delegating.cancel(conversation=job.conversation, job=job.public_id, by=by)
        return Response(self.get_serializer(self.get_queryset().get(pk=job.pk)).data)
