"""REST: what would the agent find?"""

from dataclasses import asdict
from time import perf_counter
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from knowledge.api import VisibleScene
from knowledge.searching import Found, search

MAX_QUERIES = 20
MAX_QUERY = 2000  # characters
MAX_LIMIT = 50


class AudienceSerializer(serializers.Serializer[Any]):
    """What is known of the customer; rules limited to others are not found."""

    channel = serializers.CharField(required=False, max_length=40)
    segment = serializers.CharField(required=False, max_length=40)
    region = serializers.CharField(required=False, max_length=40)


class SearchSerializer(serializers.Serializer[Any]):
    queries = serializers.ListField(
        child=serializers.CharField(max_length=MAX_QUERY), min_length=1, max_length=MAX_QUERIES
    )
    scene = VisibleScene(required=False, allow_null=True)
    limit = serializers.IntegerField(default=3, min_value=1, max_value=MAX_LIMIT)
    audience = AudienceSerializer(required=False)


class FoundSerializer(serializers.Serializer[Found]):
    id = serializers.IntegerField()
    revision_id = serializers.IntegerField()
    scene = serializers.CharField()
    external_id = serializers.CharField(allow_null=True)
    title = serializers.CharField()
    condition = serializers.CharField()
    content = serializers.CharField()
    score = serializers.FloatField()
    similarity = serializers.FloatField()
    vector_rank = serializers.IntegerField(allow_null=True)
    text_rank = serializers.IntegerField(allow_null=True)
    matched = serializers.CharField()
    coverage = serializers.FloatField(help_text="Share of the query's words in one wording.")
    letters_rank = serializers.IntegerField(allow_null=True)


class ResultSerializer(serializers.Serializer[Any]):
    query = serializers.CharField()
    took_ms = serializers.FloatField()
    units = FoundSerializer(many=True)


class ResultsSerializer(serializers.Serializer[Any]):
    results = ResultSerializer(many=True)
    degraded = serializers.BooleanField(
        help_text="The embedding model failed: words and codes alone were searched."
    )


class SearchView(APIView):
    """Published rules that bear on each query; an empty list where none does."""

    scope = "knowledge.read"  # POST only carries the queries

    @extend_schema(request=SearchSerializer, responses=ResultsSerializer)
    def post(self, request: Request) -> Response:
        serializer = SearchSerializer(data=request.data, context={"request": request})
        serializer.is_valid(raise_exception=True)
        asked = serializer.validated_data
        started = perf_counter()
        results = search(
            asked["queries"],
            scene=asked.get("scene"),
            limit=asked["limit"],
            audience=asked.get("audience"),
            visible_to=request.user,
        )
        # One statement answers the batch: its time is shared out evenly.
        took_ms = round((perf_counter() - started) * 1000 / len(results), 2)
        rows = [
            {"query": query, "took_ms": took_ms, "units": [_unit(found) for found in units]}
            for query, units in zip(asked["queries"], results, strict=True)
        ]
        return Response({"results": rows, "degraded": results.degraded})


def _unit(found: Found) -> dict[str, Any]:
    fields = asdict(found)
    del fields["passes"]
    return {"id": fields.pop("unit_id"), **fields}
