"""REST: numbers that are never called again."""

from typing import Any, ClassVar, cast

from django.contrib.auth.models import User
from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from dialogues.jobs import permitting
from dialogues.jobs.views_unwanted import unwanted_of
from dialogues.models import DoNotCall
from dialogues.models.telephone import LONGEST_ADDRESS


class DoNotCallSerializer(serializers.ModelSerializer[DoNotCall]):
    """`address` is a number's digits, or name@host. `words` were said in the call of `job`."""

    address = serializers.CharField(max_length=LONGEST_ADDRESS)
    by = serializers.SlugRelatedField[Any](slug_field="username", read_only=True)
    job = serializers.UUIDField(
        source="job.public_id", read_only=True, allow_null=True, default=None
    )

    class Meta:
        model = DoNotCall
        fields = ["address", "by", "words", "job", "at"]
        read_only_fields = ["words", "at"]


class DoNotCallViewSet(mixins.ListModelMixin, GenericViewSet[DoNotCall]):
    """Numbers and SIP addresses that are never called. For ever: there is no way back."""

    queryset = DoNotCall.objects.all()
    serializer_class = DoNotCallSerializer
    # Whose numbers they are is personal: for those who deal with customers, of their scenes.
    scopes: ClassVar[dict[str, str]] = {"read": "dialogues.reply", "write": "dialogues.reply"}

    def get_queryset(self) -> QuerySet[DoNotCall]:
        address = self.request.GET.get("address", "").replace("\0", "")
        return unwanted_of(self.request.user, address)

    @extend_schema(
        parameters=[OpenApiParameter("address", OpenApiTypes.STR, description="How they begin")]
    )
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().list(request, *args, **kwargs)

    @extend_schema(request=DoNotCallSerializer, responses={201: DoNotCallSerializer})
    def create(self, request: Request) -> Response:
        """Somebody told a person that they want no calls; again changes nothing."""
        new = self.get_serializer(data=request.data)
        new.is_valid(raise_exception=True)
        row = permitting.add(new.validated_data["address"], by=cast(User, request.user))
        return Response(self.get_serializer(row).data, status=201)
