"""REST: one edit of many rules, tried first, then done, then undone."""

from typing import Any, cast

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from knowledge import bulk_applying, bulk_undoing
from knowledge.bulk import MAX_UNITS, Change, Operation, Wanted, preview, told_to
from knowledge.forms_bulk import form_for
from knowledge.models import BulkEdit, KnowledgeUnit


class BulkRequestSerializer(serializers.Serializer[Any]):
    """What is wanted of which rules.

    `parameters` by operation: replace {find, replacement, match_case}, risk {risk}, priority
    {priority}, validity {valid_from, valid_until, clear}, audience {field, names, add},
    owner {owner}.
    """

    operation = serializers.ChoiceField(choices=Operation.choices)
    parameters = serializers.DictField(default=dict)
    units = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**31),
        min_length=1,
        max_length=MAX_UNITS,
        help_text="numbers of rules",
    )
    revisions = serializers.DictField(
        child=serializers.IntegerField(),
        default=dict,
        help_text="the revision you have seen, by the rule's number; others are left alone",
    )
    dry_run = serializers.BooleanField(default=True)

    def wanted(self) -> Wanted:
        given = self.validated_data["parameters"]
        data = {
            name: ",".join(map(str, value)) if isinstance(value, list) else value
            for name, value in given.items()
        }
        form = form_for(Operation(self.validated_data["operation"]), data)
        if not form.is_valid():
            raise serializers.ValidationError({"parameters": form.errors.get_json_data()})
        return form.wanted()


class BulkFieldSerializer(serializers.Serializer[Any]):
    field = serializers.CharField()
    before = serializers.CharField()
    after = serializers.CharField()


class BulkChangeSerializer(serializers.Serializer[Any]):
    unit = serializers.IntegerField()
    revision = serializers.IntegerField(help_text="that it would be made from")
    changes = BulkFieldSerializer(many=True)
    refusal = serializers.CharField(allow_blank=True, help_text="why it must not; empty: it may")


class BulkPreviewSerializer(serializers.Serializer[Any]):
    dry_run = serializers.BooleanField()
    units = BulkChangeSerializer(many=True)


class BulkSkippedSerializer(serializers.Serializer[Any]):
    unit = serializers.IntegerField()
    why = serializers.CharField()


class BulkEditSerializer(serializers.ModelSerializer[BulkEdit]):
    """A bulk edit; `state` is of the job that publishes, null where none was needed."""

    id = serializers.UUIDField(source="public_id")
    by = serializers.CharField(source="by.username")
    changed = serializers.SerializerMethodField()
    skipped = BulkSkippedSerializer(many=True)
    undo_skipped = BulkSkippedSerializer(many=True)
    state = serializers.CharField(source="job.state", default=None, allow_null=True)
    undo_state = serializers.CharField(source="undo_job.state", default=None, allow_null=True)

    class Meta:
        model = BulkEdit
        fields = [
            *("id", "operation", "parameters", "by", "at", "changed", "skipped", "state"),
            *("undone_at", "undo_skipped", "undo_state"),
        ]
        read_only_fields = fields

    def get_changed(self, edit: BulkEdit) -> int:
        return edit.changes.count()


def _told(change: Change) -> dict[str, Any]:
    fields = [
        {
            "field": label,
            "before": "".join(piece.text for piece in pieces if piece.kind != "added"),
            "after": "".join(piece.text for piece in pieces if piece.kind != "removed"),
        }
        for label, pieces in change.differences()
    ]
    told = {"unit": change.unit.pk, "revision": change.before.number}
    return {**told, "changes": fields, "refusal": change.refusal}


def _user(request: Request) -> User:
    return cast(User, request.user)  # HasScope lets only users with a role pass


class BulkView(APIView):
    """Change many rules at once. A dry run, the default, saves nothing and shows everything."""

    scope = "knowledge.write"

    @extend_schema(
        request=BulkRequestSerializer,
        responses={200: BulkPreviewSerializer, 201: BulkEditSerializer},
    )
    def post(self, request: Request) -> Response:
        serializer = BulkRequestSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        asked, wanted, user = serializer.validated_data, serializer.wanted(), _user(request)
        units = KnowledgeUnit.objects.visible_to(user).filter(pk__in=asked["units"])
        found = list(units.with_latest().order_by("pk"))
        if missing := set(asked["units"]) - {unit.pk for unit in found}:
            raise ValidationError({"units": f"There is no rule {min(missing)} you work with."})
        if asked["dry_run"]:
            changes = [_told(change) for change in preview(found, wanted, user)]
            return Response({"dry_run": True, "units": changes})
        newest = {unit.pk: unit.latest.number for unit in found if unit.latest}
        seen = {pk: asked["revisions"].get(str(pk), number) for pk, number in newest.items()}
        edit = bulk_applying.apply(wanted=wanted, seen=seen, by=user)
        return Response(_shown(edit, user), status=201)


class BulkEditView(APIView):
    """What became of a bulk edit."""

    scope = "knowledge.read"

    @extend_schema(responses=BulkEditSerializer)
    def get(self, request: Request, public_id: str) -> Response:
        return Response(_shown(_edit(request, public_id), _user(request)))


class BulkUndoView(APIView):
    """Undo a bulk edit in every rule that was not edited since."""

    scope = "knowledge.write"

    @extend_schema(request=None, responses=BulkEditSerializer)
    def post(self, request: Request, public_id: str) -> Response:
        edit = bulk_undoing.undo(edit=_edit(request, public_id), by=_user(request))
        return Response(_shown(edit, _user(request)))


def _shown(edit: BulkEdit, user: User) -> dict[str, Any]:
    told = {name: told_to(user, getattr(edit, name)) for name in ("skipped", "undo_skipped")}
    return {**BulkEditSerializer(edit).data, **told}


def _edit(request: Request, public_id: str) -> BulkEdit:
    edits = BulkEdit.objects.visible_to(request.user).select_related("by", "job", "undo_job")
    edit: BulkEdit = get_object_or_404(edits, public_id=public_id)
    return edit
