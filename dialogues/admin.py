"""Looking at the tables; what was said and judged is not edited here."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest

from dialogues.models import (
    Case,
    Conversation,
    Event,
    Judgement,
    SubagentJob,
    Turn,
)

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
else:  # generic in the type stubs alone
    ModelAdmin = admin.ModelAdmin


class ReadOnlyAdmin(ModelAdmin):
    """The log is append-only, and cases follow from judgements."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Conversation)
class ConversationAdmin(ReadOnlyAdmin):
    list_display = ("public_id", "scene", "channel", "customer", "control", "updated_at")
    list_filter = ("channel", "control", "scene")
    list_select_related = ("scene",)
    search_fields = ("public_id", "external_id", "customer")


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    list_display = ("public_id", "conversation_id", "seq", "kind", "role", "at")
    list_filter = ("kind", "role")


@admin.register(Turn)
class TurnAdmin(ReadOnlyAdmin):
    list_display = ("public_id", "conversation_id", "status", "release", "created_at")
    list_filter = ("status",)
    list_select_related = ("release",)


@admin.register(Judgement)
class JudgementAdmin(ReadOnlyAdmin):
    list_display = ("public_id", "turn_id", "verdict", "source", "author", "at")
    list_filter = ("verdict", "source")
    list_select_related = ("author",)


@admin.register(Case)
class CaseAdmin(ReadOnlyAdmin):
    list_display = ("public_id", "turn_id", "label", "updated_at")
    list_filter = ("label",)


@admin.register(SubagentJob)
class SubagentJobAdmin(ReadOnlyAdmin):
    list_display = ("public_id", "name", "state", "attempts", "created_at", "finished_at")
    list_filter = ("state", "name")
