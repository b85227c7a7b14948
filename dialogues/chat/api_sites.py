"""REST: chat sites and their keys."""

from typing import Any, ClassVar, cast

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from dialogues import arranging
from dialogues.chat import sites
from dialogues.models import Algorithm, Site, SiteKey
from dialogues.models.sites import validate_origins
from knowledge.models import Scene
from wowconsole.roles import sees_every_scene

FIELDS = [
    *("slug", "name", "scene", "origins", "identity_required", "citations", "is_active"),
    *("color", "position", "language", "title", "greeting", "snippet", "revision", "based_on"),
]


class SiteSerializer(serializers.ModelSerializer[Site]):
    """A site that embeds the chat; `snippet` is the line for its pages, look included."""

    scene = serializers.SlugRelatedField(
        slug_field="slug", queryset=Scene.objects.all(), required=False, allow_null=True
    )
    origins = serializers.ListField(
        child=serializers.CharField(), required=False, validators=[validate_origins]
    )
    snippet = serializers.SerializerMethodField()
    revision = serializers.SerializerMethodField(help_text="Number of the newest change.")
    based_on = serializers.IntegerField(
        write_only=True, required=False, help_text="The revision that a change was made from."
    )

    class Meta:
        model = Site
        fields = FIELDS

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        fields = super().get_fields()
        if request := self.context.get("request"):
            fields["scene"].queryset = Scene.objects.visible_to(request.user)  # type: ignore[attr-defined]
        return fields

    def get_snippet(self, site: Site) -> str:
        return sites.snippet_of(site)

    def get_revision(self, site: Site) -> int:
        known: dict[str, int] | None = self.context.get("revisions")
        return arranging.revision_of(site) if known is None else known.get(site.slug, 0)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if self.instance and attrs.get("slug", self.instance.slug) != self.instance.slug:
            raise serializers.ValidationError({"slug": "It never changes: snippets name it."})
        scene = attrs.get("scene", self.instance.scene if self.instance else None)
        if scene is None and not sees_every_scene(self.context["request"].user):
            raise serializers.ValidationError({"scene": "Name one of your scenes."})
        return attrs


class SiteKeySerializer(serializers.ModelSerializer[SiteKey]):
    """A key of a site; its secret is never told again."""

    is_live = serializers.BooleanField(read_only=True)

    class Meta:
        model = SiteKey
        fields = ["key_id", "algorithm", "is_live", "created_at", "expires_at", "last_used_at"]


class NewSiteKeySerializer(serializers.Serializer[Any]):
    algorithm = serializers.ChoiceField(choices=Algorithm.choices, default=Algorithm.HS256)
    public_key = serializers.CharField(
        default="", allow_blank=True, help_text="PEM; for RS256, which needs one."
    )


class MadeSiteKeySerializer(SiteKeySerializer):
    secret = serializers.CharField(help_text="Told here once; empty for RS256.")

    class Meta(SiteKeySerializer.Meta):
        fields = [*SiteKeySerializer.Meta.fields, "secret"]


class SiteViewSet(
    mixins.CreateModelMixin, mixins.ListModelMixin, mixins.RetrieveModelMixin, GenericViewSet[Any]
):
    """Websites that embed the chat. Keys are for administrators: they speak for any customer."""

    queryset = Site.objects.all()
    serializer_class = SiteSerializer
    lookup_field = "slug"
    scopes: ClassVar[dict[str, str]] = {"read": "dialogues.read", "write": "dialogues.manage"}
    scope: str | None = None  # actions name their own

    def get_queryset(self) -> QuerySet[Site]:
        return Site.objects.visible_to(self.request.user).select_related("scene")

    @property
    def _by(self) -> User:
        return cast(User, self.request.user)  # the permission lets nobody else in

    def get_serializer_context(self) -> dict[str, Any]:
        context = super().get_serializer_context()
        known = arranging.revisions(Site.ARRANGED) if self.action == "list" else None
        return {**context, "revisions": known}

    def _editable(self) -> Site:
        site: Site = self.get_object()
        if not Site.objects.editable_by(self.request.user).contains(site):
            raise PermissionDenied("A site of every scene is for administrators to change.")
        return site

    def perform_create(self, serializer: serializers.BaseSerializer[Site]) -> None:
        self._save(serializer, Site())

    def _save(self, serializer: serializers.BaseSerializer[Site], site: Site) -> None:
        told = dict(serializer.validated_data)
        based_on = told.pop("based_on", None)
        for name, value in told.items():
            setattr(site, name, value)
        arranging.save(site, by=self._by, based_on=based_on)
        serializer.instance = site

    @extend_schema(request=SiteSerializer, responses=SiteSerializer)
    def partial_update(self, request: Request, slug: str) -> Response:
        """Change what is named. 409 if somebody changed it since `based_on`."""
        site = self._editable()
        serializer = self.get_serializer(site, data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        self._save(serializer, site)
        return Response(serializer.data)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, slug: str) -> Response:
        """Remove a site that no chat, event or opt-out is of, with its keys; else 409."""
        sites.remove_site(self._editable(), by=self._by)
        return Response(status=204)

    @extend_schema(responses=SiteKeySerializer(many=True))
    @action(detail=True)
    def keys(self, request: Request, slug: str) -> Response:
        """The keys of a site, the newest first."""
        page = self.paginate_queryset(self.get_object().keys.all())
        return self.get_paginated_response(SiteKeySerializer(page, many=True).data)

    @extend_schema(request=NewSiteKeySerializer, responses={201: MadeSiteKeySerializer})
    @action(detail=True, methods=["post"], url_path="keys/new", scope="admin")
    def new_key(self, request: Request, slug: str) -> Response:
        """Make a key, to begin or to rotate; the answer alone tells its secret."""
        new = NewSiteKeySerializer(data=request.data)
        new.is_valid(raise_exception=True)
        key, secret = sites.add_key(self._editable(), by=self._by, **new.validated_data)
        told = {**SiteKeySerializer(key).data, "secret": secret}
        return Response(told, status=201, headers={"Cache-Control": "no-store"})

    @extend_schema(request=None, responses=SiteKeySerializer)
    @action(
        detail=True, methods=["post"], url_path="keys/(?P<key_id>[a-z0-9_]+)/end", scope="admin"
    )
    def end_key(self, request: Request, slug: str, key_id: str) -> Response:
        """Let a key prove nothing from now on."""
        key = get_object_or_404(self._editable().keys, key_id=key_id)
        return Response(SiteKeySerializer(sites.end_key(key, by=self._by)).data)
