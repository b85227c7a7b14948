"""REST: revisions on their way to customers, and how two revisions differ."""

from typing import Any, cast

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins, serializers, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from knowledge import services, submitting
from knowledge.api import SCOPES
from knowledge.differing import Piece, differences
from knowledge.models import KnowledgeUnit, Submission, SubmissionState


class SubmissionSerializer(serializers.ModelSerializer[Submission]):
    """A revision that was submitted; `decision` says why it was sent back or failed."""

    id = serializers.UUIDField(source="public_id", read_only=True)
    scene = serializers.CharField(source="unit.scene.slug", read_only=True)
    revision = serializers.IntegerField(source="revision.number", read_only=True)
    title = serializers.CharField(source="revision.title", read_only=True)
    by = serializers.CharField(source="by.username", read_only=True)
    decided_by = serializers.CharField(source="decided_by.username", default=None, read_only=True)
    state = serializers.ChoiceField(choices=SubmissionState.choices, read_only=True)

    class Meta:
        model = Submission
        fields = [
            *("id", "unit", "scene", "revision", "title", "state", "publish_at", "comment"),
            *("by", "at", "decided_by", "decided_at", "decision"),
        ]
        read_only_fields = fields


class NewSubmissionSerializer(serializers.Serializer[Any]):
    """`revision` is the number of the latest revision, as it was read."""

    unit = serializers.IntegerField()
    revision = serializers.IntegerField()
    publish_at = serializers.DateTimeField(required=False, allow_null=True)
    comment = serializers.CharField(required=False, allow_blank=True)


class ApprovalSerializer(serializers.Serializer[Any]):
    """`at_once`: now, although a later time was asked for."""

    at_once = serializers.BooleanField(default=False)


class RejectionSerializer(serializers.Serializer[Any]):
    reason = serializers.CharField()


@extend_schema_view(
    list=extend_schema(
        parameters=[
            OpenApiParameter("state", OpenApiTypes.STR, enum=SubmissionState.values),
            OpenApiParameter("scene", OpenApiTypes.STR, description="slug"),
        ]
    )
)
class SubmissionViewSet(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Submission]
):
    """What waits for approval or for its time, and what came of it."""

    scopes = SCOPES
    scope: str | None = None
    queryset = Submission.objects.all()
    serializer_class = SubmissionSerializer
    lookup_field = "public_id"
    lookup_value_converter = "uuid"

    def get_queryset(self) -> QuerySet[Submission]:
        rows = Submission.objects.visible_to(self.request.user)
        rows = rows.select_related(
            *("unit__scene", "unit__live", "unit__latest", "revision", "by", "decided_by")
        )
        wanted = self.request.query_params
        names = {"state": "state", "scene": "unit__scene__slug"}
        return rows.filter(**{names[name]: wanted[name] for name in names if name in wanted})

    @property
    def user(self) -> User:
        return cast(User, self.request.user)

    @extend_schema(request=NewSubmissionSerializer, responses={201: SubmissionSerializer})
    def create(self, request: Request) -> Response:
        """Ask for the latest revision to be published; what needs no approval is, or at its time.

        A high-risk rule waits for an approver other than its author and its submitter.
        """
        asked = self._valid(NewSubmissionSerializer)
        units = KnowledgeUnit.objects.visible_to(self.user)
        submission = submitting.submit(
            unit=get_object_or_404(units, pk=asked["unit"]),
            by=self.user,
            seen=asked["revision"],
            publish_at=asked.get("publish_at"),
            comment=asked.get("comment", ""),
        )
        return Response(self.get_serializer(submission).data, status=201)

    @extend_schema(request=ApprovalSerializer, responses=SubmissionSerializer)
    @action(detail=True, methods=["post"], scope="knowledge.approve")
    def approve(self, request: Request, public_id: str) -> Response:
        asked = self._valid(ApprovalSerializer)
        return self._answer(submitting.approve(submission=self.get_object(), by=self.user, **asked))

    @extend_schema(request=RejectionSerializer, responses=SubmissionSerializer)
    @action(detail=True, methods=["post"], scope="knowledge.approve")
    def reject(self, request: Request, public_id: str) -> Response:
        """Send it back to its author, with the reason."""
        asked = self._valid(RejectionSerializer)
        return self._answer(submitting.reject(submission=self.get_object(), by=self.user, **asked))

    @extend_schema(request=None, responses=SubmissionSerializer)
    @action(detail=True, methods=["post"])
    def withdraw(self, request: Request, public_id: str) -> Response:
        return self._answer(submitting.withdraw(submission=self.get_object(), by=self.user))

    def _valid(self, kind: type[serializers.Serializer[Any]]) -> dict[str, Any]:
        serializer = kind(data=self.request.data)
        serializer.is_valid(raise_exception=True)
        return cast(dict[str, Any], serializer.validated_data)

    def _answer(self, submission: Submission) -> Response:
        return Response(self.get_serializer(submission).data)


class PieceSerializer(serializers.Serializer[Piece]):
    kind = serializers.ChoiceField(choices=["same", "added", "removed"])
    text = serializers.CharField()


class FieldChangeSerializer(serializers.Serializer[Any]):
    field = serializers.CharField()
    pieces = PieceSerializer(many=True)


def changes_of(changes: list[tuple[str, list[Piece]]]) -> list[dict[str, Any]]:
    """Return a word diff as plain data."""
    return [
        {"field": label, "pieces": [{"kind": p.kind, "text": p.text} for p in pieces]}
        for label, pieces in changes
    ]


class RevisionDiffView(APIView):
    """How two revisions of a rule differ, word by word."""

    scopes = SCOPES

    @extend_schema(
        parameters=[
            OpenApiParameter("from", OpenApiTypes.INT, required=True, description="its number"),
            OpenApiParameter("to", OpenApiTypes.INT, required=True, description="its number"),
        ],
        responses=FieldChangeSerializer(many=True),
    )
    def get(self, request: Request, pk: int) -> Response:
        unit = get_object_or_404(KnowledgeUnit.objects.visible_to(request.user), pk=pk)
        numbers = [request.query_params.get(name, "") for name in ("from", "to")]
        if not all(number.isdecimal() and len(number) < 10 for number in numbers):
            raise Http404
        old, new = (get_object_or_404(unit.revisions, number=int(n)) for n in numbers)
        return Response(changes_of(differences(old, new)))


class OwnerSerializer(serializers.Serializer[Any]):
    owner = serializers.CharField(help_text="username")


class OwnerView(APIView):
    """Hand a rule to somebody who works in its scene."""

    scopes = SCOPES

    @extend_schema(request=OwnerSerializer, responses=OwnerSerializer)
    def post(self, request: Request, pk: int) -> Response:
        units = KnowledgeUnit.objects.visible_to(request.user).with_latest()
        unit = get_object_or_404(units, pk=pk)
        serializer = OwnerSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        people = services.possible_owners(unit)
        owner = get_object_or_404(people, username=serializer.validated_data["owner"])
        services.change_owner(unit=unit, owner=owner)
        return Response({"owner": owner.username})
