"""Administration: API keys. Accounts and their roles (groups) are Django's own pages."""

from typing import Any

from allauth.account.decorators import secure_admin_login
from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from wowconsole.apikeys import issue_key
from wowconsole.models import ApiKey
from wowconsole.roles import ALL_CAPABILITIES

# One way in, with its rate limit, for the administration too.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
admin.site.site_header = admin.site.site_title = "WOWConsole administration"
admin.site.index_title = "Accounts, roles and keys"


class ApiKeyForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    scopes = forms.MultipleChoiceField(
        choices=[(name, name) for name in ALL_CAPABILITIES],
        widget=forms.CheckboxSelectMultiple,
        help_text="What the key may do, as far as its user may.",
    )

    class Meta:
        model = ApiKey
        fields = ["user", "name", "scopes"]


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """A key is issued and revoked; it is never edited and never deleted, for the record."""

    form = ApiKeyForm
    list_display = ["name", "prefix", "user", "scopes", "created_at", "last_used_at", "revoked_at"]
    list_filter = [("revoked_at", admin.EmptyFieldListFilter)]
    list_select_related = ["user"]
    search_fields = ["name", "prefix", "user__username"]
    actions = ["revoke"]

    def has_change_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        return False

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("wowconsole.change_apikey")

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        key, secret = issue_key(user=obj.user, name=obj.name, scopes=obj.scopes)
        obj.__dict__.update(key.__dict__)  # the admin goes on with the stored row
        text = f"Copy the key now, it is not shown again: {secret}"
        messages.warning(request, text)

    @admin.action(description="Revoke the selected keys", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        count = queryset.filter(revoked_at__isnull=True).update(revoked_at=timezone.now())
        self.message_user(request, f"{count} revoked.", messages.SUCCESS)
