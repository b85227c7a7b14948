"""REST: gaps in the rule base, and what came of each rule."""

from typing import Any, ClassVar, cast
from uuid import UUID

from django.contrib.auth.models import User
from django.db.models import Count, QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.generics import GenericAPIView
from rest_framework.pagination import LimitOffsetPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from dialogues.loop import effects, filling
from dialogues.loop.effects import Effect
from dialogues.loop.forms import PERIODS, SORTS, EffectFilterForm
from dialogues.models import Gap
from knowledge.api import VisibleScene

UNITS_AT_ONCE = 200


class GapSerializer(serializers.ModelSerializer[Gap]):
    id = serializers.UUIDField(source="public_id", read_only=True)
    scene = serializers.SlugRelatedField[Any](slug_field="slug", read_only=True)
    unit = serializers.IntegerField(source="unit_id", read_only=True, allow_null=True)
    size = serializers.IntegerField(read_only=True, help_text="Turns that ask it")

    class Meta:
        model = Gap
        fields = ["id", "scene", "title", "state", "unit", "size", "created_at", "decided_at"]


class GapExampleSerializer(serializers.Serializer[filling.Example]):
    turn = serializers.UUIDField(source="turn.public_id")
    conversation = serializers.UUIDField(source="turn.conversation.public_id")
    asked = serializers.CharField()
    answer = serializers.CharField(help_text="What a person answered; may be empty")
    to_person = serializers.BooleanField()


class GapDraftSerializer(serializers.Serializer[Any]):
    """`answer` empty takes what a person answered; `scene` is for gaps of no scene."""

    answer = serializers.CharField(default="", allow_blank=True)
    scene = VisibleScene(required=False, allow_null=True)


class DraftedSerializer(serializers.Serializer[Any]):
    unit = serializers.IntegerField()


class GapViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, GenericViewSet[Any]):
    """Questions of like meaning that no rule answers."""

    queryset = Gap.objects.all()
    serializer_class = GapSerializer
    lookup_field = "public_id"
    lookup_value_converter = "uuid"
    scopes: ClassVar[dict[str, str]] = {"read": "dialogues.read", "write": "knowledge.write"}

    def get_queryset(self) -> QuerySet[Gap]:
        visible = Gap.objects.visible_to(self.request.user).select_related("scene", "unit")
        return visible.annotate(size=Count("members", distinct=True))

    @extend_schema(responses=GapExampleSerializer(many=True))
    @action(detail=True, pagination_class=None)
    def examples(self, request: Request, public_id: UUID) -> Response:
        """Return the turns that ask it, the most typical first."""
        evidence = filling.evidence_of(self.get_object(), visible_to=request.user)
        return Response(GapExampleSerializer(cast(Any, evidence.examples), many=True).data)

    @extend_schema(request=GapDraftSerializer, responses={201: DraftedSerializer})
    @action(detail=True, methods=["post"])
    def draft(self, request: Request, public_id: UUID) -> Response:
        """Write the missing rule as a draft; a second call returns the same rule."""
        wanted = GapDraftSerializer(data=request.data, context=self.get_serializer_context())
        wanted.is_valid(raise_exception=True)
        unit = filling.draft_rule(
            gap=self.get_object(),
            by=cast(User, request.user),  # the permission lets nobody else in
            link=request.build_absolute_uri,
            **wanted.validated_data,
        )
        return Response({"unit": unit.pk}, status=201)

    @extend_schema(request=None, responses=GapSerializer)
    @action(detail=True, methods=["post"])
    def dismiss(self, request: Request, public_id: UUID) -> Response:
        """Say that no rule is missing."""
        filling.dismiss(gap=self.get_object(), by=cast(User, request.user))
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(request=None, responses=GapSerializer)
    @action(detail=True, methods=["post"])
    def reopen(self, request: Request, public_id: UUID) -> Response:
        """Take back what was decided."""
        filling.reopen(gap=self.get_object())
        return Response(self.get_serializer(self.get_object()).data)


class EffectSerializer(serializers.Serializer[Effect]):
    unit = serializers.IntegerField(source="unit_id")
    found = serializers.IntegerField(help_text="Turns")
    cited = serializers.IntegerField(help_text="Turns")
    conversations = serializers.IntegerField(help_text="In which it was cited")
    likes = serializers.IntegerField()
    dislikes = serializers.IntegerField()
    rating = serializers.FloatField(
        allow_null=True, help_text="Mean stars of those conversations, null if none was rated"
    )
    rated = serializers.IntegerField(help_text="Conversations that were rated")
    good = serializers.IntegerField(help_text="Turns judged good")
    bad = serializers.IntegerField(help_text="Turns judged bad or wrong")
    handed = serializers.IntegerField(help_text="Conversations that then went to a person")
    handed_share = serializers.FloatField(allow_null=True)
    handed_between = serializers.ListField(
        child=serializers.FloatField(), help_text="95 % interval of the share"
    )
    last_used = serializers.DateTimeField(allow_null=True)
    unused = serializers.BooleanField(help_text="Live for 90 days and not found once in them")


class EffectPages(LimitOffsetPagination):
    default_limit = 50
    max_limit = UNITS_AT_ONCE


class EffectView(GenericAPIView[Any]):
    """How often each rule was found and cited in a period, and what happened after it."""

    scope = "dialogues.read"
    serializer_class = EffectSerializer
    pagination_class = EffectPages

    @extend_schema(
        operation_id="knowledge_effect_list",
        parameters=[
            OpenApiParameter("scene", OpenApiTypes.STR, description="Slug"),
            OpenApiParameter("period", OpenApiTypes.STR, enum=[name for name, _ in PERIODS]),
            OpenApiParameter("unused", OpenApiTypes.BOOL),
            OpenApiParameter("sort", enum=[sign + name for name in SORTS for sign in ("", "-")]),
        ],
        responses=EffectSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        form = EffectFilterForm(request.query_params, user=request.user)
        keys = self.paginate_queryset(cast(Any, form.ranked())) or []  # any list will do
        found = effects.effects(visible_to=request.user, since=form.since, units=keys)
        page = sorted(found, key=lambda effect: keys.index(effect.unit_id))
        return self.get_paginated_response(EffectSerializer(cast(Any, page), many=True).data)
