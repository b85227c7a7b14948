"""REST: replays of past turns before an edit of a rule is published."""

from dataclasses import asdict
from typing import Any, ClassVar, cast
from uuid import UUID

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import mixins, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from dialogues.loop import replaying
from dialogues.loop.summarising import Summary, advice, summarise
from dialogues.models import Replay, ReplayTurn
from knowledge.models import JobState, KnowledgeUnit


class NewReplaySerializer(serializers.Serializer[Any]):
    unit = serializers.IntegerField(help_text="Number of the rule; its latest text is replayed.")
    removal = serializers.BooleanField(default=False, help_text="What if it were archived?")


class ReplaySummarySerializer(serializers.Serializer[Summary]):
    looked_at = serializers.IntegerField()
    affected = serializers.IntegerField()
    entered = serializers.IntegerField()
    left = serializers.IntegerField()
    answered = serializers.IntegerField()
    unanswered = serializers.IntegerField()
    same = serializers.IntegerField()
    win = serializers.IntegerField()
    loss = serializers.IntegerField()
    tie = serializers.IntegerField()
    open = serializers.IntegerField()
    harmful = serializers.IntegerField()
    advice = serializers.CharField()


class ReplayTurnSerializer(serializers.ModelSerializer[ReplayTurn]):
    turn = serializers.UUIDField(source="turn.public_id", read_only=True)

    class Meta:
        model = ReplayTurn
        fields = ["turn", "before", "after", "verdict", "reason", "judged_by", "harm"]


class ReplaySerializer(serializers.ModelSerializer[Replay]):
    """`turns` are those that the edit affects, the most harmful first."""

    id = serializers.UUIDField(source="public_id", read_only=True)
    unit = serializers.IntegerField(source="revision.unit_id", read_only=True)
    revision = serializers.IntegerField(source="revision.number", read_only=True)
    removal = serializers.BooleanField(source="is_removal", read_only=True)
    state = serializers.ChoiceField(source="job.state", choices=JobState.choices, read_only=True)
    error = serializers.CharField(source="job.error", read_only=True)
    summary = serializers.SerializerMethodField()
    turns = ReplayTurnSerializer(many=True, read_only=True)

    class Meta:
        model = Replay
        fields = [
            *("id", "unit", "revision", "removal", "state", "error", "at", "summary", "turns")
        ]

    @extend_schema_field(ReplaySummarySerializer)
    def get_summary(self, replay: Replay) -> dict[str, Any]:
        summary = summarise(replay)
        return {**asdict(summary), "advice": advice(summary, replay)}


class ReplayViewSet(mixins.RetrieveModelMixin, GenericViewSet[Replay]):
    queryset = Replay.objects.all()
    serializer_class = ReplaySerializer
    lookup_field = "public_id"
    lookup_value_converter = "uuid"
    scopes: ClassVar[dict[str, str]] = {"read": "dialogues.read", "write": "knowledge.write"}

    def get_queryset(self) -> QuerySet[Replay]:
        visible = Replay.objects.visible_to(self.request.user)
        return visible.select_related("revision", "job").prefetch_related("turns__turn")

    @extend_schema(request=NewReplaySerializer, responses={201: ReplaySerializer})
    def create(self, request: Request) -> Response:
        """Start a replay; the same again while it runs answers with the one that runs."""
        new = NewReplaySerializer(data=request.data)
        new.is_valid(raise_exception=True)
        by = cast(User, request.user)
        units = KnowledgeUnit.objects.visible_to(by)
        replay = replaying.start_replay(
            unit=get_object_or_404(units, pk=new.validated_data["unit"]),
            by=by,
            is_removal=new.validated_data["removal"],
        )
        return Response(self._shown(replay.public_id), status=201)

    def _shown(self, public_id: UUID) -> dict[str, Any]:
        return ReplaySerializer(self.get_queryset().get(public_id=public_id)).data
