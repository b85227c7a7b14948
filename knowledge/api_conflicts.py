"""REST: what stands against what."""

from typing import Any, cast

from django.contrib.auth.models import User
from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins, serializers, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from knowledge import conflicts
from knowledge.api import SCOPES
from knowledge.models import Conflict, ConflictKind, ConflictState


class ConflictSerializer(serializers.ModelSerializer[Conflict]):
    """Two rules and the sentences in question; `left` is the one whose saving found it."""

    id = serializers.UUIDField(source="public_id", read_only=True)
    scene = serializers.CharField(source="left.unit.scene.slug", read_only=True)
    left_unit = serializers.IntegerField(source="left.unit_id", read_only=True)
    right_unit = serializers.IntegerField(source="right.unit_id", read_only=True)
    decided_by = serializers.CharField(source="decided_by.username", default=None, read_only=True)

    class Meta:
        model = Conflict
        fields = [
            *("id", "scene", "left_unit", "right_unit", "kind", "state", "found_by", "reason"),
            *("left_text", "right_text", "similarity", "decided_by", "decided_at"),
            *("override_reason", "at"),
        ]
        read_only_fields = fields


class OverrideSerializer(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=conflicts.LONGEST_REASON)


@extend_schema_view(
    list=extend_schema(
        parameters=[
            OpenApiParameter("scene", OpenApiTypes.STR, description="slug"),
            OpenApiParameter("kind", OpenApiTypes.STR, enum=ConflictKind.values),
            OpenApiParameter("state", OpenApiTypes.STR, enum=ConflictState.values),
            OpenApiParameter("unit", OpenApiTypes.INT, description="either rule's number"),
        ]
    )
)
class ConflictViewSet(mixins.ListModelMixin, viewsets.GenericViewSet[Conflict]):
    """Conflicts between rules: the open ones, unless a state is asked for."""

    scopes = SCOPES
    scope: str | None = None
    queryset = Conflict.objects.all()
    serializer_class = ConflictSerializer
    lookup_field = "public_id"

    def get_queryset(self) -> QuerySet[Conflict]:
        rows: QuerySet[Conflict] = Conflict.objects.visible_to(self.request.user)
        rows = rows.select_related("left__unit__scene", "right", "decided_by")
        wanted = self.request.query_params
        if self.action == "list" and "state" not in wanted:
            rows = conflicts.current(rows)
        names = {"scene": "left__unit__scene__slug", "kind": "kind", "state": "state"}
        rows = rows.filter(**{names[name]: wanted[name] for name in names if name in wanted})
        if (unit := wanted.get("unit", "")).isdecimal() and len(unit) < 19:
            rows = rows.filter(left__unit=int(unit)) | rows.filter(right__unit=int(unit))
        return rows

    @extend_schema(request=None, responses=ConflictSerializer)
    @action(detail=True, methods=["post"])
    def dismiss(self, request: Request, public_id: str) -> Response:
        """Note that there is no conflict. A proven contradiction takes an approver."""
        row = conflicts.dismiss(conflict=self.get_object(), by=cast(User, request.user))
        return Response(self.get_serializer(row).data)

    @extend_schema(request=OverrideSerializer, responses=ConflictSerializer)
    @action(detail=True, methods=["post"], scope="knowledge.approve")
    def override(self, request: Request, public_id: str) -> Response:
        """Let a proven contradiction be published, for a reason that is kept."""
        serializer = OverrideSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        row = conflicts.override(
            conflict=self.get_object(),
            by=cast(User, request.user),
            reason=serializer.validated_data["reason"],
        )
        return Response(self.get_serializer(row).data)
