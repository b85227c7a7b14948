"""REST: scenes and rules."""

from typing import Any, cast

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiParameter,
    extend_schema,
    extend_schema_field,
    extend_schema_view,
)
from rest_framework import mixins, serializers, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from knowledge import conflicts, services
from knowledge.models import KnowledgeUnit, Revision, Risk, Scene, UnitStatus
from wowconsole.roles import sees_every_scene

SCOPES = {"read": "knowledge.read", "write": "knowledge.write"}


@extend_schema_field(OpenApiTypes.STR)
class VisibleScene(serializers.SlugRelatedField[Scene]):
    """A scene by slug, among those the caller works in."""

    def __init__(self, **options: Any) -> None:
        super().__init__(slug_field="slug", **options)

    def get_queryset(self) -> QuerySet[Scene]:
        return Scene.objects.visible_to(self.context["request"].user)


class SceneSerializer(serializers.ModelSerializer[Scene]):
    class Meta:
        model = Scene
        fields = ["slug", "name"]


class RevisionSerializer(serializers.ModelSerializer[Revision]):
    author = serializers.CharField(source="author.username", read_only=True)

    class Meta:
        model = Revision
        fields = ["id", "number", *services.REVISION_FIELDS, "author", "created_at"]
        read_only_fields = fields


class UnitSerializer(serializers.ModelSerializer[KnowledgeUnit]):
    """A rule as its author last saved it; `live_revision` is the number agents use now."""

    scene = serializers.CharField(source="scene.slug", read_only=True)
    owner = serializers.CharField(source="owner.username", read_only=True)
    revision = RevisionSerializer(source="latest", read_only=True)
    live_revision = serializers.IntegerField(source="live.number", default=None, read_only=True)
    status = serializers.ChoiceField(choices=UnitStatus.choices, read_only=True)

    class Meta:
        model = KnowledgeUnit
        fields = [
            *("id", "external_id", "scene", "status", "owner", "revision", "live_revision"),
            *("has_unpublished_edit", "created_at", "updated_at"),
        ]
        read_only_fields = fields


class UnitTextSerializer(serializers.Serializer[Any]):
    """The text of a rule. Lengths and dates are judged by the service, for every door."""

    title = serializers.CharField()
    condition = serializers.CharField()
    content = serializers.CharField()
    questions = serializers.ListField(child=serializers.CharField(), required=False)
    priority = serializers.IntegerField(required=False, min_value=-1000, max_value=1000)
    risk = serializers.ChoiceField(choices=Risk.choices, required=False)
    valid_from = serializers.DateTimeField(required=False, allow_null=True)
    valid_until = serializers.DateTimeField(required=False, allow_null=True)
    source = serializers.CharField(required=False, allow_blank=True)  # type: ignore[assignment]  # DRF lifts it out of the class
    channels = serializers.ListField(child=serializers.CharField(), required=False)
    segments = serializers.ListField(child=serializers.CharField(), required=False)
    regions = serializers.ListField(child=serializers.CharField(), required=False)


class NewUnitSerializer(UnitTextSerializer):
    scene: VisibleScene = VisibleScene()
    external_id = serializers.CharField(required=False, allow_null=True, allow_blank=True)


class EditSerializer(UnitTextSerializer):
    """What changes; `based_on` is the number of the revision that was read."""

    based_on = serializers.IntegerField()

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        fields = super().get_fields()
        for name, field in fields.items():
            field.required = name == "based_on"
        return fields


class RestoreRevisionSerializer(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    based_on = serializers.IntegerField()


class PublishSerializer(serializers.Serializer[Any]):
    """`revision`: number of the revision that was read; left out: whatever is the newest."""

    revision = serializers.IntegerField(required=False, min_value=1)


class SceneViewSet(
    mixins.CreateModelMixin,
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    viewsets.GenericViewSet[Scene],
):
    """Business lines. Whoever makes one becomes its member."""

    scopes = SCOPES
    queryset = Scene.objects.all()
    serializer_class = SceneSerializer
    lookup_field = "slug"

    def get_queryset(self) -> QuerySet[Scene]:
        return Scene.objects.visible_to(self.request.user)

    def perform_create(self, serializer: serializers.BaseSerializer[Scene]) -> None:
        scene = serializer.save()
        if not sees_every_scene(self.request.user):
            scene.members.add(cast(User, self.request.user))


@extend_schema_view(
    list=extend_schema(
        parameters=[
            OpenApiParameter("scene", OpenApiTypes.STR, description="slug"),
            OpenApiParameter("status", OpenApiTypes.STR, enum=UnitStatus.values),
            OpenApiParameter("external_id", OpenApiTypes.STR),
        ]
    )
)
class UnitViewSet(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[KnowledgeUnit]
):
    """Rules. Saving never changes what agents use: `publish/` does."""

    scopes = SCOPES
    queryset = KnowledgeUnit.objects.all()
    serializer_class = UnitSerializer
    lookup_value_regex = r"\d{1,18}"

    def get_queryset(self) -> QuerySet[KnowledgeUnit]:
        units = KnowledgeUnit.objects.visible_to(self.request.user).with_latest()
        units = units.select_related("latest__author")
        wanted = self.request.query_params
        names = {"scene": "scene__slug", "status": "status", "external_id": "external_id"}
        return units.filter(**{names[name]: wanted[name] for name in names if name in wanted})

    @property
    def user(self) -> User:
        return cast(User, self.request.user)  # HasScope lets only users with a role pass

    @extend_schema(request=NewUnitSerializer, responses={201: UnitSerializer})
    def create(self, request: Request) -> Response:
        """Draft a rule. A taken `external_id` is refused, so that a retry adds nothing."""
        unit = services.draft_unit(author=self.user, **self._valid(NewUnitSerializer))
        conflicts.check_soon(unit)
        return Response(self.get_serializer(unit).data, status=201)

    @extend_schema(request=EditSerializer, responses=UnitSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        """Save an edit as the next revision; 409 if somebody saved one after `based_on`."""
        fields = self._valid(EditSerializer)
        unit = services.revise_unit(unit=self.get_object(), author=self.user, **fields)
        conflicts.check_soon(unit)
        return self._answer(unit)

    @extend_schema(request=PublishSerializer, responses=UnitSerializer)
    @action(detail=True, methods=["post"])
    def publish(self, request: Request, pk: str) -> Response:
        """Let agents use the newest text; 409 if that is not the `revision` you name."""
        seen = self._valid(PublishSerializer).get("revision")
        return self._answer(services.publish_unit(unit=self.get_object(), by=self.user, seen=seen))

    @extend_schema(request=None, responses=UnitSerializer)
    @action(detail=True, methods=["post"])
    def archive(self, request: Request, pk: str) -> Response:
        return self._answer(services.archive_unit(unit=self.get_object(), by=self.user))

    @extend_schema(request=None, responses=UnitSerializer)
    @action(detail=True, methods=["post"])
    def restore(self, request: Request, pk: str) -> Response:
        """Bring an archived rule back as a draft."""
        unit = services.restore_unit(unit=self.get_object())
        conflicts.check_soon(unit)
        return self._answer(unit)

    @extend_schema(responses=RevisionSerializer(many=True))
    @action(detail=True, methods=["get"])
    def revisions(self, request: Request, pk: str) -> Response:
        """List every text the rule ever had, newest first."""
        rows = self.get_object().revisions.select_related("author")
        page = self.paginate_queryset(cast(Any, rows))  # rows of the unit, not units
        serializer = RevisionSerializer(cast(Any, page), many=True)
        return self.get_paginated_response(serializer.data)

    @extend_schema(request=RestoreRevisionSerializer, responses=UnitSerializer)
    @action(detail=True, methods=["post"], url_path="restore-revision")
    def restore_revision(self, request: Request, pk: str) -> Response:
        """Save the text of an earlier revision as the newest one."""
        fields, unit = self._valid(RestoreRevisionSerializer), self.get_object()
        get_object_or_404(unit.revisions, number=fields["number"])
        unit = services.restore_revision(unit=unit, author=self.user, **fields)
        conflicts.check_soon(unit)
        return self._answer(unit)

    def _valid(self, kind: type[serializers.Serializer[Any]]) -> dict[str, Any]:
        serializer = kind(data=self.request.data, context=self.get_serializer_context())
        serializer.is_valid(raise_exception=True)
        return cast(dict[str, Any], serializer.validated_data)

    def _answer(self, unit: KnowledgeUnit) -> Response:
        return Response(self.get_serializer(self.get_queryset().get(pk=unit.pk)).data)
