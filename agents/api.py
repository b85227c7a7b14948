"""REST API of models, releases and tools."""

from typing import Any, cast

from django.contrib.auth.models import User
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from agents import services
from agents.models import ModelVersion, Promotion, Release, Tool

SCOPES = {"read": "agents.read", "write": "agents.write"}


class VersionSerializer(serializers.ModelSerializer[ModelVersion]):
    id = serializers.UUIDField(source="public_id", read_only=True)
    base = serializers.SlugRelatedField[ModelVersion](slug_field="name", read_only=True)

    class Meta:
        model = ModelVersion
        fields = ["id", "name", "kind", "base", "sha256", "description", "created_at"]


class ReleaseSerializer(serializers.ModelSerializer[Release]):
    id = serializers.UUIDField(source="public_id", read_only=True)
    version = serializers.SlugRelatedField[ModelVersion](
        slug_field="name", queryset=ModelVersion.objects.all()
    )
    tools = serializers.ListField(child=serializers.CharField(), required=False)
    quote_rules = serializers.BooleanField(
        write_only=True, default=False, help_text="Say a rule as it is written."
    )

    class Meta:
        model = Release
        fields = ["id", "name", "version", "prompt", "tools", "quote_rules", "limits", "created_at"]
        read_only_fields = ["prompt", "limits", "created_at"]


class PromotionSerializer(serializers.ModelSerializer[Promotion]):
    release = serializers.SlugRelatedField[Release](slug_field="name", read_only=True)
    by = serializers.SlugRelatedField[User](slug_field="username", read_only=True)

    class Meta:
        model = Promotion
        fields = ["release", "by", "reason", "at"]


class ReasonSerializer(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=300, required=False, allow_blank=True, default="")


class ToolSerializer(serializers.ModelSerializer[Tool]):
    class Meta:
        model = Tool
        fields = ["name", "description", "method", "url", "parameters", "confirmation", "is_active"]


class VersionViewSet(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[ModelVersion]
):
    """Weights the registry knows."""

    queryset = ModelVersion.objects.select_related("base")
    serializer_class = VersionSerializer
    lookup_field = "name"
    scopes = SCOPES


class ToolViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Tool]):
    """What agents may call. Tools are added in the admin site."""

    queryset = Tool.objects.all()
    serializer_class = ToolSerializer
    lookup_field = "name"
    scopes = SCOPES

    def get_queryset(self) -> QuerySet[Tool]:
        return Tool.objects.visible_to(self.request.user)


class ReleaseViewSet(
    mixins.CreateModelMixin,
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    viewsets.GenericViewSet[Release],
):
    """Releases by name. They never change; promoting one is a row of the ledger."""

    queryset = Release.objects.select_related("version")
    serializer_class = ReleaseSerializer
    lookup_field = "name"
    scopes = SCOPES

    def perform_create(self, serializer: BaseSerializer[Release]) -> None:
        by = cast(User, self.request.user)
        serializer.instance = services.make_release(by=by, **serializer.validated_data)

    @extend_schema(request=ReasonSerializer, responses={201: PromotionSerializer})
    @action(detail=True, methods=["post"])
    def promote(self, request: Request, name: str) -> Response:
        """Let this release answer every conversation that begins from now on."""
        by = cast(User, request.user)
        promotion = services.promote(release=self.get_object(), by=by, reason=_reason(request))
        return _created(promotion)

    @extend_schema(request=ReasonSerializer, responses={201: PromotionSerializer})
    @action(detail=False, methods=["post"])
    def rollback(self, request: Request) -> Response:
        """Put back the release that was live before."""
        by = cast(User, request.user)
        return _created(services.roll_back(by=by, reason=_reason(request)))


def _reason(request: Request) -> str:
    given = ReasonSerializer(data=request.data)
    given.is_valid(raise_exception=True)
    return str(given.validated_data["reason"])


def _created(promotion: Promotion) -> Response:
    return Response(PromotionSerializer(promotion).data, status=status.HTTP_201_CREATED)
