"""REST API of models and releases."""

from typing import Any, cast

from django.contrib.auth.models import User
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from agents import services
from agents.models import Composition, ModelVersion, Promotion, Release
from knowledge.models import Scene
from wowconsole.errors import Invalid

SCOPES = {"read": "agents.read", "write": "agents.write"}


class VersionSerializer(serializers.ModelSerializer[ModelVersion]):
    id = serializers.UUIDField(source="public_id", read_only=True)
    base = serializers.SlugRelatedField[ModelVersion](slug_field="name", read_only=True)

    class Meta:
        model = ModelVersion
        fields = [
            "id",
            "name",
            "kind",
            "base",
            "sha256",
            "description",
            "input_price",
            "output_price",
            "created_at",
        ]


class ReleaseSerializer(serializers.ModelSerializer[Release]):
    id = serializers.UUIDField(source="public_id", read_only=True)
    version = serializers.SlugRelatedField[ModelVersion](
        slug_field="name", queryset=ModelVersion.objects.all()
    )
    tools = serializers.ListField(child=serializers.CharField(), required=False)
    quote_rules = serializers.BooleanField(
        write_only=True, default=False, help_text="Say a rule as it is written."
    )
    composition = serializers.DictField(
        child=serializers.ChoiceField(Composition.choices),
        write_only=True,
        required=False,
        help_text='Who words a reply, by the risk of its rules: {"high": "strict"}.',
    )
    budget = serializers.DictField(
        child=serializers.FloatField(min_value=0),
        write_only=True,
        required=False,
        help_text="What one turn may take: steps, tokens, seconds, money (dollars), rules to read.",
    )

    class Meta:
        model = Release
        fields = [
            "id",
            "name",
            "version",
            "prompt",
            "tools",
            "quote_rules",
            "composition",
            "budget",
            "limits",
            "created_at",
        ]
        read_only_fields = ["prompt", "limits", "created_at"]


class PromotionSerializer(serializers.ModelSerializer[Promotion]):
    release = serializers.SlugRelatedField[Release](slug_field="name", read_only=True)
    scene = serializers.SlugRelatedField[Scene](slug_field="slug", read_only=True)
    by = serializers.SlugRelatedField[User](slug_field="username", read_only=True)

    class Meta:
        model = Promotion
        fields = ["release", "scene", "by", "reason", "at"]


class ReasonSerializer(serializers.Serializer[Any]):
    scene = serializers.SlugField(
        required=False, help_text="Slug; without it: every scene that has no release of its own."
    )
    reason = serializers.CharField(max_length=300, required=False, allow_blank=True, default="")


class VersionViewSet(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[ModelVersion]
):
    """Weights the registry knows."""

    queryset = ModelVersion.objects.select_related("base")
    serializer_class = VersionSerializer
    lookup_field = "name"
    scopes = SCOPES


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
        where = _where_and_why(request)
        return _created(services.promote(release=self.get_object(), by=by, **where))

    @extend_schema(request=ReasonSerializer, responses={201: PromotionSerializer})
    @action(detail=False, methods=["post"])
    def rollback(self, request: Request) -> Response:
        """Put back the release that was live before."""
        by = cast(User, request.user)
        return _created(services.roll_back(by=by, **_where_and_why(request)))


def _where_and_why(request: Request) -> dict[str, Any]:
    given = ReasonSerializer(data=request.data)
    given.is_valid(raise_exception=True)
    scene = None
    if slug := given.validated_data.get("scene"):
        scene = Scene.objects.visible_to(cast(User, request.user)).filter(slug=slug).first()
        if scene is None:
            raise Invalid(f"There is no scene {slug}.")
    return {"scene": scene, "reason": given.validated_data["reason"]}


def _created(promotion: Promotion) -> Response:
    return Response(PromotionSerializer(promotion).data, status=status.HTTP_201_CREATED)
