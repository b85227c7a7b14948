"""REST: what answers cost, and why a turn was answered as it was."""

from dataclasses import asdict
from datetime import timedelta
from typing import Any, ClassVar, cast

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from agents.models import Release
from dialogues import supposing
from dialogues.costs import costing
from dialogues.models import Turn, WhatIf
from knowledge.models import JobState, Revision


class CostQuery(serializers.Serializer[Any]):
    days = serializers.IntegerField(min_value=1, max_value=365, default=30)
    by = serializers.ChoiceField(list(costing.GROUPS), default="release")


class CostShareSerializer(serializers.Serializer[costing.Share]):
    name = serializers.CharField()
    conversations = serializers.IntegerField()
    turns = serializers.IntegerField()
    jobs = serializers.IntegerField(help_text="Of sub-agents.")
    cost = serializers.DecimalField(max_digits=18, decimal_places=6, help_text="US dollars")
    tokens = serializers.IntegerField()
    engine_calls = serializers.IntegerField()
    unreadable = serializers.IntegerField(help_text="Engine calls without a readable action.")
    unbacked = serializers.IntegerField(help_text="Engine calls that said what has no source.")
    degraded = serializers.IntegerField(help_text="Turns answered by a rule or a person instead.")


class CostsSerializer(serializers.Serializer[Any]):
    whole = CostShareSerializer()
    groups = CostShareSerializer(many=True)


class CostsView(APIView):
    scopes: ClassVar[dict[str, str]] = {"read": "dialogues.read"}

    @extend_schema(parameters=[CostQuery], responses=CostsSerializer)
    def get(self, request: Request) -> Response:
        """Costs of the turns and jobs of the last days, in all and by group, the dearest first."""
        asked = CostQuery(data=request.query_params)
        asked.is_valid(raise_exception=True)
        since = timezone.now() - timedelta(days=asked.validated_data["days"])
        spending = costing.spending_since(cast(User, request.user), since)
        groups = costing.by_group(spending, asked.validated_data["by"])
        whole = asdict(costing.whole(spending))
        answer = {"whole": whole, "groups": [asdict(row) for row in groups]}
        return Response(CostsSerializer(answer).data)


class NewWhatIf(serializers.Serializer[Any]):
    turn = serializers.UUIDField()
    unit = serializers.IntegerField(required=False, help_text="Rule that the turn had found.")
    revision = serializers.IntegerField(
        required=False, help_text="Number of the version to read instead; none: without the rule."
    )
    release = serializers.SlugField(required=False, help_text="Instead of a rule: who answers.")


class WhatIfSerializer(serializers.ModelSerializer[WhatIf]):
    id = serializers.UUIDField(source="public_id", read_only=True)
    turn = serializers.UUIDField(source="turn.public_id", read_only=True)
    unit = serializers.IntegerField(source="revision.unit_id", default=None, read_only=True)
    revision = serializers.IntegerField(source="revision.number", default=None, read_only=True)
    release = serializers.SlugRelatedField[Release](slug_field="name", read_only=True)
    state = serializers.ChoiceField(source="job.state", choices=JobState.choices, read_only=True)
    error = serializers.CharField(source="job.error", read_only=True)

    class Meta:
        model = WhatIf
        fields = [
            *("id", "turn", "kind", "unit", "revision", "release", "state", "error"),
            *("shown", "output", "at"),
        ]


class WhatIfViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, GenericViewSet[WhatIf]):
    """Turns asked again with one thing changed: without a rule, or by another release."""

    queryset = WhatIf.objects.all()
    serializer_class = WhatIfSerializer
    lookup_field = "public_id"
    lookup_value_converter = "uuid"
    scopes: ClassVar[dict[str, str]] = {"read": "dialogues.read", "write": "dialogues.judge"}

    def get_queryset(self) -> QuerySet[WhatIf]:
        visible = WhatIf.objects.visible_to(self.request.user)
        return visible.select_related("turn", "revision", "release", "job")

    @extend_schema(request=NewWhatIf, responses={201: WhatIfSerializer})
    def create(self, request: Request) -> Response:
        new = NewWhatIf(data=request.data)
        new.is_valid(raise_exception=True)
        asked = new.validated_data
        by = cast(User, request.user)
        turn = get_object_or_404(Turn.objects.visible_to(by), public_id=asked["turn"])
        named = Release.objects.filter(name=asked.get("release", ""))
        release = get_object_or_404(named) if "release" in asked else None
        row = supposing.suppose(turn=turn, by=by, revision=_revision(turn, asked), release=release)
        return Response(WhatIfSerializer(self.get_queryset().get(pk=row.pk)).data, status=201)


def _revision(turn: Turn, asked: dict[str, Any]) -> Revision | None:
    if "unit" not in asked:
        return None
    found = get_object_or_404(turn.units.select_related("revision"), unit=asked["unit"])
    if "revision" not in asked:
        return found.revision
    revision: Revision = get_object_or_404(found.unit.revisions, number=asked["revision"])
    return revision
