"""REST: what customers answered to the questions after a conversation."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from dialogues.chat import tallying
from dialogues.loop.forms import PERIODS, since_of
from dialogues.models import Survey


class BarSerializer(serializers.Serializer[tallying.Bar]):
    label = serializers.CharField()  # type: ignore[assignment]  # a field of this name, not the label
    count = serializers.IntegerField()


class TallySerializer(serializers.Serializer[tallying.Tally]):
    question = serializers.UUIDField(source="question.public_id")
    text = serializers.CharField(source="question.text")
    kind = serializers.CharField(source="question.kind")
    asked = serializers.IntegerField(help_text="Conversations")
    answered = serializers.IntegerField()
    missing = serializers.IntegerField(help_text="Not answered; counted in no mean and no bar")
    mean = serializers.FloatField(allow_null=True, help_text="Of the scores given, 1 to 5")
    bars = BarSerializer(many=True)
    texts = serializers.SerializerMethodField()

    def get_texts(self, tally: tallying.Tally) -> list[str]:
        return [answer.text for answer in tally.texts]


class SurveyResultsSerializer(serializers.Serializer[tallying.Results]):
    asked = serializers.IntegerField(help_text="Conversations")
    answered = serializers.IntegerField(help_text="With at least one answer")
    questions = TallySerializer(source="tallies", many=True)


class SurveySerializer(serializers.ModelSerializer[Survey]):
    id = serializers.UUIDField(source="public_id", read_only=True)
    scene = serializers.SlugRelatedField[Any](slug_field="slug", read_only=True)

    class Meta:
        model = Survey
        fields = ["id", "scene", "at_end"]


class SurveyViewSet(mixins.ListModelMixin, GenericViewSet[Any]):
    """The questions after a conversation; a survey without a scene is for all others."""

    queryset = Survey.objects.all()
    serializer_class = SurveySerializer
    lookup_field = "public_id"
    lookup_value_converter = "uuid"
    scope = "dialogues.read"

    def get_queryset(self) -> QuerySet[Survey]:
        return Survey.objects.visible_to(self.request.user).select_related("scene")

    @extend_schema(
        parameters=[
            OpenApiParameter("period", OpenApiTypes.STR, enum=[name for name, _ in PERIODS])
        ],
        responses=SurveyResultsSerializer,
    )
    @action(detail=True, pagination_class=None)
    def results(self, request: Request, public_id: UUID) -> Response:
        """Return what customers answered; who did not is missing, never neutral."""
        survey = self.get_object()
        since = since_of(request.query_params.get("period"))
        found = tallying.results(survey, visible_to=request.user, since=since)
        return Response(SurveyResultsSerializer(found).data)
