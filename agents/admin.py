from django.contrib import admin

from agents.models import Tool


@admin.register(Tool)
class ToolAdmin(admin.ModelAdmin[Tool]):
    list_display = ["name", "description", "method", "url", "is_active"]
    filter_horizontal = ["scenes"]
