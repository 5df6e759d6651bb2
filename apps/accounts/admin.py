"""Operators' pages of people and of the audit trail, and what every operators' page has in common."""

from collections.abc import Iterable
from typing import Any, ClassVar
from uuid import uuid4

from django import forms
from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.widgets import AutocompleteSelect
from django.contrib.auth.admin import GroupAdmin as BaseGroupAdmin
from django.contrib.auth.admin import UserAdmin as BaseUserAdmin
from django.contrib.auth.models import Group
from django.core.exceptions import BadRequest, ValidationError
from django.db import DataError
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserCreationForm

from apps import text
from apps.accounts.models import AuditEntry, Membership, User
from apps.accounts.services import record_audit

#: Words of a search: each is looked for in every column of it.
MOST_WORDS = 20


def operator(request: HttpRequest) -> str:
    """Who is at work, as the audit trail names them."""
    return str(getattr(request.user, "email", ""))


def may_be_id(model: type[Model], said: Any) -> bool:
    """Whether a row of the model may have this id, in form and range."""
    try:
        model._meta.pk.clean(said, None)
    except ValidationError:
        return False
    return not text.unstorable(str(said))


class FoundRow(AutocompleteSelect):
    """A row that is found by typing. Whoever sent what no row can be, sees the field's error beside none chosen."""

    def optgroups(self, name: str, value: Any, attrs: Any = None) -> Any:
        return super().optgroups(
            name, [one for one in value if one and may_be_id(self.field.remote_field.model, one)], attrs
        )


def _is_field(offered: Any) -> bool:
    """Whether an entry of `list_filter` is about a column: a name, or one with the filter's class."""
    return isinstance(offered, str | tuple | list)


class OperatorAdmin(ModelAdmin):
    """What is changed here is written into the audit trail; nothing is deleted unless a page says so."""

    list_per_page = 50
    #: What changes of this model are called in the audit trail.
    audited = ""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """The list that is asked for. That a filter takes something else, Django may hear from Postgres alone."""
        try:
            return super().get_changelist_instance(request)
        except (IncorrectLookupParameters, DataError, OverflowError) as wrong:
            raise BadRequest("A filter of this list takes something else, or there is no such page of it.") from wrong

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """A list is filtered by what it offers, and by no other column or comparison."""
        offered = [one if isinstance(one, str) else one[0] for one in self.get_list_filter(request) if _is_field(one)]
        asked = any(lookup == name or lookup.startswith(f"{name}__") for name in (*offered, self.date_hierarchy))
        return asked and super().lookup_allowed(lookup, value, request)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        if db_field.name in self.get_autocomplete_fields(request):
            options.setdefault("widget", FoundRow(db_field, self.admin_site, using=options.get("using")))
        return super().formfield_for_foreignkey(db_field, request, **options)

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> Any:
        if len(search_term.split()) > MOST_WORDS:
            raise BadRequest(f"The search takes at most {MOST_WORDS} words.")
        return super().get_search_results(request, queryset, search_term)

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        """What is done to chosen rows, once they can be rows of this list."""
        if not all(may_be_id(self.model, chosen) for chosen in request.POST.getlist(ACTION_CHECKBOX_NAME)):
            raise BadRequest(f"What was chosen can't be a {self.model._meta.verbose_name}.")
        return super().response_action(request, queryset)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Which row a new one belongs to may be said by a link; nothing else of it."""
        said = super().get_changeform_initial_data(request)
        return {
            field.name: said[field.name]
            for field in self.model._meta.fields
            if field.remote_field and field.name in said
        }

    def save_model(self, request: HttpRequest, obj: Any, form: forms.ModelForm, change: bool) -> None:
        super().save_model(request, obj, form, change)
        before, after = changes(form)
        self.audit(request, obj, "changed" if change else "created", before if change else None, after)

    def audit(
        self, request: HttpRequest, obj: Any, verb: str, before: dict[str, Any] | None, after: dict[str, Any] | None
    ) -> None:
        record_audit(
            tenant=getattr(obj, "tenant", None),
            actor=operator(request),
            action=f"{self.audited}.{verb}",
            target=str(obj)[:200],
            before=before,
            after=after,
            now=timezone.now(),
        )


class ReadOnlyAdmin(OperatorAdmin):
    """To look at, for whoever may view it."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


def changes(form: forms.ModelForm) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a form changed, before and after, as JSON; a password only by its name."""
    fields = [name for name in form.changed_data if name in form.cleaned_data and "password" not in name]
    before = {name: _plain(form.initial.get(name)) for name in fields}
    return before, {name: _plain(form.cleaned_data[name]) for name in fields}


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    return [str(one) for one in value] if isinstance(value, Iterable) else str(value)


class OnceForm(forms.ModelForm):
    """A form that counts once: sent again, its `token` is known. What it makes keeps the token, unique."""

    token = forms.CharField(max_length=40, widget=forms.HiddenInput, initial=lambda: uuid4().hex)


class OnceAdmin(OperatorAdmin):
    """A page that adds by a `OnceForm`, whose token nobody sees; what was added is shown without the form."""

    def get_form(self, request: HttpRequest, obj: Model | None = None, change: bool = False, **options: Any) -> Any:
        return super().get_form(request, obj, change, **(options | {"form": forms.ModelForm} if obj else options))

    def get_fieldsets(self, request: HttpRequest, obj: Model | None = None) -> Any:
        if obj:
            return super().get_fieldsets(request, obj)
        shown = [name for name in self.get_fields(request, obj) if name != "token"]
        return [(None, {"fields": shown}), (None, {"fields": ["token"], "classes": ["hidden"]})]


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

    list_display = ("at", "clock", "actor", "action", "target", "tenant")
    list_filter = ("action", ("at", admin.DateFieldListFilter))
    list_select_related = ("tenant",)
    search_fields = ("actor", "target", "tenant__slug")
    date_hierarchy = "at"

    @admin.display(description="by its own clock")
    def clock(self, entry: AuditEntry) -> str:
        """What time it was for a tenant on a billing clock."""
        return str((entry.after or {}).get("clock", ""))[:16].replace("T", " ")


admin.site.unregister(Group)


@admin.register(Group)
class GroupAdmin(BaseGroupAdmin, OperatorAdmin):
    """Rights of operators who are no superusers."""

    audited = "group"
