"""Opening a conversation over HTTP; talking happens on the socket it names."""

from typing import Any
from urllib.parse import urlencode

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import ScopedRateThrottle
from rest_framework.views import APIView

from dialogues import services
from knowledge.models import Scene


class SessionAudienceSerializer(serializers.Serializer[Any]):
    """What the site that opens the chat knows of its customer; a claim, not a proof."""

    channel = serializers.CharField(max_length=40, required=False, allow_blank=True)
    segment = serializers.CharField(max_length=40, required=False, allow_blank=True)
    region = serializers.CharField(max_length=40, required=False, allow_blank=True)

    def to_internal_value(self, data: Any) -> dict[str, str]:
        unknown = set(data) - set(self.fields) if isinstance(data, dict) else set()
        if unknown:
            refusal = f"Known are {', '.join(self.fields)}."
            raise serializers.ValidationError({key: [refusal] for key in sorted(unknown)})
        value: dict[str, str] = super().to_internal_value(data)
        return value


class SessionRequest(serializers.Serializer[Any]):
    scene = serializers.SlugRelatedField(
        slug_field="slug", queryset=Scene.objects.all(), required=False, allow_null=True
    )
    customer = serializers.CharField(max_length=120, required=False, allow_blank=True)
    audience = SessionAudienceSerializer(required=False)


class SessionAnswer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    token = serializers.CharField()
    websocket = serializers.CharField(help_text="Path of the socket, token included.")


class ChatSessionView(APIView):
    """Start a chat. Open to everybody, limited per address; the token is the only key to it."""

    authentication_classes: list[Any] = []
    permission_classes = [AllowAny]
    throttle_classes = [ScopedRateThrottle]
    throttle_scope = "chat-sessions"

    @extend_schema(request=SessionRequest, responses={201: SessionAnswer})
    def post(self, request: Request) -> Response:
        asked = SessionRequest(data=request.data)
        asked.is_valid(raise_exception=True)
        conversation, token = services.start_conversation(
            scene=asked.validated_data.get("scene"),
            customer=asked.validated_data.get("customer", ""),
            audience=asked.validated_data.get("audience"),
        )
        path = f"/ws/chat/{conversation.public_id}/?{urlencode({'token': token})}"
        answer = {"id": conversation.public_id, "token": token, "websocket": path}
        return Response(SessionAnswer(answer).data, status=201)
