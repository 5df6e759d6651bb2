"""Operators' pages of people and of the audit trail."""

from collections.abc import Iterator
from typing import Any, ClassVar

import allauth.account.admin
import allauth.mfa.admin
import allauth.usersessions.admin  # noqa: F401 - these three register first
from django import forms
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as BaseGroupAdmin
from django.contrib.auth.admin import UserAdmin as BaseUserAdmin
from django.contrib.auth.models import Group
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.forms import AdminPasswordChangeForm, UserCreationForm

from apps.accounts.models import AuditEntry, Membership, User
from apps.backoffice.base import OperatorAdmin, ReadOnlyAdmin


class NewUserForm(UserCreationForm):
    class Meta:
        model = User
        fields = ("email", "name")

    def clean_email(self) -> str:
        return str(self.cleaned_data["email"]).lower()


class UserForm(forms.ModelForm):
    """Without the password, not even its digest: a link leads to the page that sets a new one."""

    class Meta:
        model = User
        fields = ("email", "name", "is_active", "is_staff", "is_superuser", "groups")

    def clean_email(self) -> str:
        return str(self.cleaned_data["email"]).lower()


@admin.register(User)
class UserAdmin(BaseUserAdmin, OperatorAdmin):
    """People: customers' and our own. Who leaves is made inactive; what they did stays."""

    audited = "user"
    form = UserForm
    add_form = NewUserForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("email", "name", "is_active", "is_staff", "last_login")
    list_filter = ("is_active", "is_staff")
    search_fields = ("email", "name")
    ordering = ("email",)
    readonly_fields = ("set_password", "last_login", "created_at")
    filter_horizontal: ClassVar = ("groups",)
    fieldsets: ClassVar[Any] = (
        (None, {"fields": ("email", "name", "set_password")}),
        ("Rights", {"fields": ("is_active", "is_staff", "is_superuser", "groups")}),
        ("Seen", {"fields": ("created_at", "last_login")}),
    )
    add_fieldsets: Any = ((None, {"fields": ("email", "name", "usable_password", "password1", "password2")}),)

    @admin.display(description="password")
    def set_password(self, user: User) -> SafeString:
        return format_html('<a href="{}">Set a new one</a>', "../password/")

    def log_change(self, request: HttpRequest, obj: User, message: Any) -> Any:
        """Django's page for passwords saves without `save_model`; it does log."""
        if request.resolver_match and request.resolver_match.url_name == "auth_user_password_change":
            self.audit(request, obj, "password_set", None, None)
        return super().log_change(request, obj, message)

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """Rights are given by superusers alone: nobody lifts themselves."""
        fixed = () if getattr(request.user, "is_superuser", False) else ("is_staff", "is_superuser", "groups")
        return (*super().get_readonly_fields(request, obj), *fixed)


@admin.register(Membership)
class MembershipAdmin(OperatorAdmin):
    """Who belongs to which tenant, as what."""

    audited = "membership"
    list_display = ("user", "tenant", "role")
    list_filter = ("role",)
    list_select_related = ("user", "tenant")
    search_fields = ("user__email", "tenant__slug")
    autocomplete_fields = ("user", "tenant")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return admin.ModelAdmin.has_delete_permission(self, request, obj)

    def delete_model(self, request: HttpRequest, obj: Membership) -> None:
        self.audit(request, obj, "deleted", {"user": obj.user.email, "role": obj.role}, None)
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Membership]) -> None:
        for membership in queryset:
            self.delete_model(request, membership)


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """Who did what. Written once; the database refuses changes."""

    list_display = ("at", "actor", "address", "action", "target", "changed", "tenant", "clock")
    list_filter = ("action", ("at", admin.DateFieldListFilter))
    list_select_related = ("tenant",)
    search_fields = ("actor", "target", "tenant__slug")
    date_hierarchy = "at"

    @admin.display(description="changed")
    def changed(self, entry: AuditEntry) -> SafeString:
        """What changed, from → to."""
        return format_html_join(SafeString("<br>"), "{}", ((one,) for one in differences(entry.before, entry.after)))

    @admin.display(description="by its own clock")
    def clock(self, entry: AuditEntry) -> str:
        """What time it was for a tenant on a billing clock."""
        return str((entry.after or {}).get("clock", ""))[:16].replace("T", " ")


def differences(before: dict[str, Any] | None, after: dict[str, Any] | None) -> Iterator[str]:
    """Each member that changed, as "plan: basic → professional"; what was not there before is said by itself."""
    old, new = before or {}, {name: value for name, value in (after or {}).items() if name != "clock"}
    for name in {**old, **new}:
        if name in old and old[name] != new.get(name):
            yield f"{name}: {_said(old[name])} → {_said(new.get(name))}"
        elif name not in old:
            yield f"{name}: {_said(new[name])}"


def _said(value: Any) -> str:
    if value is None or value in ("", [], {}):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


admin.site.unregister(Group)
#: allauth's own pages would show secrets of second factors, and change without an audit line.
for model in [model for model in admin.site._registry if model.__module__.startswith("allauth.")]:
    admin.site.unregister(model)


@admin.register(Group)
class GroupAdmin(BaseGroupAdmin, OperatorAdmin):
    """Rights of operators who are no superusers."""

    audited = "group"
