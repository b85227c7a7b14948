"""REST: plans of calls, and trying them on somebody simulated."""

from typing import Any, ClassVar, cast

from django.contrib.auth.models import User
from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from agents.subagents.callees import Temper
from dialogues import arranging
from dialogues.jobs import planning, trying
from dialogues.models import CallPlan, CallTrial

FIELDS = [
    *("name", "description", "parameters", "card", "look_up"),
    *("confirmation", "confirmation_zh", "addresses", "is_active", "revision", "based_on"),
]


class CallPlanSerializer(serializers.ModelSerializer[CallPlan]):
    """A goal card with {blanks}, what the agent passes, and whom it reaches."""

    parameters = serializers.DictField(help_text="JSON schema of what the agent passes")
    card = serializers.DictField(help_text="whom, why, facts, offers, stop…")
    addresses = serializers.DictField(
        child=serializers.CharField(allow_blank=True),
        required=False,
        help_text="Name of whom the card calls, or * → link:, simulated:terse, …",
    )
    revision = serializers.SerializerMethodField(help_text="Number of the newest change.")
    based_on = serializers.IntegerField(
        write_only=True, required=False, help_text="The revision that a change was made from."
    )

    class Meta:
        model = CallPlan
        fields = FIELDS

    def get_revision(self, plan: CallPlan) -> int:
        known: dict[str, int] | None = self.context.get("revisions")
        return arranging.revision_of(plan) if known is None else known.get(plan.name, 0)

    def validate_name(self, name: str) -> str:
        if self.instance and name != self.instance.name:
            raise serializers.ValidationError("It never changes: releases and calls name it.")
        return name


class ScriptStepSerializer(serializers.Serializer[Any]):
    when = serializers.CharField()
    words = serializers.CharField()


class CallPreviewSerializer(serializers.Serializer[Any]):
    """What the calling model is told, and what the callee would hear; blanks in brackets."""

    system = serializers.CharField()
    script = ScriptStepSerializer(many=True)
    problem = serializers.CharField(help_text="Why no call could be led by it; usually empty")


class CallTrialSerializer(serializers.ModelSerializer[CallTrial]):
    """A call with somebody simulated; `report` holds the score by the rubric."""

    id = serializers.UUIDField(source="public_id", read_only=True)
    plan = serializers.SlugRelatedField[Any](slug_field="name", read_only=True)
    state = serializers.CharField(source="job.state", read_only=True)
    by = serializers.CharField(source="job.by.username", read_only=True)

    class Meta:
        model = CallTrial
        fields = [
            *("id", "plan", "temper", "seed", "model_words", "state", "by", "card", "lines"),
            *("result", "report", "created_at"),
        ]


class NewCallTrialSerializer(serializers.Serializer[Any]):
    temper = serializers.ChoiceField(choices=[temper.value for temper in Temper])
    seed = serializers.IntegerField(min_value=0, max_value=trying.LARGEST_SEED, default=0)
    values = serializers.DictField(
        child=serializers.CharField(max_length=120), default=dict, help_text="Of the card's blanks"
    )
    model_words = serializers.BooleanField(
        default=False, help_text="The live release's model words the questions"
    )


class CallPlanViewSet(
    mixins.CreateModelMixin,
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    GenericViewSet[CallPlan],
):
    """Whom agents may have called, and how far. They decide that, so administrators write them."""

    queryset = CallPlan.objects.all()
    serializer_class = CallPlanSerializer
    lookup_field = "name"
    scopes: ClassVar[dict[str, str]] = {"read": "dialogues.read", "write": "admin"}
    scope: str | None = None  # actions name their own

    def get_serializer_context(self) -> dict[str, Any]:
        context = super().get_serializer_context()
        known = arranging.revisions(CallPlan.ARRANGED) if self.action == "list" else None
        return {**context, "revisions": known}

    def perform_create(self, serializer: serializers.BaseSerializer[CallPlan]) -> None:
        self._save(serializer, CallPlan())

    def _save(self, serializer: serializers.BaseSerializer[CallPlan], plan: CallPlan) -> None:
        told = dict(serializer.validated_data)
        based_on = told.pop("based_on", None)
        for name, value in told.items():
            setattr(plan, name, value)
        planning.save_plan(plan, by=cast(User, self.request.user), based_on=based_on)
        serializer.instance = plan

    @extend_schema(request=CallPlanSerializer, responses=CallPlanSerializer)
    def partial_update(self, request: Request, name: str) -> Response:
        """Change what is named; its tool follows. 409 if it was changed since `based_on`."""
        serializer = self.get_serializer(self.get_object(), data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        self._save(serializer, self.get_object())
        return Response(serializer.data)

    @extend_schema(responses=CallPreviewSerializer)
    @action(detail=True)
    def preview(self, request: Request, name: str) -> Response:
        """The plan as it is spoken."""
        return Response(CallPreviewSerializer(planning.preview(self.get_object())).data)

    @extend_schema(
        operation_id="call_plans_try",
        request=NewCallTrialSerializer,
        responses={201: CallTrialSerializer},
    )
    @action(detail=True, methods=["post"], url_path="try", scope="dialogues.manage")
    def try_out(self, request: Request, name: str) -> Response:
        """Lead a call with somebody simulated, as a job; look at `call-trials/{id}/`."""
        new = NewCallTrialSerializer(data=request.data)
        new.is_valid(raise_exception=True)
        by = cast(User, request.user)
        trial = trying.try_plan(self.get_object(), by=by, **new.validated_data)
        return Response(CallTrialSerializer(trial).data, status=201)


class CallTrialViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, GenericViewSet[CallTrial]):
    """Calls with somebody simulated, the newest first."""

    queryset = CallTrial.objects.select_related("plan", "job__by")
    serializer_class = CallTrialSerializer
    lookup_field = "public_id"
    lookup_value_converter = "uuid"
    scopes: ClassVar[dict[str, str]] = {"read": "dialogues.read"}

    def get_queryset(self) -> QuerySet[CallTrial]:
        trials = CallTrial.objects.select_related("plan", "job__by")
        plan = self.request.GET.get("plan", "").replace("\0", "")
        return trials.filter(plan__name=plan) if plan else trials

    @extend_schema(parameters=[OpenApiParameter("plan", OpenApiTypes.STR, description="Its name")])
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().list(request, *args, **kwargs)
