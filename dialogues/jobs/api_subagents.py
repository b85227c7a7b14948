"""REST: which sub-agents there are."""

from typing import Any, ClassVar

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from agents.subagents import CostClass
from dialogues.jobs.listing import Listed, Start, listed


class SubagentSerializer(serializers.Serializer[Listed]):
    name = serializers.SlugField()
    version = serializers.IntegerField()
    description = serializers.CharField()
    start = serializers.ChoiceField(Start.choices, help_text="What has it begin.")
    inputs = serializers.JSONField(help_text="JSON schema; what does not fit is refused.")
    outputs = serializers.JSONField(help_text="JSON schema of what it brings.")
    timeout_seconds = serializers.IntegerField(help_text="From beginning to result, at most.")
    most_attempts = serializers.IntegerField()
    cost_class = serializers.ChoiceField([each.value for each in CostClass])


class SubagentsSerializer(serializers.Serializer[Any]):
    results = SubagentSerializer(many=True)


class SubagentsView(APIView):
    scopes: ClassVar[dict[str, str]] = {"read": "dialogues.read"}

    @extend_schema(operation_id="subagents_list", responses=SubagentsSerializer)
    def get(self, request: Request) -> Response:
        """Every sub-agent with its typed inputs and outputs, by name."""
        return Response(SubagentsSerializer({"results": listed()}).data)


class SubagentView(APIView):
    scopes: ClassVar[dict[str, str]] = {"read": "dialogues.read"}

    @extend_schema(responses=SubagentSerializer)
    def get(self, request: Request, name: str) -> Response:
        """One sub-agent with its typed inputs and outputs."""
        found = next((each for each in listed() if each.name == name), None)
        if found is None:
            raise Http404
        return Response(SubagentSerializer(found).data)
