"""REST: events of business systems in, policies and what they decided out, a customer's no."""

from dataclasses import asdict
from typing import Any, ClassVar
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import mixins, serializers
from rest_framework.authentication import get_authorization_header
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound, ParseError
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from dialogues import services
from dialogues.models import (
    Conversation,
    Outcome,
    ProactiveDecision,
    ProactivePolicy,
    ProactiveVersion,
    Site,
)
from dialogues.proactive import effect as proactive_effect
from dialogues.proactive import policies, receiving
from knowledge.models import Scene
from wowconsole.apikeys import ApiKeyAuthentication, HasScope
from wowconsole.errors import Invalid
from wowconsole.parsers import LevelJSONParser

LARGEST_EVENT = 65_536  # bytes
LARGEST_DATA = 100  # fields
TIMESTAMP, SIGNATURE = "X-Events-Timestamp", "X-Events-Signature"


class NewEventSerializer(serializers.Serializer[Any]):
    id = serializers.CharField(max_length=120, help_text="yours; told again, it is stored once")
    type = serializers.SlugField(max_length=60, help_text="order_late")
    customer = serializers.CharField(max_length=120, help_text="your id of the customer")
    # The metaclass takes declared fields out of the class: `data` stays the property.
    data = serializers.DictField(  # type: ignore[assignment]
        default=dict, help_text="what policies ask of and messages tell"
    )
    time_zone = serializers.CharField(default="", allow_blank=True, help_text="Europe/Paris")
    scene = serializers.SlugRelatedField(
        slug_field="slug", queryset=Scene.objects.all(), required=False, allow_null=True
    )
    site = serializers.SlugRelatedField(
        slug_field="slug",
        queryset=Site.objects.all(),
        required=False,
        allow_null=True,
        help_text="whose customer it is; needed where several are switched on",
    )
    occurred_at = serializers.DateTimeField(required=False)

    def validate_data(self, data: dict[str, Any]) -> dict[str, Any]:
        if len(data) > LARGEST_DATA:
            raise serializers.ValidationError(f"At most {LARGEST_DATA} fields.")
        return data


class EventAnswer(serializers.Serializer[Any]):
    id = serializers.UUIDField(source="public_id")
    event_id = serializers.CharField()
    received_at = serializers.DateTimeField()


class MaySendEvents(HasScope):
    """A signed delivery, or a key with `dialogues.reply`."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        if SIGNATURE not in request.headers:
            return super().has_permission(request, view)
        receiving.verify(
            timestamp=request.headers.get(TIMESTAMP, ""),
            signature=request.headers[SIGNATURE],
            body=request._request.body,  # what was signed, before anybody parsed it
        )
        return True


class EventsView(APIView):
    """Tell what happened to a customer; policies decide who is told of it.

    Signed: `X-Events-Signature` is the HMAC-SHA256, in hexadecimal, of
    `<X-Events-Timestamp>.<body>` with EVENTS_KEY; good for five minutes. Or with an API key:
    then for a scene and a site that its user sees.
    """

    authentication_classes = [ApiKeyAuthentication]
    permission_classes = [MaySendEvents]
    parser_classes = [LevelJSONParser]
    scope = "dialogues.reply"

    @extend_schema(
        operation_id="events_create",
        request=NewEventSerializer,
        responses={200: EventAnswer, 202: EventAnswer},
        parameters=[
            OpenApiParameter(TIMESTAMP, OpenApiTypes.INT, OpenApiParameter.HEADER),
            OpenApiParameter(SIGNATURE, OpenApiTypes.STR, OpenApiParameter.HEADER),
        ],
    )
    def post(self, request: Request) -> Response:
        if len(request._request.body) > LARGEST_EVENT:
            raise Invalid(f"An event has at most {LARGEST_EVENT} bytes.")
        new = NewEventSerializer(data=request.data)
        new.is_valid(raise_exception=True)
        told = dict(new.validated_data)
        event, is_new = receiving.receive(
            event_id=told.pop("id"),
            customer_ref=told.pop("customer"),
            by=None if SIGNATURE in request.headers else request.user,
            **told,
        )
        return Response(EventAnswer(event).data, status=202 if is_new else 200)


class NoNewsView(APIView):
    """The customer wants to be told nothing unasked, ever; with the session's token."""

    authentication_classes: list[Any] = []
    permission_classes = [AllowAny]

    @extend_schema(request=None, responses={204: None})
    def post(self, request: Request, session: UUID) -> Response:
        token = get_authorization_header(request).partition(b" ")[2].decode("latin-1").strip()
        conversation = Conversation.objects.filter(public_id=session).first()
        if conversation is None or not services.opens(conversation, token):
            raise NotFound("There is no such session, or its token is another.")
        policies.opt_out(conversation)
        return Response(status=204)


class PolicyVersionSerializer(serializers.ModelSerializer[ProactiveVersion]):
    scene = serializers.SlugRelatedField[Any](slug_field="slug", read_only=True)
    created_by = serializers.SlugRelatedField[Any](slug_field="username", read_only=True)

    class Meta:
        model = ProactiveVersion
        fields = [
            *("number", "event_type", "conditions", "scene", "wording", "template", "reach"),
            *("delay_minutes", "stale_minutes", "cooldown_hours", "priority"),
            *("valid_from", "valid_until", "holdout_percent", "contact_hours"),
            *("promise", "promise_minutes", "kept_by", "kept_field", "over_by", "created_by"),
            "created_at",
        ]


class PolicySerializer(serializers.ModelSerializer[ProactivePolicy]):
    id = serializers.UUIDField(source="public_id", read_only=True)
    version = PolicyVersionSerializer(read_only=True)

    class Meta:
        model = ProactivePolicy
        fields = ["id", "name", "is_active", "version", "created_at"]


class GroupsSerializer(serializers.Serializer[Any]):
    """`difference` is told less held out, with its 95 % interval (Newcombe)."""

    name = serializers.CharField()
    told = serializers.DictField(help_text="hits, total")
    held = serializers.DictField(help_text="hits, total")
    difference = serializers.FloatField()
    interval = serializers.ListField(child=serializers.FloatField())
    in_words = serializers.CharField()


class PolicyDetailSerializer(PolicySerializer):
    effect = serializers.SerializerMethodField()

    class Meta(PolicySerializer.Meta):
        fields = [*PolicySerializer.Meta.fields, "effect"]

    @extend_schema_field(GroupsSerializer(many=True))
    def get_effect(self, policy: ProactivePolicy) -> list[dict[str, Any]]:
        return [
            {
                "name": measure.name,
                "told": asdict(measure.told),
                "held": asdict(measure.held),
                "difference": measure.difference,
                "interval": list(measure.interval),
                "in_words": measure.in_words,
            }
            for measure in proactive_effect.effect_of(policy)
        ]


class DecisionSerializer(serializers.ModelSerializer[ProactiveDecision]):
    id = serializers.UUIDField(source="public_id", read_only=True)
    event = serializers.CharField(source="event.event_id", read_only=True)
    version = serializers.IntegerField(source="version.number", read_only=True)
    conversation = serializers.UUIDField(
        source="conversation.public_id", read_only=True, allow_null=True, default=None
    )

    class Meta:
        model = ProactiveDecision
        fields = [
            *("id", "event", "version", "customer_ref", "outcome", "reason", "due_at"),
            *("conversation", "created_at", "decided_at"),
        ]


class ProactivePolicyViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, GenericViewSet[Any]):
    """When the agent speaks first; one policy comes with its measured effect."""

    queryset = ProactivePolicy.objects.all()
    lookup_field = "public_id"
    lookup_value_converter = "uuid"
    scopes: ClassVar[dict[str, str]] = {"read": "dialogues.read"}

    def get_queryset(self) -> QuerySet[ProactivePolicy]:
        visible = ProactivePolicy.objects.visible_to(self.request.user)
        return visible.select_related("version__scene", "version__created_by")

    def get_serializer_class(self) -> type[PolicySerializer]:
        return PolicyDetailSerializer if self.action == "retrieve" else PolicySerializer

    @extend_schema(
        parameters=[OpenApiParameter("outcome", OpenApiTypes.STR, enum=Outcome.values)],
        responses=DecisionSerializer(many=True),
    )
    @action(detail=True)
    def decisions(self, request: Request, public_id: UUID) -> Response:
        """The ledger: of which events customers were told, and why not of others."""
        outcome = request.query_params.get("outcome", "")
        if outcome and outcome not in Outcome.values:
            raise ParseError(f"Known outcomes are {', '.join(Outcome.values)}.")
        seen = self.get_object().decisions.visible_to(request.user)
        rows = seen.select_related("event", "version", "conversation")
        page = self.paginate_queryset(rows.filter(outcome=outcome) if outcome else rows)
        return self.get_paginated_response(DecisionSerializer(page, many=True).data)
