"""Operators' pages of the service's availability: parts, incidents with notes, maintenance, burn rates, statements."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.utils import timezone
from unfold.admin import TabularInline
from unfold.widgets import UnfoldAdminTextareaWidget

from apps.backoffice.base import OperatorAdmin, ReadOnlyAdmin, operator
from apps.backoffice.confirmed import Confirmed, ConfirmedAdmin
from apps.sla import incidents
from apps.sla.models import BurnAlert, Incident, IncidentNote, Maintenance, PartState, SlaStatement


class NotesInline(TabularInline):
    """An incident's timeline."""

    model = IncidentNote
    fields = readonly_fields = ("at", "text", "author")
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class IncidentForm(forms.ModelForm):
    """What is said of an incident; when it began and ended is the probes' alone."""

    note = forms.CharField(
        max_length=1_000, widget=UnfoldAdminTextareaWidget, help_text="A line of the timeline: customers read it."
    )

    class Meta:
        model = Incident
        fields = ()


@admin.register(Incident)
class IncidentAdmin(OperatorAdmin):
    """Incidents, opened and closed by probes."""

    form = IncidentForm
    list_display = ("__str__", "part", "started_at", "ended_at")
    list_filter = ("part", ("ended_at", admin.EmptyFieldListFilter))
    search_fields = ("id",)
    readonly_fields = ("id", "part", "started_at", "opened_at", "ended_at")
    fields = (*readonly_fields, "note")
    inlines: ClassVar = [NotesInline]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: forms.ModelForm, change: bool) -> None:
        incidents.add_note(incident=obj, text=form.cleaned_data["note"], now=timezone.now(), actor=operator(request))


class MaintenanceForm(forms.ModelForm):
    """A window to announce: it excludes nothing before that."""

    class Meta:
        model = Maintenance
        fields = ("title", "starts_at", "ends_at")

    def clean(self) -> dict[str, Any] | None:
        said = super().clean() or self.cleaned_data
        if not self.errors and (wrong := incidents.wrong_window(said["starts_at"], said["ends_at"], timezone.now())):
            self.add_error("ends_at", wrong)
        return said


def _withdraw(request: HttpRequest, window: Maintenance, reason: str) -> str:
    if not incidents.withdraw(window=window, now=timezone.now(), actor=operator(request), reason=reason):
        raise ValueError(f"{window} is over, or was withdrawn.")
    return f"Withdrawn: {window}."


@admin.register(Maintenance)
class MaintenanceAdmin(ConfirmedAdmin):
    """Announced windows; what was announced is withdrawn, never edited."""

    form = MaintenanceForm
    list_display = ("title", "starts_at", "ends_at", "announced_at", "withdrawn_at")
    search_fields = ("title",)
    confirmed = (
        Confirmed(
            "withdraw",
            "Withdraw",
            "From now on it excludes nothing; what of it is over stays left out.",
            _withdraw,
            lambda window: window.withdrawn_at is None and window.ends_at > timezone.now(),
        ),
    )

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return obj is None and super().has_change_permission(request, obj)

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        named = ("title", "starts_at", "ends_at")
        return (*named, "announced_at", "withdrawn_at", "can_be_done") if obj else named

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return self.get_fields(request, obj) if obj else ()

    def save_model(self, request: HttpRequest, obj: Any, form: forms.ModelForm, change: bool) -> None:
        made = incidents.announce(now=timezone.now(), actor=operator(request), **form.cleaned_data)
        obj.pk, obj.announced_at = made.pk, made.announced_at


@admin.register(PartState)
class PartStateAdmin(ReadOnlyAdmin):
    """The parts as they were probed last."""

    list_display = ("part", "up", "since", "checked_at", "ms", "detail")
    search_fields = ("part",)


@admin.register(BurnAlert)
class BurnAlertAdmin(ReadOnlyAdmin):
    """When failures used up the promise's budget too fast."""

    list_display = ("rule", "opened_at", "ended_at", "text")
    list_filter = ("rule", ("ended_at", admin.EmptyFieldListFilter))
    search_fields = ("text",)


@admin.register(SlaStatement)
class SlaStatementAdmin(ReadOnlyAdmin):
    """Tenants' months, with their corrections."""

    list_display = ("tenant", "month", "revision", "credit_percent", "credit", "because", "issued_at")
    list_filter = ("month", "credit_percent")
    list_select_related = ("tenant",)
    search_fields = ("tenant__slug", "month")
    exclude = ("document",)
