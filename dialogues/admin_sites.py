"""Administration of the sites that embed the chat, and of their keys."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from dialogues.chat import site_keys
from dialogues.models import Algorithm, Site, SiteKey

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
    ModelForm = forms.ModelForm[Any]
else:  # generic in the type stubs alone
    ModelAdmin = admin.ModelAdmin
    ModelForm = forms.ModelForm


@admin.register(Site)
class SiteAdmin(ModelAdmin):
    list_display = ("slug", "name", "scene", "identity_required", "citations")
    list_select_related = ("scene",)
    search_fields = ("slug", "name")


class SiteKeyForm(ModelForm):
    class Meta:
        model = SiteKey
        fields = ("site", "algorithm", "public_key")

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        given = bool(cleaned.get("public_key"))
        if given != (cleaned.get("algorithm") == Algorithm.RS256):
            raise forms.ValidationError("A public key is for RS256, which needs one.")
        if given:
            site_keys.check_public_key(cleaned["public_key"])
        return cleaned


@admin.register(SiteKey)
class SiteKeyAdmin(ModelAdmin):
    """A key is made and ended, never edited: signatures out there depend on it."""

    form = SiteKeyForm
    list_display = ("key_id", "site", "algorithm", "created_at", "expires_at")
    list_filter = ("site",)
    list_select_related = ("site",)
    actions = ("end",)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_end_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("dialogues.change_sitekey")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        secret = site_keys.fill_key(obj)
        super().save_model(request, obj, form, change)
        if secret:
            text = f"Copy the secret of {obj.key_id} now, it is not shown again: {secret}"
            messages.warning(request, text)

    @admin.action(description="End the selected keys", permissions=["end"])
    def end(self, request: HttpRequest, queryset: QuerySet[SiteKey]) -> None:
        count = queryset.live().update(expires_at=timezone.now())  # type: ignore[attr-defined]  # ours
        self.message_user(request, f"{count} ended.", messages.SUCCESS)
