"""What every operators' page has in common: audited changes, nothing deleted, lists that refuse what no row can be."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from uuid import uuid4

from django import forms
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.widgets import AutocompleteSelect
from django.core.exceptions import BadRequest, ValidationError
from django.db import DataError
from django.db.models import BooleanField, Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.admin import ModelAdmin
from unfold.decorators import display

from apps import text
from apps.accounts.audit import record_audit

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


#: Yes and no of a column, in words: a cross beside what is as it should be would be read as a fault.
WORDS: Mapping[str, tuple[str, str]] = {
    "livemode": ("live", "test"),
    "trial": ("trial", ""),
    "removed": ("removed", ""),
    "is_active": ("active", "inactive"),
    "is_staff": ("operator", ""),
    "has_payment_method": ("agreed or a card", "none"),
    "degraded": ("degraded", ""),
}
_TITLES = {"livemode": "mode", "is_active": "state", "is_staff": "role", "has_payment_method": "payment method"}


def in_words(field: str) -> Callable[[Any], str]:
    """A column for a field of yes and no."""
    yes, no = WORDS[field]

    @display(description=_TITLES.get(field, field), ordering=field)
    def show(row: Any) -> str:
        return yes if getattr(row, field) else no

    return show


_IN_WORDS = {field: in_words(field) for field in WORDS}


class OperatorAdmin(ModelAdmin):
    """What is changed here is written into the audit trail; nothing is deleted unless a page says so."""

    list_per_page = 50
    #: What changes of this model are called in the audit trail.
    audited = ""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_list_display(self, request: HttpRequest) -> Any:
        return self._in_words(super().get_list_display(request))

    def _in_words(self, fields: Iterable[Any]) -> list[Any]:
        """Columns with those of yes and no in words."""
        yes_or_no = {field.name for field in self.model._meta.fields if isinstance(field, BooleanField)}
        return [_IN_WORDS[field] if field in yes_or_no and field in WORDS else field for field in fields]

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """The list that is asked for. That a filter takes something else, Django may hear from Postgres alone."""
        try:
            self._check_year(request)
            return super().get_changelist_instance(request)
        except (IncorrectLookupParameters, DataError, OverflowError) as wrong:
            raise BadRequest("A filter of this list takes something else, or there is no such page of it.") from wrong

    def _check_year(self, request: HttpRequest) -> None:
        """Refuse a year that no page of days reaches: the last day of 9999 has no next one to look for."""
        year = request.GET.get(f"{self.date_hierarchy}__year", "")
        if year.isdecimal() and not 1970 <= int(year[:10]) < 2200:
            raise OverflowError(year[:10])

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """A list is filtered by what it offers, and by no other column or comparison."""
        filters = self.get_list_filter(request)
        if lookup in {getattr(one, "parameter_name", None) for one in filters}:
            return True
        offered = [one if isinstance(one, str) else one[0] for one in filters if _is_field(one)]
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
            target=obj,
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

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return self._in_words(super().get_fields(request, obj)) if obj else super().get_fields(request, obj)


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
