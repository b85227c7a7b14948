"""Opening a conversation over HTTP; talking happens on the socket it names."""

from functools import partial
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import ScopedRateThrottle
from rest_framework.views import APIView

from dialogues.chat import attempts, identifying
from dialogues.models import Conversation
from knowledge.models import Scene
from wowconsole.errors import Refused


class UnknownScene(Refused):
    code = "unknown_scene"
    status = 400


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


class ProofSerializer(serializers.Serializer[Any]):
    """Who the customer is, signed by the site: a JWT, or the other four."""

    jwt = serializers.CharField(
        required=False, help_text="HS256 or RS256; `kid` names the key; exp and sub are needed."
    )
    key = serializers.CharField(required=False, help_text="Id of the site's key.")
    customer = serializers.CharField(required=False, help_text="The site's own id of them.")
    expires = serializers.IntegerField(required=False, help_text="Unix seconds.")
    signature = serializers.CharField(
        required=False, help_text='Hex HMAC-SHA256 over "<expires>.<customer>".'
    )

    def to_internal_value(self, data: Any) -> Any:
        return data  # whatever is wrong with it, identifying says so in its own words


class SessionRequest(serializers.Serializer[Any]):
    scene = serializers.CharField(
        required=False, allow_null=True, allow_blank=True, help_text="Slug."
    )
    customer = serializers.CharField(max_length=120, required=False, allow_blank=True)
    audience = SessionAudienceSerializer(required=False)
    site = serializers.SlugField(required=False, allow_blank=True)
    identity = ProofSerializer(required=False, allow_null=True)
    attempt = serializers.CharField(
        required=False,
        allow_blank=True,
        min_length=attempts.SHORTEST,
        max_length=attempts.LONGEST,
        help_text="At random; whoever asks again with it gets the same chat, and nobody else may.",
    )
    waiting = serializers.BooleanField(
        default=False, help_text="Only a chat in which we spoke first to this customer; or 204."
    )

    def validate_scene(self, slug: str | None) -> Scene | None:
        if not slug:
            return None
        if scene := Scene.objects.filter(slug=slug).first():
            return scene
        raise UnknownScene(f"There is no scene “{slug}”.")


class SessionAnswer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    token = serializers.CharField()
    websocket = serializers.CharField(help_text="Path of the socket, token included.")
    identified = serializers.BooleanField(help_text="Whether the site proved who this is.")


class ChatSessionView(APIView):
    """Start a chat. Open to everybody, limited per address; the token is the only key to it."""

    authentication_classes: list[Any] = []
    permission_classes = [AllowAny]
    throttle_classes = [ScopedRateThrottle]
    throttle_scope = "chat-sessions"

    @extend_schema(
        request=SessionRequest,
        responses={
            201: SessionAnswer,
            204: OpenApiResponse(description="Nothing waits."),
            400: OpenApiResponse(description="`unknown_scene`, or fields that are wrong."),
        },
    )
    def post(self, request: Request) -> Response:
        asked = SessionRequest(data=request.data)
        asked.is_valid(raise_exception=True)
        given, origin = asked.validated_data, _foreign_origin(request)
        opened = attempts.once(given.get("attempt", ""), partial(_open, given, origin))
        return _answer(*opened) if opened else Response(status=204)


def _open(given: dict[str, Any], origin: str, token: str) -> tuple[Conversation, str] | None:
    if given["waiting"]:
        return identifying.waiting_chat(origin=origin, proof=given.get("identity"), token=token)
    return identifying.open_chat(
        site=given.get("site", ""),
        origin=origin,
        proof=given.get("identity"),
        scene=given.get("scene"),
        customer=given.get("customer", ""),
        audience=given.get("audience"),
        token=token,
    )


def _answer(conversation: Conversation, token: str) -> Response:
    path = f"/ws/chat/{conversation.public_id}/?{urlencode({'token': token})}"
    answer = {"id": conversation.public_id, "token": token, "websocket": path}
    answer["identified"] = conversation.identified_at is not None
    return Response(SessionAnswer(answer).data, status=201)


def _foreign_origin(request: Request) -> str:
    """Return the origin of the page that asks, empty for a program and for a page of ours."""
    origin = request.headers.get("Origin", "").lower()
    own = f"{request.scheme}://{request.get_host()}".lower()
    return "" if origin in {own, settings.PUBLIC_URL.lower()} else origin
