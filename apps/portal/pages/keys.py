"""API keys: make, show once, rotate, revoke."""

from datetime import timedelta
from typing import Any, NamedTuple

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect

from apps.api_keys import keys, services
from apps.api_keys.models import ApiKey
from apps.periods import Period
from apps.portal.filters import choice_in, search_in
from apps.portal.page import Page
from apps.portal.roles import Permission
from apps.portal.table import Column, Empty, Table
from apps.usage.statements.activity import decisions_by_key

SCOPES = {
    "predict": "Score single transactions",
    "batch": "Score batches",
    "read": "Read decisions and usage",
    "admin": "Change budgets, plan and webhooks",
}
#: How long a rotated key may go on beside its successor: hours → words.
OVERLAPS = {0: "ends now", 1: "1 hour", 24: "1 day", 72: "3 days", 168: "7 days"}


class KeyForm(forms.Form):
    """A new key."""

    name = forms.CharField(max_length=100, help_text="Where you will use it, such as “checkout, production”.")
    scopes = forms.MultipleChoiceField(
        choices=list(SCOPES.items()), initial=["predict", "read"], widget=forms.CheckboxSelectMultiple, label="It may"
    )
    networks = forms.CharField(
        required=False,
        label="Only from these networks",
        help_text="Addresses or networks such as 203.0.113.0/24, separated by commas. Empty: from anywhere.",
    )
    days = forms.IntegerField(
        required=False, min_value=1, max_value=3650, label="Expires after days", help_text="Empty: never."
    )

    def networks_asked(self) -> list[str]:
        return _networks(self.cleaned_data["networks"])


def _networks(said: str) -> list[str]:
    """Networks as they are typed, between commas or spaces."""
    return said.replace(",", " ").split()


class KeyRow(NamedTuple):
    """A key, its state, and how many decisions it asked for this month."""

    key: ApiKey
    state: str
    used: int


STATES = (("active", "Active"), ("revoked", "Revoked"), ("expired", "Expired"))
TABLE = Table(
    row="portal/rows/key.html",
    filters=(
        search_in("Name or key", lambda row: row.key.name, lambda row: str(row.key)),
        choice_in("state", "State", STATES, lambda row: row.state),
    ),
    columns=(
        Column("name", "Name", lambda row: row.key.name, ("name",)),
        Column("key", "Key", lambda row: str(row.key)),
        Column("scopes", "It may", lambda row: row.key.scopes),
        Column("networks", "From", lambda row: row.key.allowed_networks),
        Column("used", "This month", lambda row: row.used, ("used",), number=True),
        Column("last_used_at", "Last used", lambda row: row.key.last_used_at, ("last_used_at",)),
        Column("state", "State", lambda row: row.state, ("state",)),
        Column("created_at", "Made", lambda row: row.key.created_at, ("created_at",)),
    ),
)


class KeysPage(Page):
    """The keys of this mode, and making one."""

    title, template = "API keys", "portal/pages/keys.html"
    changes, sensitive = Permission.KEYS, True

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return self.exported(TABLE, self._rows(), "keys") if TABLE.exports(request) else super().get(request)

    def context(self, **kwargs: Any) -> dict[str, Any]:
        mode = "live" if self.livemode else "test"
        text = "Make one below; it is shown once." if self.may(Permission.KEYS) else "An owner or admin can make one."
        table = TABLE.show(self.request, self._rows(), Empty(f"No {mode} keys yet", text))
        return {"table": table, "form": KeyForm(), "scopes": SCOPES, "overlaps": OVERLAPS}

    def _rows(self) -> list[KeyRow]:
        """Keys with their states and decisions of the month, those in use first, the newest of them first."""
        keys = ApiKey.objects.filter(tenant=self.tenant, livemode=self.livemode)
        used = decisions_by_key(self.tenant.pk, Period.of(self.now), livemode=self.livemode)
        rows = [KeyRow(key, key.state(self.now), used.get(key.pk, 0)) for key in keys]
        return sorted(rows, key=lambda row: row.state != "active")

    def post(self, request: HttpRequest) -> HttpResponse:
        form = KeyForm(request.POST)
        if form.is_valid():
            try:
                return self._made(form)
            except services.InvalidKeyRequest as wrong:
                field, _, said = str(wrong).partition(": ")
                form.add_error("networks" if field == "allow" else None, said)
        return self.page(**self.context() | {"form": form}, status=422)

    def _made(self, form: KeyForm) -> HttpResponse:
        days = form.cleaned_data["days"]
        key, text = services.create_key(
            tenant=self.tenant,
            name=form.cleaned_data["name"],
            scopes=form.cleaned_data["scopes"],
            networks=form.networks_asked(),
            expires_at=self.now + timedelta(days=days) if days else None,
            livemode=self.livemode,
            now=self.now,
            actor=self.actor,
        )
        return self.page("portal/pages/key_made.html", title="Your new key", key=key, text=text)


class _OneKey(Page):
    """Something done to one key of the tenant."""

    permission, sensitive = Permission.KEYS, True
    http_method_names = ["post"]

    def key(self, key_id: int) -> ApiKey:
        try:
            return ApiKey.objects.select_related("tenant").get(pk=key_id, tenant=self.tenant)
        except ApiKey.DoesNotExist as missing:
            raise Http404 from missing


class RotateKey(_OneKey):
    """A successor, and the old key's end."""

    def post(self, request: HttpRequest, key_id: int) -> HttpResponse:
        value = request.POST.get("overlap", "0")
        overlap = timedelta(hours=int(value) if value.isdecimal() and int(value) in OVERLAPS else 0)
        try:
            key, text = services.rotate_key(
                key=self.key(key_id), gate=services.get_gate(), now=self.now, overlap=overlap, actor=self.actor
            )
        except services.InvalidKeyRequest as wrong:
            messages.error(request, str(wrong).partition(": ")[2])
            return redirect("keys")
        return self.page("portal/pages/key_made.html", title="Your new key", key=key, text=text, rotated=overlap)


class RestrictKey(_OneKey):
    """The networks the key may come from, from now on."""

    def post(self, request: HttpRequest, key_id: int) -> HttpResponse:
        key, networks = self.key(key_id), _networks(request.POST.get("networks", ""))
        try:
            services.restrict_key(key=key, networks=networks, gate=services.get_gate(), now=self.now, actor=self.actor)
        except services.InvalidKeyRequest as wrong:
            messages.error(request, f"{key.name} is as it was: {str(wrong).partition(': ')[2]}")
            return redirect("keys")
        messages.success(request, f"{key.name} may come from {', '.join(networks) or 'anywhere'} now.")
        return redirect("keys")


class RevokeKey(_OneKey):
    """The key's end, at once."""

    def post(self, request: HttpRequest, key_id: int) -> HttpResponse:
        key = self.key(key_id)
        told = services.revoke_key(key=key, gate=services.get_gate(), now=self.now, actor=self.actor)
        at_once = "refused from now on" if told else "refused as soon as our store is back, within seconds"
        messages.success(request, f"{key.name} is revoked: it is {at_once}.")
        return redirect("keys")


assert set(SCOPES) == set(keys.SCOPES)  # noqa: S101 - every scope has its words
