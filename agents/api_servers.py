"""REST API of MCP servers."""

from typing import Any, cast

from django.contrib.auth.models import User
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from agents import importing, listing
from agents.api import SCOPES
from agents.api_tools import ToolSerializer
from agents.models import MCPServer
from wowconsole.errors import Invalid


class MCPServerSerializer(serializers.ModelSerializer[MCPServer]):
    """An MCP server; `listing` is what it offered when it was last asked."""

    listing = serializers.ListField(child=serializers.DictField(), read_only=True)

    class Meta:
        model = MCPServer
        fields = [
            *("name", "url", "token_setting", "timeout_seconds", "is_active"),
            *("listing", "listed_at", "error"),
        ]
        read_only_fields = ["listed_at", "error"]


class ToolImportSerializer(serializers.Serializer[Any]):
    tools = serializers.ListField(child=serializers.CharField(), allow_empty=False, max_length=200)
    personal = serializers.BooleanField(
        default=True, help_text="They read or change what belongs to one customer."
    )


class ServerViewSet(
    mixins.CreateModelMixin,
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    viewsets.GenericViewSet[MCPServer],
):
    """MCP servers over streamable HTTP, and taking their tools over."""

    queryset = MCPServer.objects.all()
    serializer_class = MCPServerSerializer
    lookup_field = "name"
    scopes = SCOPES

    def perform_create(self, serializer: serializers.BaseSerializer[MCPServer]) -> None:
        by = cast(User, self.request.user)
        server = MCPServer(**serializer.validated_data)
        serializer.instance = importing.save_server(server=server, by=by)

    def partial_update(self, request: Request, name: str) -> Response:
        """Change some fields; `is_active: false` alone goes always. The name never changes."""
        server = self.get_object()
        serializer = self.get_serializer(server, data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        data, by = dict(serializer.validated_data), cast(User, request.user)
        if data.get("name", name) != name:
            raise Invalid("The name of a server never changes: add another one.")
        if data == {"is_active": False}:
            importing.switch_server(server=server, on=False, by=by)
        else:
            for field, value in data.items():
                setattr(server, field, value)
            importing.save_server(server=server, by=by)
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(request=None, responses=MCPServerSerializer)
    @action(detail=True, methods=["post"])
    def refresh(self, request: Request, name: str) -> Response:
        """Ask the server what it offers; `error` says so if it does not answer."""
        server = self.get_object()
        listing.list_server(server)
        return Response(self.get_serializer(server).data)

    @extend_schema(request=ToolImportSerializer, responses={201: ToolSerializer(many=True)})
    @action(detail=True, methods=["post"], url_path="import", pagination_class=None)
    def take_over(self, request: Request, name: str) -> Response:
        """Take tools over into the catalogue, as the server describes them now."""
        given = ToolImportSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        tools = importing.import_tools(
            server=self.get_object(),
            names=given.validated_data["tools"],
            personal=given.validated_data["personal"],
            by=cast(User, request.user),
        )
        context = self.get_serializer_context()
        return Response(ToolSerializer(tools, many=True, context=context).data, status=201)
