"""What an administrator sets up: the tools of the business, and weights that no run made."""

from django.contrib import admin
from django.http import HttpRequest

from agents.models import ModelVersion, Tool


@admin.register(Tool)
class ToolAdmin(admin.ModelAdmin[Tool]):
    list_display = ["name", "description", "method", "url", "is_active"]
    filter_horizontal = ["scenes"]


@admin.register(ModelVersion)
class ModelVersionAdmin(admin.ModelAdmin[ModelVersion]):
    """Runs register what they make; a model of another engine is added here, and then stands."""

    fields = ["name", "kind", "base", "folder", "description"]
    list_display = ["name", "kind", "base", "created_at"]

    def has_change_permission(self, request: HttpRequest, obj: ModelVersion | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: ModelVersion | None = None) -> bool:
        return False
