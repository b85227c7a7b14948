"""REST: what the agent would say, or what a person did, drafted for colleagues."""

from typing import Any, cast
from uuid import UUID

from django.contrib.auth.models import User
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from dialogues.desk import drafting
from dialogues.desk.presenting import newest_draft
from dialogues.models import Conversation, Draft, DraftKind


class DraftStartSerializer(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=DraftKind.choices)


class DraftSerializer(serializers.ModelSerializer[Draft]):
    """`text` is empty until `state` is "done"; `source` says who wrote it."""

    id = serializers.UUIDField(source="public_id", read_only=True)
    state = serializers.CharField(source="job.state", read_only=True)
    error = serializers.CharField(source="job.error", read_only=True)

    class Meta:
        model = Draft
        fields = ["id", "kind", "state", "error", "text", "source", "release", "use"]


class DraftsView(APIView):
    """Drafts of one's own, as the page shows them: none that is used, or older than what was said.

    Whether one was sent as it is or changed is kept where `draft` names it.
    """

    scope = "dialogues.reply"

    @extend_schema(operation_id="desk_drafts_list", responses=DraftSerializer(many=True))
    def get(self, request: Request, conversation: UUID) -> Response:
        row, user = _conversation(request, conversation), cast(User, request.user)
        newest = [newest_draft(row, user, kind) for kind in DraftKind.values]
        return Response(DraftSerializer(list(filter(None, newest)), many=True).data)

    @extend_schema(request=DraftStartSerializer, responses={201: DraftSerializer})
    def post(self, request: Request, conversation: UUID) -> Response:
        """Have an answer or a summary drafted in the background."""
        sent = DraftStartSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        draft = drafting.start(
            conversation=_conversation(request, conversation),
            kind=sent.validated_data["kind"],
            by=cast(User, request.user),  # the permission lets nobody else in
        )
        return Response(DraftSerializer(draft).data, status=201)


def _conversation(request: Request, public_id: UUID) -> Conversation:
    visible: Any = Conversation.objects.visible_to(request.user)
    row: Conversation = get_object_or_404(visible, public_id=public_id)
    return row
