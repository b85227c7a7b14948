"""REST: data sets, runs, evaluations and preference pairs."""

from typing import Any, ClassVar, cast
from uuid import UUID

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from agents.models import ModelVersion
from dialogues.models import Case
from knowledge.models import Scene
from training import evaluating, presenting, services
from training.models import Dataset, DatasetForm, Evaluation, Run, RunEvent, Stage
from training.views import jsonl

EVENTS_AT_ONCE = 500


class DatasetSerializer(serializers.ModelSerializer[Dataset]):
    id = serializers.UUIDField(source="public_id", read_only=True)
    created_by = serializers.SlugRelatedField[Any](slug_field="username", read_only=True)
    train = serializers.IntegerField(read_only=True)
    held_out = serializers.IntegerField(read_only=True)

    class Meta:
        model = Dataset
        fields = [
            "id",
            "name",
            "form",
            "recipe",
            "sha256",
            "train",
            "held_out",
            "created_by",
            "created_at",
        ]


class NewDatasetSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=120)
    form = serializers.ChoiceField(choices=DatasetForm.choices)
    scenes = serializers.SlugRelatedField[Any](
        slug_field="slug", many=True, queryset=Scene.objects.all(), default=list
    )
    sources = serializers.MultipleChoiceField(
        choices=services.MESSAGE_SOURCES, default=set(services.MESSAGE_SOURCES)
    )
    held_out_share = serializers.FloatField(default=0.2, min_value=0, max_value=0.9)
    limit = serializers.IntegerField(default=None, allow_null=True, min_value=1)


class RunSerializer(serializers.ModelSerializer[Run]):
    id = serializers.UUIDField(source="public_id", read_only=True)
    dataset = serializers.UUIDField(source="dataset.public_id", read_only=True)
    base = serializers.SlugRelatedField[Any](slug_field="name", read_only=True)
    version = serializers.SlugRelatedField[Any](slug_field="name", read_only=True)
    created_by = serializers.SlugRelatedField[Any](slug_field="username", read_only=True)

    class Meta:
        model = Run
        fields = [
            "id",
            "name",
            "stage",
            "dataset",
            "base",
            "recipe",
            "status",
            "step",
            "total_steps",
            "attempts",
            "error",
            "version",
            "created_by",
            "created_at",
            "started_at",
            "finished_at",
        ]


class NewRunSerializer(serializers.Serializer[Any]):
    name = serializers.SlugField(max_length=80)
    stage = serializers.ChoiceField(choices=Stage.choices)
    dataset = serializers.UUIDField()
    base = serializers.SlugRelatedField[Any](
        slug_field="name", queryset=ModelVersion.objects.select_related("base")
    )
    recipe = serializers.DictField(default=dict)


class RunEventSerializer(serializers.ModelSerializer[RunEvent]):
    class Meta:
        model = RunEvent
        fields = ["id", "kind", "step", "data", "at"]


class EvaluationSerializer(serializers.ModelSerializer[Evaluation]):
    id = serializers.UUIDField(source="public_id", read_only=True)
    version = serializers.SlugRelatedField[Any](slug_field="name", read_only=True)
    dataset = serializers.UUIDField(source="dataset.public_id", read_only=True)

    class Meta:
        model = Evaluation
        fields = ["id", "version", "dataset", "metrics", "created_at"]


class EvaluationDetailSerializer(EvaluationSerializer):
    class Meta(EvaluationSerializer.Meta):
        fields = [*EvaluationSerializer.Meta.fields, "answers"]


class NewEvaluationSerializer(serializers.Serializer[Any]):
    version = serializers.SlugRelatedField[Any](
        slug_field="name", queryset=ModelVersion.objects.all()
    )
    dataset = serializers.UUIDField()
    limit = serializers.IntegerField(default=evaluating.MOST_EXAMPLES, min_value=1, max_value=1000)


class PairSerializer(serializers.ModelSerializer[Case]):
    """A preference pair before it is frozen in a data set."""

    id = serializers.UUIDField(source="public_id", read_only=True)
    turn = serializers.UUIDField(source="turn.public_id", read_only=True)
    conversation = serializers.UUIDField(source="turn.conversation.public_id", read_only=True)
    rejected = serializers.JSONField(source="turn.output", read_only=True)
    chosen = serializers.JSONField(source="rewrite", read_only=True)

    class Meta:
        model = Case
        fields = [
            "id",
            "turn",
            "conversation",
            "issue_types",
            "rejected",
            "chosen",
            "updated_at",
        ]


def _person(request: Request) -> User:
    return cast(User, request.user)  # HasScope lets nobody else pass


class TrainingViewSet(GenericViewSet[Any]):
    """What these endpoints share: who may, and how a row is named."""

    lookup_field = "public_id"
    lookup_value_converter = "uuid"
    scopes: ClassVar[dict[str, str]] = {"read": "training.read", "write": "training.write"}


class DatasetViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, TrainingViewSet):
    queryset = Dataset.objects.all()
    serializer_class = DatasetSerializer

    def get_queryset(self) -> QuerySet[Dataset]:
        visible = services.visible_datasets(self.request.user)
        return presenting.with_counts(visible).select_related("created_by")

    @extend_schema(request=NewDatasetSerializer, responses={201: DatasetSerializer})
    def create(self, request: Request) -> Response:
        """Freeze a data set of what there is now."""
        asked = NewDatasetSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        dataset = services.build_dataset(by=_person(request), **asked.validated_data)
        return Response(DatasetSerializer(self.get_queryset().get(pk=dataset.pk)).data, 201)

    @extend_schema(responses={(200, "application/jsonl"): OpenApiTypes.STR})
    @action(detail=True)
    def examples(self, request: Request, public_id: UUID) -> HttpResponse:
        """Download the rows as JSON lines, in TRL's form."""
        lines = "".join(jsonl(self.get_object()))
        return HttpResponse(lines, content_type="application/jsonl")


class RunViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, TrainingViewSet):
    queryset = Run.objects.all()
    serializer_class = RunSerializer

    def get_queryset(self) -> QuerySet[Run]:
        visible = services.visible_runs(self.request.user)
        return visible.select_related("dataset", "base", "version", "created_by")

    @extend_schema(request=NewRunSerializer, responses={201: RunSerializer})
    def create(self, request: Request) -> Response:
        """Queue a training run."""
        asked = NewRunSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        data = asked.validated_data
        visible = services.visible_datasets(request.user)
        data["dataset"] = get_object_or_404(visible, public_id=data["dataset"])
        return Response(RunSerializer(services.launch_run(by=_person(request), **data)).data, 201)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, public_id: UUID) -> Response:
        return Response(RunSerializer(services.cancel_run(run=self.get_object())).data)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, public_id: UUID) -> Response:
        return Response(RunSerializer(services.resume_run(run=self.get_object())).data)

    @extend_schema(
        parameters=[
            OpenApiParameter("after", OpenApiTypes.INT, description="Only events of a higher id")
        ],
        responses=RunEventSerializer(many=True),
    )
    @action(detail=True, pagination_class=None)
    def events(self, request: Request, public_id: UUID) -> Response:
        """Return the next metrics and notes, oldest first, at most 500 at once."""
        after = serializers.IntegerField(min_value=0).run_validation(
            request.query_params.get("after", 0)
        )
        events = self.get_object().events.filter(pk__gt=after).order_by("pk")
        return Response(RunEventSerializer(events[:EVENTS_AT_ONCE], many=True).data)


class EvaluationViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, TrainingViewSet):
    queryset = Evaluation.objects.all()

    def get_queryset(self) -> QuerySet[Evaluation]:
        datasets = services.visible_datasets(self.request.user)
        visible = Evaluation.objects.filter(dataset__in=datasets)
        visible = visible.select_related("version", "dataset")
        return visible.defer("answers") if self.action == "list" else visible

    def get_serializer_class(self) -> type[serializers.BaseSerializer[Any]]:
        return EvaluationSerializer if self.action == "list" else EvaluationDetailSerializer

    @extend_schema(request=NewEvaluationSerializer, responses={202: None})
    def create(self, request: Request) -> Response:
        """Ask a worker to evaluate; the evaluation is listed when it is done."""
        asked = NewEvaluationSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        data = asked.validated_data
        visible = services.visible_datasets(request.user)
        data["dataset"] = get_object_or_404(visible, public_id=data["dataset"])
        services.evaluate_version(**data)
        return Response(status=202)


class PairViewSet(mixins.ListModelMixin, TrainingViewSet):
    """Bad cases with a rewrite: what the next preference set is made of."""

    queryset = Case.objects.none()
    serializer_class = PairSerializer

    def get_queryset(self) -> QuerySet[Case]:
        visible = Case.objects.visible_to(self.request.user)
        return visible.pairs().select_related("turn__conversation")
