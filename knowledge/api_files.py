"""REST: rules in and out as files."""

from collections import Counter
from dataclasses import asdict
from typing import Any, cast

from django.contrib.auth.models import User
from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from knowledge.api import VisibleScene
from knowledge.importing import Import, Line, as_csv, as_jsonl, export_rows, read_few
from knowledge.models import KnowledgeUnit, Scene

MAX_FILE_BYTES = 2 * 1024 * 1024


class UploadSerializer(serializers.Serializer[Any]):
    file = serializers.FileField(help_text="CSV or JSONL, UTF-8, at most 2 MB and 500 rows")
    scene = VisibleScene(required=False, allow_null=True, help_text="overrides the rows' own")
    publish = serializers.BooleanField(default=False)
    dry_run = serializers.BooleanField(default=False)

    def validate_file(self, file: Any) -> Any:
        if file.size > MAX_FILE_BYTES:
            raise serializers.ValidationError("The file is larger than 2 MB.")
        return file


class LineSerializer(serializers.Serializer[Line]):
    line = serializers.IntegerField()
    external_id = serializers.CharField(allow_null=True)
    action = serializers.ChoiceField(
        choices=["created", "revised", "unchanged", "drafted", "refused"]
    )
    error = serializers.CharField(allow_blank=True)


class ReportSerializer(serializers.Serializer[Any]):
    dry_run = serializers.BooleanField()
    counts = serializers.DictField(child=serializers.IntegerField())
    lines = LineSerializer(many=True)


class ImportView(APIView):
    """Upload rules. Bad rows are reported and skipped; known external ids are revised."""

    scope = "knowledge.write"
    parser_classes = [MultiPartParser]

    @extend_schema(request={"multipart/form-data": UploadSerializer}, responses=ReportSerializer)
    def post(self, request: Request) -> Response:
        serializer = UploadSerializer(data=request.data, context={"request": request})
        serializer.is_valid(raise_exception=True)
        asked = serializer.validated_data
        user = cast(User, request.user)  # HasScope lets only users with a role pass
        job = Import(
            author=user,
            scenes={scene.slug: scene for scene in Scene.objects.visible_to(user)},
            scene=asked.get("scene"),
            publisher=user if asked["publish"] else None,
        )
        rows = read_few(asked["file"], asked["file"].name)
        report = job.run(rows, dry_run=asked["dry_run"])
        counts = Counter(line.action for line in report)
        lines = [asdict(line) for line in report]
        return Response({"dry_run": asked["dry_run"], "counts": counts, "lines": lines})


class ExportView(APIView):
    """Download the latest text of every rule one works with."""

    scope = "knowledge.read"

    @extend_schema(
        parameters=[
            OpenApiParameter("as", OpenApiTypes.STR, enum=["csv", "jsonl"], default="csv"),
            OpenApiParameter("scene", OpenApiTypes.STR, description="slug"),
        ],
        responses={
            (200, "text/csv"): OpenApiTypes.STR,
            (200, "application/jsonl"): OpenApiTypes.STR,
        },
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        units = KnowledgeUnit.objects.visible_to(request.user).with_latest().order_by("pk")
        if slug := request.query_params.get("scene"):
            units = units.filter(scene__slug=slug)
        as_json = request.query_params.get("as") == "jsonl"
        write, kind = (as_jsonl, "application/jsonl") if as_json else (as_csv, "text/csv")
        return StreamingHttpResponse(
            write(export_rows(units)), content_type=f"{kind}; charset=utf-8"
        )
