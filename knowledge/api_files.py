"""REST: rules in and out as files."""

from typing import Any, cast

from django.contrib.auth.models import User
from django.http import StreamingHttpResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser, MultiPartParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from knowledge import uploading
from knowledge.api import VisibleScene
from knowledge.exporting import KINDS, export_rows, write
from knowledge.models import ImportFile, Job, JobState, KnowledgeUnit, UnitStatus
from wowconsole.errors import Invalid


class ImportUploadSerializer(serializers.Serializer[Any]):
    file = serializers.FileField(
        help_text="CSV, XLSX or JSONL; text in UTF-8; at most 20 MB and 50,000 rules"
    )
    scene = VisibleScene(required=False, allow_null=True, help_text="overrides the rows' own")
    publish = serializers.BooleanField(default=False)
    dry_run = serializers.BooleanField(default=False)

    def validate_file(self, file: Any) -> Any:
        if file.size > uploading.MAX_FILE_BYTES:
            raise serializers.ValidationError("The file is larger than 20 MB.")
        return file


class ImportLineSerializer(serializers.Serializer[Any]):
    line = serializers.IntegerField()
    external_id = serializers.CharField(allow_null=True)
    action = serializers.ChoiceField(
        choices=["created", "revised", "unchanged", "drafted", "refused"]
    )
    error = serializers.CharField(allow_blank=True)
    unit = serializers.IntegerField(
        allow_null=True, help_text="the rule; null where none was written"
    )


class ImportReportSerializer(serializers.Serializer[Any]):
    """What an import did so far; `counts` is by action. A failed one says why in `error`."""

    state = serializers.ChoiceField(choices=JobState.choices, source="job.state")
    done = serializers.IntegerField(source="job.done")
    total = serializers.IntegerField(source="job.total")
    error = serializers.CharField(source="job.error")
    job = serializers.SerializerMethodField(help_text="where this answer can be asked for again")
    dry_run = serializers.BooleanField()
    counts = serializers.SerializerMethodField()
    lines = ImportLineSerializer(many=True, source="report")

    def get_job(self, file: ImportFile) -> str:
        return _job_url(file, self.context["request"])

    def get_counts(self, file: ImportFile) -> dict[str, int]:
        return uploading.summary(file.report)


def _job_url(file: ImportFile, request: Request) -> str:
    return reverse("knowledge-import-job", args=[file.job.public_id], request=request)


class ImportView(APIView):
    """Upload rules. Bad rows are reported and skipped; known external ids are revised.

    A small file is answered with its report, a large one with 202: ask at `job` for it.
    """

    scope = "knowledge.write"
    parser_classes = [MultiPartParser]

    @extend_schema(
        request={"multipart/form-data": ImportUploadSerializer},
        responses={200: ImportReportSerializer, 202: ImportReportSerializer},
    )
    def post(self, request: Request) -> Response:
        serializer = ImportUploadSerializer(data=request.data, context={"request": request})
        serializer.is_valid(raise_exception=True)
        asked = serializer.validated_data
        file = uploading.upload(
            by=cast(User, request.user),  # HasScope lets only users with a role pass
            name=asked["file"].name,
            content=asked["file"].read(),
            scene=asked.get("scene"),
            publish=asked["publish"],
            dry_run=asked["dry_run"],
        )
        file = ImportFile.objects.select_related("job").defer("content").get(pk=file.pk)
        report = ImportReportSerializer(file, context={"request": request}).data
        finished = file.job.is_finished
        return Response(report, status=200 if finished else 202)


class ImportJobView(APIView):
    """How far an import is, and what became of each line."""

    scope = "knowledge.write"

    @extend_schema(responses=ImportReportSerializer)
    def get(self, request: Request, public_id: str) -> Response:
        files = ImportFile.objects.filter(job__in=Job.objects.visible_to(request.user))
        files = files.select_related("job").defer("content")
        file = get_object_or_404(files, job__public_id=public_id)
        return Response(ImportReportSerializer(file, context={"request": request}).data)


class IgnoreFormat(BaseContentNegotiation):
    """`format` is a parameter of ours here; what is no file, a refusal, is JSON."""

    def select_parser(self, request: Request, parsers: Any) -> BaseParser:
        return cast(BaseParser, parsers[0])

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return renderers[0], renderers[0].media_type


class ExportView(APIView):
    """Download the latest text of every rule one works with, with its revision's number.

    Importing the file again changes nothing; an edited line is refused where somebody
    saved a later revision meanwhile.
    """

    scope = "knowledge.read"
    content_negotiation_class = IgnoreFormat

    @extend_schema(
        parameters=[
            OpenApiParameter("format", OpenApiTypes.STR, enum=list(KINDS), default="csv"),
            OpenApiParameter("scene", OpenApiTypes.STR, description="slug"),
            OpenApiParameter("status", OpenApiTypes.STR, enum=UnitStatus.values),
        ],
        responses={
            (200, "text/csv"): OpenApiTypes.STR,
            (200, "application/jsonl"): OpenApiTypes.STR,
            (200, KINDS["xlsx"]): OpenApiTypes.BINARY,
        },
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        units = KnowledgeUnit.objects.visible_to(request.user)
        wanted = request.query_params
        names = {"scene": "scene__slug", "status": "status"}
        units = units.filter(**{names[name]: wanted[name] for name in names if wanted.get(name)})
        kind = wanted.get("format", "csv")
        if kind not in KINDS:
            raise Invalid("Rules are exported as csv, xlsx or jsonl.")
        return StreamingHttpResponse(write(export_rows(units), kind), content_type=KINDS[kind])
