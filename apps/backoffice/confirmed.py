"""Acts that can't be undone: each asks for a reason on a page of its own, from a list and from the object's page."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminTextInputWidget

from apps.backoffice.base import OperatorAdmin


@dataclass(frozen=True)
class Confirmed:
    """One such act. `act(request, row, reason)` does it and says what it did; a `ValueError` says why it can't be.

    `title` names it in the menu of a list and on the button; `warning` says what follows; `offered(row)` whether the
    row's own page has it.
    """

    name: str
    title: str
    warning: str
    act: Callable[[HttpRequest, Any, str], str]
    offered: Callable[[Any], bool]


class ReasonForm(forms.Form):
    """Why it is done: the audit trail keeps it."""

    reason = forms.CharField(
        max_length=200, widget=UnfoldAdminTextInputWidget, help_text="It stands in the audit trail."
    )


class ConfirmedAdmin(OperatorAdmin):
    """A page with acts that are confirmed: `confirmed`. Who may do them says `has_confirm_permission`."""

    confirmed: ClassVar[Sequence[Confirmed]] = ()

    def has_confirm_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm(f"{self.opts.app_label}.change_{self.opts.model_name}"))

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        found: dict[str, Any] = super().get_actions(request)
        if self.has_confirm_permission(request):
            found |= {one.name: (self._of_list(one), one.name, f"{one.title} …") for one in self.confirmed}
        return found

    def get_urls(self) -> list[Any]:
        return [
            path(f"<path:pk>/{one.name}/", self.admin_site.admin_view(self._of_row(one)), name=self._address_name(one))
            for one in self.confirmed
        ] + super().get_urls()

    @admin.display(description="what can be done")
    def can_be_done(self, row: Any) -> SafeString | str:
        """Links to what may be done to a row now."""
        return format_html_join(" · ", '<a class="underline" href="{}">{}</a>', self.links(row)) or "nothing"

    def links(self, row: Any) -> Iterable[tuple[str, str]]:
        """(address, words) of what may be done to a row now."""
        for one in self.confirmed:
            if one.offered(row):
                yield reverse(f"admin:{self._address_name(one)}", args=[row.pk]), f"{one.title} …"

    def _address_name(self, act: Confirmed) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{act.name}"

    def _of_list(self, act: Confirmed) -> Callable[..., HttpResponse | None]:
        def view(_: Any, request: HttpRequest, chosen: Any) -> HttpResponse | None:
            form = ReasonForm(request.POST if "reason" in request.POST else None)
            if not form.is_valid():
                return self._ask(request, act, list(chosen), form)
            self._do(request, act, chosen, form.cleaned_data["reason"])
            return None

        return view

    def _of_row(self, act: Confirmed) -> Callable[..., HttpResponse]:
        def view(request: HttpRequest, pk: str) -> HttpResponse:
            row = self.get_object(request, pk)
            if not self.has_confirm_permission(request):
                raise PermissionDenied
            if row is None:
                raise Http404
            form = ReasonForm(request.POST or None)
            if not form.is_valid():
                return self._ask(request, act, [row], form)
            self._do(request, act, [row], form.cleaned_data["reason"])
            return HttpResponseRedirect(
                reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[pk])
            )

        return view

    def _ask(self, request: HttpRequest, act: Confirmed, rows: Sequence[Any], form: forms.Form) -> TemplateResponse:
        context: Mapping[str, Any] = {
            **self.admin_site.each_context(request),
            "title": act.title,
            "opts": self.opts,
            "name": act.name,
            "warning": act.warning,
            "button": act.title,
            "rows": rows,
            "back": reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist"),
            "form": form,
        }
        return TemplateResponse(request, "admin/confirm.html", dict(context))

    def _do(self, request: HttpRequest, act: Confirmed, rows: Iterable[Any], reason: str) -> None:
        """Each row by itself: what can't be done to one keeps none of the others from it."""
        for row in rows:
            try:
                self.message_user(request, act.act(request, row, reason), messages.SUCCESS)
            except ValueError as refused:
                self.message_user(request, str(refused), messages.ERROR)
