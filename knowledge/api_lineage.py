"""REST: merging rules and splitting them."""

from typing import Any, cast

from django.contrib.auth.models import User
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from knowledge import conflicts, lineage
from knowledge.api import EditSerializer, UnitSerializer, UnitTextSerializer
from knowledge.models import KnowledgeUnit


class MergeSerializer(EditSerializer):
    """The merged text; what is left out stays as it is, and wordings of all are taken."""

    others = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=10**9),
        min_length=1,
        max_length=lineage.MOST_SOURCES,
    )

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        fields = super().get_fields()
        fields["others"].required = True
        return fields


class SplitSerializer(serializers.Serializer[Any]):
    """The parts, each a whole text; with `keep` the first stays this rule."""

    parts = serializers.ListField(
        child=UnitTextSerializer(), min_length=2, max_length=lineage.MOST_PARTS
    )
    based_on = serializers.IntegerField()
    keep = serializers.BooleanField(default=True)


class LineageView(APIView):
    scope = "knowledge.write"

    def unit(self, pk: int) -> KnowledgeUnit:
        visible = KnowledgeUnit.objects.visible_to(self.request.user).with_latest()
        unit: KnowledgeUnit = get_object_or_404(visible, pk=pk)
        return unit

    def valid(self, serializer: serializers.Serializer[Any]) -> dict[str, Any]:
        serializer.is_valid(raise_exception=True)
        return cast(dict[str, Any], serializer.validated_data)

    @property
    def user(self) -> User:
        return cast(User, self.request.user)  # HasScope lets only users with a role pass


class MergeView(LineageView):
    @extend_schema(request=MergeSerializer, responses=UnitSerializer)
    def post(self, request: Request, pk: int) -> Response:
        """Take other rules in: they are archived at once, the merged text is a draft."""
        fields = self.valid(MergeSerializer(data=request.data))
        merged = lineage.merge_units(
            survivor=self.unit(pk),
            others=[self.unit(other) for other in fields.pop("others")],
            based_on=fields.pop("based_on"),
            fields=cast(Any, fields),
            by=self.user,
        )
        conflicts.check_soon(merged)
        return Response(UnitSerializer(self.unit(pk)).data)


class SplitView(LineageView):
    @extend_schema(request=SplitSerializer, responses={201: UnitSerializer(many=True)})
    def post(self, request: Request, pk: int) -> Response:
        """Make drafts of the parts; the answer lists them in order."""
        asked = self.valid(SplitSerializer(data=request.data))
        new = lineage.split_unit(unit=self.unit(pk), by=self.user, **asked)
        for part in new:
            conflicts.check_soon(part)
        fresh = [self.unit(part.pk) for part in new]
        return Response(UnitSerializer(fresh, many=True).data, status=201)
