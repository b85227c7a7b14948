"""REST: contact rules, and customers who want no news."""

from dataclasses import asdict
from typing import Any, ClassVar, cast

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from dialogues import arranging
from dialogues.models import ContactRules, OptOut, Site
from dialogues.proactive import contact
from dialogues.proactive.views_contact import opt_outs_of
from knowledge.models import Scene
from wowconsole.roles import sees_every_scene

EVERYWHERE = "everywhere"  # in place of a scene's slug: the rules of every other scene


class ContactRulesSerializer(serializers.ModelSerializer[ContactRules]):
    """Rules of a scene; `scene` is null for those of every other scene."""

    scene = serializers.SlugRelatedField[Any](slug_field="slug", read_only=True)
    revision = serializers.SerializerMethodField(help_text="Number of the newest change.")
    based_on = serializers.IntegerField(
        write_only=True, required=False, help_text="The revision that a change was made from."
    )

    class Meta:
        model = ContactRules
        fields = [
            *("scene", "quiet_from", "quiet_until", "silent_until", "most", "days"),
            *("holdout_percent", "revision", "based_on"),
        ]

    def get_revision(self, row: ContactRules) -> int:
        known: dict[str, int] | None = self.context.get("revisions")
        return arranging.revision_of(row) if known is None else known.get(row.arranged_as, 0)


class ContactRulesViewSet(mixins.ListModelMixin, GenericViewSet[ContactRules]):
    """Quiet hours, do-not-disturb and caps of unasked messages, by scene or `everywhere`.

    Where no row says it, the server's settings hold.
    """

    queryset = ContactRules.objects.all()
    serializer_class = ContactRulesSerializer
    lookup_field = "scene"
    lookup_value_regex = "[-a-zA-Z0-9_]+"
    scopes: ClassVar[dict[str, str]] = {"read": "dialogues.read", "write": "dialogues.manage"}

    def get_queryset(self) -> QuerySet[ContactRules]:
        return ContactRules.objects.visible_to(self.request.user).select_related("scene")

    def get_serializer_context(self) -> dict[str, Any]:
        context = super().get_serializer_context()
        known = arranging.revisions(ContactRules.ARRANGED) if self.action == "list" else None
        return {**context, "revisions": known}

    @property
    def _by(self) -> User:
        return cast(User, self.request.user)  # the permission lets nobody else in

    def _scene(self, slug: str) -> Scene | None:
        if slug != EVERYWHERE:
            found: Scene = get_object_or_404(Scene.objects.visible_to(self.request.user), slug=slug)
            return found
        if self.action != "retrieve" and not sees_every_scene(self.request.user):
            raise PermissionDenied("Rules of every other scene are for administrators to change.")
        return None

    @extend_schema(responses=ContactRulesSerializer)
    def retrieve(self, request: Request, scene: str) -> Response:
        """The rules of a scene's own, or `everywhere`'s; 404 where there are none."""
        row = get_object_or_404(self.get_queryset(), scene=self._scene(scene))
        return Response(self.get_serializer(row).data)

    @extend_schema(request=ContactRulesSerializer, responses=ContactRulesSerializer)
    def partial_update(self, request: Request, scene: str) -> Response:
        """Write what is named; where there are no rules yet they begin as what holds now."""
        where = self._scene(scene)
        row = ContactRules.objects.filter(scene=where).select_related("scene").first()
        row = row or ContactRules(scene=where, **asdict(contact.rules_of(None)))
        serializer = self.get_serializer(row, data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        told = dict(serializer.validated_data)
        based_on = told.pop("based_on", None)
        for name, value in told.items():
            setattr(row, name, value)
        arranging.save(row, by=self._by, based_on=based_on)
        return Response(self.get_serializer(row).data)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, scene: str) -> Response:
        """Remove a scene's own rules."""
        row = get_object_or_404(ContactRules, scene=self._scene(scene))
        arranging.remove(row, by=self._by)
        return Response(status=204)


class OptOutSerializer(serializers.ModelSerializer[OptOut]):
    """`customer` is empty for somebody unidentified: then the chat `conversation` is meant."""

    customer = serializers.CharField(source="customer_ref", max_length=contact.LONGEST_REF)
    site = serializers.SlugRelatedField(
        slug_field="slug",
        queryset=Site.objects.all(),
        required=False,
        allow_null=True,
        help_text="Whose customer; needed where several are switched on. Null: of every site.",
    )
    conversation = serializers.UUIDField(
        source="conversation.public_id", read_only=True, allow_null=True, default=None
    )
    by = serializers.SlugRelatedField[Any](slug_field="username", read_only=True)

    class Meta:
        model = OptOut
        fields = ["customer", "site", "conversation", "by", "at"]
        read_only_fields = ["at"]
        validators: ClassVar[list[Any]] = []  # again changes nothing

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        fields = super().get_fields()
        if request := self.context.get("request"):
            fields["site"].queryset = Site.objects.visible_to(request.user)  # type: ignore[attr-defined]
        return fields


class OptOutViewSet(mixins.ListModelMixin, GenericViewSet[OptOut]):
    """Customers who want to be told nothing unasked. For ever: there is no way back."""

    queryset = OptOut.objects.all()
    serializer_class = OptOutSerializer
    # Who the customers are is personal: for those who deal with them, of their scenes.
    scopes: ClassVar[dict[str, str]] = {"read": "dialogues.reply", "write": "dialogues.reply"}

    def get_queryset(self) -> QuerySet[OptOut]:
        customer = self.request.GET.get("customer", "").replace("\0", "")
        return opt_outs_of(self.request.user, customer)

    @extend_schema(
        parameters=[OpenApiParameter("customer", OpenApiTypes.STR, description="How ids begin")]
    )
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().list(request, *args, **kwargs)

    @extend_schema(request=OptOutSerializer, responses={201: OptOutSerializer})
    def create(self, request: Request) -> Response:
        """A customer told a person that they want no news; again changes nothing."""
        new = self.get_serializer(data=request.data)
        new.is_valid(raise_exception=True)
        by = cast(User, request.user)
        told = new.validated_data
        row = contact.opt_out(told["customer_ref"], by=by, site=told.get("site"))
        return Response(self.get_serializer(row).data, status=201)
