"""How data goes: how long what is kept, and one person's data removed everywhere."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect

from apps import text
from apps.offboarding import erasures, retention
from apps.offboarding.models import Erasure
from apps.offboarding.persons import KINDS, Person
from apps.offboarding.retention import MOST_DAYS
from apps.portal.page import Page
from apps.portal.roles import Permission
from apps.portal.table import Column, Empty, Table
from apps.valkey import Away, server

KIND_WORDS = {
    "user": "User", "account": "Account", "merchant": "Merchant", "device": "Device", "email": "E-mail address",
    "ip_address": "IP address", "card": "Card",
}  # fmt: skip
TABLE = Table(
    row="portal/rows/erasure.html",
    key=("asked_at", "id"),
    columns=(
        Column("asked_at", "Asked", lambda row: row.asked_at, ("asked_at", "id")),
        Column("id", "Receipt", lambda row: row.pk),
        Column("kind", "Kind", lambda row: row.kind),
        Column("state", "State", lambda row: row.state),
        Column("removed", "Removed", lambda row: ", ".join(f"{name} {count}" for name, count in row.removed.items())),
        Column("asked_by", "Asked by", lambda row: row.asked_by),
        Column("person_hash", "Who, as a hash", lambda row: row.person_hash, shown=False),
        Column("digest", "Digest of what was removed", lambda row: row.digest, shown=False),
        Column("completed_at", "Completed", lambda row: row.completed_at, shown=False),
    ),
)


class RetentionForm(forms.Form):
    """Days by kind; empty: for good."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, kind in retention.KINDS.items():
            self.fields[name] = forms.IntegerField(
                required=False, min_value=kind.least_days, max_value=MOST_DAYS, label=kind.words,
                help_text=f"Days, {kind.least_days} at least. Empty: as long as the account is open.",
            )  # fmt: skip


class EraseForm(forms.Form):
    """Who is to be removed, named twice."""

    kind = forms.ChoiceField(choices=tuple((kind, KIND_WORDS[kind]) for kind in KINDS), label="Who or what")
    name = forms.CharField(max_length=300, strip=True, label="Id", help_text="As your transactions have it.")
    again = forms.CharField(max_length=300, strip=True, label="The id once more", help_text="It can't be undone.")

    def clean(self) -> dict[str, Any]:
        said: dict[str, Any] = super().clean() or {}
        name = said.get("name", "")
        if why := text.refusal(name) if name else "":
            self.add_error("name", f"The id {why}.")
        elif said.get("again") != name:
            self.add_error("again", "That is another id.")
        return said


class DataPage(Page):
    """Retention, removal, receipts."""

    title, template = "Data retention", "portal/pages/data.html"
    changes, sensitive = Permission.DATA, True

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return self.exported(TABLE, self._receipts(), "removals") if TABLE.exports(request) else super().get(request)

    def context(self, **kwargs: Any) -> dict[str, Any]:
        empty = Empty("No one was removed yet", "Each removal leaves a receipt here that does not name the person.")
        return {
            "form": RetentionForm(initial=retention.of(self.tenant)),
            "erase_form": EraseForm(),
            "kept": [(retention.KINDS[kind].words, days) for kind, days in retention.of(self.tenant).items()],
            "table": TABLE.show(self.request, self._receipts(), empty),
        }

    def post(self, request: HttpRequest) -> HttpResponse:
        """Remove somebody, or set how long what is kept."""
        if request.POST.get("do") == "erase":
            return self._erase(request)
        form = RetentionForm(request.POST)
        if not form.is_valid():
            return self.page(**self.context() | {"form": form}, status=422)
        retention.change(tenant=self.tenant, days=form.cleaned_data, now=self.now, actor=self.actor)
        messages.success(request, "Saved. Older data is removed tonight.")
        return redirect("data")

    def _erase(self, request: HttpRequest) -> HttpResponse:
        form = EraseForm(request.POST)
        if not form.is_valid():
            return self.page(**self.context() | {"erase_form": form}, status=422)
        person, valkey = Person(form.cleaned_data["kind"], form.cleaned_data["name"]), server(settings.REDIS_URL, 5.0)
        try:
            receipt = erasures.erase(tenant=self.tenant, person=person, valkey=valkey, now=self.now, actor=self.actor)
        except Away:
            messages.warning(
                request, "Removal has started and continues within a minute: one of our stores is unavailable."
            )
            return redirect("data")
        done = receipt.state == Erasure.State.COMPLETED
        words = "Everything is gone" if done else "What is still being written is waited for"
        messages.success(request, f"{words}. The receipt is {receipt.pk}.")
        return redirect("data")

    def _receipts(self) -> Any:
        return Erasure.objects.filter(tenant=self.tenant)
