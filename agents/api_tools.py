"""REST API of the tool catalogue."""

from functools import partial
from typing import Any, cast

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from agents import cataloguing, importing
from agents.api import SCOPES
from agents.forms_tools import NOT_OF_SERVERS
from agents.models import MCPServer, Tool, ToolCall, ToolFixture, ToolKind, ToolRevision
from knowledge.models import Scene
from wowconsole.errors import Invalid

WRITTEN = (
    *("description", "method", "url", "parameters", "token_setting", "timeout_seconds"),
    *("confirmation", "confirmation_zh", "occasions", "result_template", "result_template_zh"),
    *("personal", "largest_answer"),
    *("cost_per_call", "uses_fixtures", "is_active"),
)


class ToolSerializer(serializers.ModelSerializer[Tool]):
    """A tool; `token_setting` names a variable, and no token is ever shown."""

    kind = serializers.ChoiceField(choices=ToolKind.choices, default=ToolKind.HTTP)
    parameters = serializers.DictField()
    scenes = serializers.SlugRelatedField[Scene](
        slug_field="slug", many=True, queryset=Scene.objects.all(), required=False
    )
    server = serializers.SlugRelatedField[MCPServer](slug_field="name", read_only=True)
    based_on = serializers.IntegerField(
        write_only=True, required=False, help_text="The revision that a change was made from."
    )
    note = serializers.CharField(write_only=True, required=False, max_length=200)

    class Meta:
        model = Tool
        fields = [
            *("name", "kind", *WRITTEN, "scenes", "server", "remote_name", "revision"),
            *("held_at", "based_on", "note"),
        ]
        read_only_fields = ["remote_name", "revision", "held_at"]

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        fields = super().get_fields()
        if request := self.context.get("request"):
            scenes = fields["scenes"].child_relation  # type: ignore[attr-defined]  # many=True
            scenes.queryset = Scene.objects.visible_to(request.user)
        return fields


class ToolArgumentsSerializer(serializers.Serializer[Any]):
    arguments = serializers.DictField()
    sure = serializers.BooleanField(
        default=False, help_text="Needed for a tool that asks before it is called."
    )


class ToolCallSerializer(serializers.ModelSerializer[ToolCall]):
    id = serializers.UUIDField(source="public_id", read_only=True)
    by = serializers.CharField(source="by.username", read_only=True)
    request = serializers.DictField(read_only=True)
    result = serializers.DictField(read_only=True)

    class Meta:
        model = ToolCall
        fields = ["id", "revision", "request", "result", "status", "milliseconds", "by", "at"]


class ToolFixtureSerializer(serializers.ModelSerializer[ToolFixture]):
    id = serializers.UUIDField(source="public_id", read_only=True)
    arguments = serializers.DictField()
    result = serializers.DictField()
    by = serializers.CharField(source="created_by.username", read_only=True)

    class Meta:
        model = ToolFixture
        fields = ["id", "arguments", "result", "by", "created_at"]
        read_only_fields = ["created_at"]


class NewToolFixtureSerializer(serializers.Serializer[Any]):
    """Either `call`, the id of a test call, or `arguments` and `result`."""

    call = serializers.UUIDField(required=False)
    arguments = serializers.DictField(required=False)
    result = serializers.DictField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("call" in attrs) == ("arguments" in attrs and "result" in attrs):
            raise serializers.ValidationError("Give a call, or arguments and a result.")
        return attrs


class ToolRevisionSerializer(serializers.ModelSerializer[ToolRevision]):
    by = serializers.CharField(source="by.username", default=None, read_only=True)
    data = serializers.DictField(read_only=True)  # type: ignore[assignment]  # also a property

    class Meta:
        model = ToolRevision
        fields = ["number", "data", "note", "by", "at"]


class ToolOfferSerializer(serializers.Serializer[Any]):
    shown = serializers.CharField(help_text="`offer_id` of what was read.")


class ToolOfferedSerializer(serializers.Serializer[Any]):
    """What was approved of a tool, and what its server offers now."""

    approved = serializers.DictField(allow_null=True)
    offered = serializers.DictField(allow_null=True)
    offer_id = serializers.CharField()


class ToolViewSet(
    mixins.CreateModelMixin,
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    viewsets.GenericViewSet[Tool],
):
    """What agents may call. Each change is a revision; releases keep the one they were made with.

    Tools of MCP servers come from `mcp-servers/{name}/import/`.
    """

    queryset = Tool.objects.all()
    serializer_class = ToolSerializer
    lookup_field = "name"
    scopes = SCOPES

    def get_queryset(self) -> QuerySet[Tool]:
        tools = Tool.objects.visible_to(self.request.user)
        return tools.select_related("server").prefetch_related("scenes")

    def perform_create(self, serializer: serializers.BaseSerializer[Tool]) -> None:
        data = dict(serializer.validated_data)
        scenes, note = data.pop("scenes", []), data.pop("note", "")
        data.pop("based_on", None)
        by = cast(User, self.request.user)
        serializer.instance = cataloguing.save_tool(
            tool=Tool(**data), scenes=scenes, by=by, note=note
        )

    def partial_update(self, request: Request, name: str) -> Response:
        """Change some fields; `is_active: false` alone goes always. Name and kind never change."""
        tool = self.get_object()
        serializer = self.get_serializer(tool, data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        data = dict(serializer.validated_data)
        if tool.kind == ToolKind.MCP and (fixed := sorted(data.keys() & set(NOT_OF_SERVERS))):
            raise Invalid(f"The tool's server decides: {', '.join(fixed)}.")
        scenes, note = data.pop("scenes", None), data.pop("note", "")
        based_on = data.pop("based_on", None)
        for field, value in data.items():
            setattr(tool, field, value)
        save = partial(cataloguing.save_tool, scenes=scenes)
        if data == {"is_active": False} and scenes is None:
            save = partial(cataloguing.switch_tool, on=False)
        save(tool=tool, by=cast(User, request.user), based_on=based_on, note=note)
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(request=ToolArgumentsSerializer, responses={201: ToolCallSerializer})
    @action(detail=True, methods=["post"])
    def call(self, request: Request, name: str) -> Response:
        """Call the tool as for an identified customer; the call is kept."""
        given = ToolArgumentsSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        by = cast(User, request.user)
        made = cataloguing.try_tool(tool=self.get_object(), by=by, **given.validated_data)
        return Response(ToolCallSerializer(made).data, status=201)

    @extend_schema(responses=ToolRevisionSerializer(many=True), filters=False)
    @action(detail=True, methods=["get"])
    def revisions(self, request: Request, name: str) -> Response:
        """List what the tool was, newest first."""
        rows = self.get_object().revisions.select_related("by")
        page = self.paginate_queryset(cast(Any, rows))
        return self.get_paginated_response(ToolRevisionSerializer(page, many=True).data)

    @extend_schema(responses=ToolFixtureSerializer(many=True), filters=False)
    @action(detail=True, methods=["get"])
    def fixtures(self, request: Request, name: str) -> Response:
        """List recorded answers, newest first."""
        rows = self.get_object().fixtures.select_related("created_by")
        page = self.paginate_queryset(cast(Any, rows))
        return self.get_paginated_response(ToolFixtureSerializer(page, many=True).data)

    @extend_schema(request=NewToolFixtureSerializer, responses={201: ToolFixtureSerializer})
    @fixtures.mapping.post
    def record(self, request: Request, name: str) -> Response:
        """Keep a test call, or an answer written by hand, as a fixture."""
        given = NewToolFixtureSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        tool, by = self.get_object(), cast(User, request.user)
        if "call" in given.validated_data:
            call = get_object_or_404(tool.test_calls, public_id=given.validated_data["call"])
            fixture = cataloguing.record_fixture(call=call, by=by)
        else:
            fixture = cataloguing.write_fixture(tool=tool, by=by, **given.validated_data)
        return Response(ToolFixtureSerializer(fixture).data, status=201)

    @extend_schema(responses=ToolOfferedSerializer, filters=False)
    @action(detail=True, methods=["get"], pagination_class=None)
    def offer(self, request: Request, name: str) -> Response:
        """Show what was approved of a server's tool beside what is offered now, if it differs."""
        tool = self.get_object()
        offer_id = importing.offer_id(tool.offered) if tool.offered else ""
        return Response({"approved": tool.approved, "offered": tool.offered, "offer_id": offer_id})

    @extend_schema(request=ToolOfferSerializer, responses=ToolSerializer)
    @action(detail=True, methods=["post"])
    def approve(self, request: Request, name: str) -> Response:
        """Approve what the server offers now; the tool is held back until then."""
        given = ToolOfferSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        by = cast(User, request.user)
        tool = importing.approve(tool=self.get_object(), by=by, **given.validated_data)
        return Response(self.get_serializer(tool).data)
