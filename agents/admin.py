"""What an administrator looks at, and weights that no run made."""

from django.contrib import admin
from django.http import HttpRequest

from agents.models import ModelVersion, Tool

IDENTITY = ["name", "kind", "base", "folder", "description"]  # of a model: they never change


@admin.register(Tool)
class ToolAdmin(admin.ModelAdmin[Tool]):
    """To look at: the catalogue under /agents/tools/ checks a change and keeps its history."""

    list_display = ["name", "kind", "description", "url", "is_active"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Tool | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Tool | None = None) -> bool:
        return False


@admin.register(ModelVersion)
class ModelVersionAdmin(admin.ModelAdmin[ModelVersion]):
    """Runs register what they make; a model of another engine is added here, and then stands.

    Only its prices change: what they were is in the costs of the turns of then.
    """

    fields = [*IDENTITY, "input_price", "output_price"]
    list_display = ["name", "kind", "base", "input_price", "output_price", "created_at"]

    def get_readonly_fields(
        self, request: HttpRequest, obj: ModelVersion | None = None
    ) -> list[str]:
        return [] if obj is None else IDENTITY

    def has_delete_permission(self, request: HttpRequest, obj: ModelVersion | None = None) -> bool:
        return False
