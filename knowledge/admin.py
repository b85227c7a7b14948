"""Scenes and their members; rules have pages of their own, and history is only read."""

from django.contrib import admin

from knowledge.models import Scene


@admin.register(Scene)
class SceneAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not subscriptable at run time
    list_display = ["name", "slug"]
    filter_horizontal = ["members"]
    search_fields = ["name", "slug"]
