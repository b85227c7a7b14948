"""REST: named snapshots of what was live."""

from typing import Any, cast
from uuid import UUID

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, serializers, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from knowledge import snapshots
from knowledge.api import SCOPES, VisibleScene
from knowledge.api_submissions import FieldChangeSerializer, changes_of
from knowledge.models import Snapshot

CHANGES_PER_PAGE = 50


class SnapshotSerializer(serializers.ModelSerializer[Snapshot]):
    """What was live at one moment, by name; `scene` null: of the whole base."""

    id = serializers.UUIDField(source="public_id", read_only=True)
    scene = serializers.CharField(source="scene.slug", default=None, read_only=True)
    by = serializers.CharField(source="by.username", read_only=True)

    class Meta:
        model = Snapshot
        fields = ["id", "name", "scene", "comment", "by", "at"]
        read_only_fields = fields


class NewSnapshotSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    scene: VisibleScene = VisibleScene(required=False, allow_null=True)
    comment = serializers.CharField(required=False, allow_blank=True)


class ChangeSerializer(serializers.Serializer[Any]):
    """A rule that differs; the numbers are of its revisions."""

    unit = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=["added", "removed", "changed"])
    earlier = serializers.IntegerField(allow_null=True)
    later = serializers.IntegerField(allow_null=True)
    fields_changed = FieldChangeSerializer(many=True)


class ComparisonSerializer(serializers.Serializer[Any]):
    added = serializers.IntegerField()
    removed = serializers.IntegerField()
    changed = serializers.IntegerField()
    changes = ChangeSerializer(many=True)


class SnapshotViewSet(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Snapshot]
):
    """Snapshots of the caller's scenes, and of the whole base."""

    scopes = SCOPES
    queryset = Snapshot.objects.all()
    serializer_class = SnapshotSerializer
    lookup_field = "public_id"
    lookup_value_converter = "uuid"

    def get_queryset(self) -> QuerySet[Snapshot]:
        return snapshots.visible_to(self.request.user)

    @extend_schema(request=NewSnapshotSerializer, responses={201: SnapshotSerializer})
    def create(self, request: Request) -> Response:
        """Keep what is live now. The whole base is for those who see every scene."""
        context = self.get_serializer_context()
        serializer = NewSnapshotSerializer(data=request.data, context=context)
        serializer.is_valid(raise_exception=True)
        by = cast(User, request.user)
        snapshot = snapshots.take(by=by, **serializer.validated_data)
        return Response(self.get_serializer(snapshot).data, status=201)

    @extend_schema(
        parameters=[
            OpenApiParameter("with", OpenApiTypes.UUID, description="nothing: what is live now"),
            OpenApiParameter("start", OpenApiTypes.INT, description="changes to pass over"),
        ],
        responses=ComparisonSerializer,
        filters=False,
    )
    @action(detail=True, methods=["get"], pagination_class=None)
    def diff(self, request: Request, public_id: str) -> Response:
        """Say what differs between this snapshot and a later one, 50 rules at a time."""
        start = request.query_params.get("start", "0")
        if not (start.isdecimal() and len(start) < 10):
            raise Http404
        found = snapshots.compare(
            self.get_object(),
            self._later(request.query_params.get("with", "")),
            user=request.user,
            start=int(start),
            limit=CHANGES_PER_PAGE,
        )
        counts = {name: getattr(found, name) for name in ("added", "removed", "changed")}
        return Response({**counts, "changes": [_told(change) for change in found.changes]})

    def _later(self, public_id: str) -> Snapshot | None:
        if not public_id:
            return None
        try:
            return get_object_or_404(self.get_queryset(), public_id=UUID(public_id))
        except ValueError:
            raise Http404 from None


def _told(change: snapshots.Change) -> dict[str, Any]:
    return {
        "unit": change.unit.pk,
        "kind": change.kind,
        "earlier": change.earlier.number if change.earlier else None,
        "later": change.later.number if change.later else None,
        "fields_changed": changes_of(change.fields),
    }
