"""REST: labelled sets, measurements of retrieval, and embedding indexes."""

from typing import Any, cast

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, viewsets
from rest_framework.decorators import action
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from knowledge import labelling, measuring, presenting, reindexing
from knowledge.api import VisibleScene
from knowledge.embedding import EMBEDDERS
from knowledge.forms_quality import OPTIONS
from knowledge.models import (
    EmbeddingIndex,
    IndexState,
    JobState,
    KnowledgeUnit,
    LabelledSet,
    RetrievalEvaluation,
)


class LabelledSetSerializer(serializers.ModelSerializer[LabelledSet]):
    """`unanswerable` of the `questions` are answered by no rule."""

    scene = serializers.CharField(source="scene.slug", default=None, read_only=True)
    questions = serializers.IntegerField(read_only=True)
    unanswerable = serializers.IntegerField(read_only=True)

    class Meta:
        model = LabelledSet
        fields = [
            *("public_id", "name", "scene", "source"),
            *("questions", "unanswerable", "created_at"),
        ]
        read_only_fields = fields


class NewLabelledSetSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=80)
    scene = VisibleScene(required=False, allow_null=True)
    source = serializers.CharField(required=False, allow_blank=True, max_length=300, default="")  # type: ignore[assignment]  # DRF lifts it out of the class
    file = serializers.FileField(help_text="CSV or JSONL: query, relevant and, optionally, id")

    def validate_file(self, file: Any) -> Any:
        if file.size > labelling.MAX_FILE_BYTES:
            raise serializers.ValidationError("The file is larger than 2 MB.")
        return file


class ShareSerializer(serializers.Serializer[Any]):
    """A mean from 0 to 1 with its 95 % Wilson interval over `count` questions."""

    share = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()
    count = serializers.IntegerField()


class MissSerializer(serializers.Serializer[Any]):
    query = serializers.CharField()
    found = serializers.ListField(child=serializers.IntegerField())
    relevant = serializers.ListField(child=serializers.IntegerField())


class MeasurementSerializer(serializers.ModelSerializer[RetrievalEvaluation]):
    """`metrics` is empty until `state` is done. `settings` is the version of the thresholds."""

    labelled_set = serializers.UUIDField(source="labelled_set.public_id", read_only=True)
    index = serializers.CharField(source="index.name", read_only=True)
    state = serializers.ChoiceField(source="job.state", choices=JobState.choices, read_only=True)
    error = serializers.CharField(source="job.error", read_only=True)
    metrics = serializers.DictField(child=ShareSerializer(), read_only=True)

    class Meta:
        model = RetrievalEvaluation
        fields = [
            *("public_id", "labelled_set", "index", "settings"),
            *("state", "error", "metrics", "at"),
        ]
        read_only_fields = fields


class MeasurementDetailSerializer(MeasurementSerializer):
    misses = MissSerializer(many=True, read_only=True)

    class Meta(MeasurementSerializer.Meta):
        fields = [*MeasurementSerializer.Meta.fields, "misses"]
        read_only_fields = fields


class MeasureSerializer(serializers.Serializer[Any]):
    """Without `index` the one in use is asked."""

    index = serializers.PrimaryKeyRelatedField(
        queryset=EmbeddingIndex.objects.exclude(state=IndexState.RETIRED), required=False
    )


class IndexSerializer(serializers.ModelSerializer[EmbeddingIndex]):
    """`lacking` wordings of published rules have no vector in it yet."""

    lacking = serializers.IntegerField(read_only=True)
    options = serializers.DictField(read_only=True)
    job_state = serializers.ChoiceField(
        source="job.state", choices=JobState.choices, default=None, read_only=True
    )
    error = serializers.CharField(source="job.error", default="", read_only=True)

    class Meta:
        model = EmbeddingIndex
        fields = [
            *("id", "name", "embedder", "options", "dimensions", "state", "lacking"),
            *("job_state", "error", "created_at", "live_since"),
        ]
        read_only_fields = fields


class NewIndexSerializer(serializers.Serializer[Any]):
    """`options` of a server: url, model, query_prefix, passage_prefix, api_key_env."""

    name = serializers.CharField(max_length=80)
    embedder = serializers.ChoiceField(choices=[(kind, kind) for kind in EMBEDDERS])
    options = serializers.DictField(
        child=serializers.CharField(max_length=300, trim_whitespace=False), default=dict
    )

    def validate_options(self, options: dict[str, str]) -> dict[str, str]:
        if unknown := options.keys() - set(OPTIONS):
            raise serializers.ValidationError(f"Unknown: {', '.join(sorted(unknown))}.")
        return options


class LabelledSetViewSet(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[LabelledSet]
):
    """Questions of which somebody said which rules answer them."""

    scopes = {"read": "knowledge.read", "write": "knowledge.write"}
    queryset = LabelledSet.objects.all()
    serializer_class = LabelledSetSerializer
    lookup_field = "public_id"

    def get_queryset(self) -> QuerySet[LabelledSet]:
        return presenting.with_counts(LabelledSet.objects.visible_to(self.request.user))

    def get_parsers(self) -> list[Any]:
        if getattr(self, "action_map", {}).get("post") == "create":
            return [MultiPartParser(), FormParser()]
        return super().get_parsers()

    @extend_schema(
        request={"multipart/form-data": NewLabelledSetSerializer},
        responses={201: LabelledSetSerializer},
    )
    def create(self, request: Request) -> Response:
        """Upload a set. A line that can't be read refuses the file, each is named."""
        serializer = NewLabelledSetSerializer(data=request.data, context={"request": request})
        serializer.is_valid(raise_exception=True)
        asked = serializer.validated_data
        file, scene = asked["file"], asked.get("scene")
        units = KnowledgeUnit.objects.visible_to(request.user)
        try:
            labels = labelling.read_labels(
                file, file.name, units.filter(scene=scene) if scene else units
            )
        except ValidationError as problems:
            raise ValidationError({"file": problems}) from problems
        labelled_set = labelling.make_set(
            name=asked["name"],
            scene=scene,
            source=asked["source"],
            labels=labels,
            by=_user(request),
        )
        stored = self.get_queryset().get(pk=labelled_set.pk)
        return Response(self.get_serializer(stored).data, status=201)

    @extend_schema(request=MeasureSerializer, responses={202: MeasurementSerializer})
    @action(detail=True, methods=["post"])
    def measure(self, request: Request, public_id: str) -> Response:
        """Have each question asked; read `knowledge/evaluations/` for what comes of it."""
        serializer = MeasureSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        evaluation = measuring.start(
            labelled_set=self.get_object(),
            by=_user(request),
            index=serializer.validated_data.get("index"),
        )
        return Response(MeasurementSerializer(evaluation).data, status=202)


class MeasurementViewSet(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[RetrievalEvaluation]
):
    """How well retrieval did on a labelled set. One alone also names what went wrong."""

    scopes = {"read": "knowledge.read"}
    queryset = RetrievalEvaluation.objects.all()
    lookup_field = "public_id"

    def get_serializer_class(self) -> type[MeasurementSerializer]:
        return MeasurementDetailSerializer if self.action == "retrieve" else MeasurementSerializer

    def get_queryset(self) -> QuerySet[RetrievalEvaluation]:
        sets = LabelledSet.objects.visible_to(self.request.user).order_by()
        rows = RetrievalEvaluation.objects.filter(labelled_set__in=sets)
        rows = rows.select_related("labelled_set", "index", "job")
        return rows if self.action == "retrieve" else rows.defer("misses")


class IndexViewSet(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[EmbeddingIndex]
):
    """Embedding indexes: one is in use, others are built and switched to beside it."""

    scopes = {"read": "knowledge.read", "write": "knowledge.approve"}
    queryset = EmbeddingIndex.objects.all()
    serializer_class = IndexSerializer
    lookup_value_regex = r"\d{1,18}"

    def get_queryset(self) -> QuerySet[EmbeddingIndex]:
        return reindexing.with_lacking()

    @extend_schema(request=NewIndexSerializer, responses={201: IndexSerializer})
    def create(self, request: Request) -> Response:
        """Begin a second index; the model is asked once to see that it works."""
        serializer = NewIndexSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        index = reindexing.create_index(by=_user(request), **serializer.validated_data)
        return self._answer(index, status=201)

    @extend_schema(request=None, responses=IndexSerializer)
    @action(detail=True, methods=["post"])
    def fill(self, request: Request, pk: str) -> Response:
        """Go on building, or embed what failed since."""
        return self._answer(reindexing.fill_index(index=self.get_object(), by=_user(request)))

    @extend_schema(request=None, responses=IndexSerializer)
    @action(detail=True, methods=["post"])
    def switch(self, request: Request, pk: str) -> Response:
        """Let searches use it from now on; the one used until now is kept up."""
        return self._answer(reindexing.switch(index=self.get_object(), by=_user(request)))

    @extend_schema(request=None, responses=IndexSerializer)
    @action(detail=True, methods=["post"])
    def retire(self, request: Request, pk: str) -> Response:
        """Give it up and free its space."""
        return self._answer(reindexing.retire(index=self.get_object(), by=_user(request)))

    def _answer(self, index: EmbeddingIndex, status: int = 200) -> Response:
        stored = get_object_or_404(self.get_queryset(), pk=index.pk)
        return Response(self.get_serializer(stored).data, status=status)


def _user(request: Request) -> User:
    return cast(User, request.user)  # HasScope lets only users with a role pass
