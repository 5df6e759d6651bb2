"""Operators' pages of API keys: made here, shown once, revoked at once; never changed and never deleted."""

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from unfold.decorators import display
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminTextareaWidget

from apps.addresses import network_of
from apps.api_keys.keys import SCOPES
from apps.api_keys.models import ApiKey
from apps.api_keys.services import create_key, get_gate, revoke_key
from apps.backoffice.base import operator
from apps.backoffice.confirmed import Confirmed, ConfirmedAdmin


class NewKeyForm(forms.ModelForm):
    """What `create_key` takes, checked in the words of a form."""

    scopes = forms.MultipleChoiceField(
        choices=[(scope, scope) for scope in SCOPES],
        initial=["read", "predict"],
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
    )
    allowed_networks = forms.CharField(
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="One CIDR a line; empty = from anywhere.",
    )

    class Meta:
        model = ApiKey
        fields = ("tenant", "name", "livemode", "scopes", "allowed_networks", "rate_per_minute", "expires_at")

    def clean_allowed_networks(self) -> list[str]:
        try:
            return [str(network_of(line)) for line in self.cleaned_data["allowed_networks"].split()]
        except ValueError as wrong:
            raise forms.ValidationError(str(wrong)) from wrong

    def clean_expires_at(self) -> datetime | None:
        said: datetime | None = self.cleaned_data["expires_at"]
        if said is not None and said <= timezone.now():
            raise forms.ValidationError("It must be in the future.")
        return said

    def clean_rate_per_minute(self) -> int | None:
        said: int | None = self.cleaned_data["rate_per_minute"]
        if said == 0:
            raise forms.ValidationError("At least 1, or leave it empty.")
        return said


def _revoke(request: HttpRequest, key: ApiKey, reason: str) -> str:
    if key.revoked_at is not None:
        raise ValueError(f"{key} was revoked before.")
    told = revoke_key(key=key, gate=get_gate(), now=timezone.now(), reason=reason, actor=operator(request))
    return f"Revoked: {key}." + ("" if told else " Valkey is away and will be told as soon as it is back.")


@admin.register(ApiKey)
class ApiKeyAdmin(ConfirmedAdmin):
    """Keys by what may be seen of them."""

    form = NewKeyForm
    list_display = ("shown", "tenant", "name", "mode", "state", "may", "last_used_at", "last_used_ip", "created_at")
    list_filter = ("livemode", ("revoked_at", admin.EmptyFieldListFilter))
    list_select_related = ("tenant", "replaced_by")
    search_fields = ("tenant__slug", "name", "prefix", "last_four")
    autocomplete_fields = ("tenant",)
    confirmed = (
        Confirmed(
            "revoke",
            "Revoke",
            "The key is refused from its next request on, everywhere. It never works again: make a new one instead.",
            _revoke,
            lambda key: key.revoked_at is None,
        ),
    )
    #: All there is to see of a key: its digest is nobody's business.
    seen = (
        "can_be_done",
        "shown",
        "tenant",
        "name",
        "mode",
        "state",
        "may",
        "allowed_networks",
        "rate_per_minute",
        "created_at",
        "expires_at",
        "revoked_at",
        "replaced_by",
        "last_used_at",
        "last_used_ip",
    )

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Of the list, for the action; a key itself is looked at, never edited."""
        return obj is None and super().has_change_permission(request, obj)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return NewKeyForm.Meta.fields if obj is None else self.seen

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return () if obj is None else self.seen

    def save_model(self, request: HttpRequest, obj: ApiKey, form: forms.ModelForm, change: bool) -> None:
        said = form.cleaned_data
        made, text = create_key(
            tenant=said["tenant"],
            name=said["name"],
            scopes=said["scopes"],
            now=timezone.now(),
            livemode=said["livemode"],
            networks=said["allowed_networks"],
            expires_at=said["expires_at"],
            rate_per_minute=said["rate_per_minute"],
            actor=operator(request),
        )
        obj.__dict__.update(made.__dict__)
        once = format_html("The key, shown this once: <code>{}</code>", text)
        self.message_user(request, once, messages.WARNING)

    @display(description="key")
    def shown(self, key: ApiKey) -> str:
        return str(key)

    @display(description="mode", label={"live": "info", "test": "warning"})
    def mode(self, key: ApiKey) -> str:
        return "live" if key.livemode else "test"

    @display(description="state", label={"active": "success", "revoked": "danger", "expired": "warning"})
    def state(self, key: ApiKey) -> str:
        return key.state(timezone.now())

    @display(description="scopes")
    def may(self, key: ApiKey) -> str:
        return ", ".join(key.scopes)
