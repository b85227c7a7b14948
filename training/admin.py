"""Looking at rows that are history: nothing is edited here."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from training.models import Dataset, Evaluation, Run


class ReadOnlyAdmin(admin.ModelAdmin[Any]):
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Dataset)
class DatasetAdmin(ReadOnlyAdmin):
    list_display = ("name", "form", "created_by", "created_at")
    list_filter = ("form",)
    search_fields = ("name", "sha256")
    list_select_related = ("created_by",)


@admin.register(Run)
class RunAdmin(ReadOnlyAdmin):
    list_display = ("name", "stage", "status", "step", "total_steps", "attempts", "created_at")
    list_filter = ("status", "stage")
    search_fields = ("name",)


@admin.register(Evaluation)
class EvaluationAdmin(ReadOnlyAdmin):
    list_display = ("version", "dataset", "created_at")
    list_select_related = ("version", "dataset")
