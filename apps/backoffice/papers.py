"""What operators' pages of money have in common: amounts with their currency, and invoices as they are on paper."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from typing import Any, ClassVar

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.decorators import display

from apps.billing.invoicing.documents import Paper, PdfUnavailable, html_of, pdf_of
from apps.billing.invoicing.payment_instructions import seller_of
from apps.billing.models import Invoice
from apps.billing.rating.money import shown
from apps.formats import month_text, short_day_text


def in_currency(field: str, currency: Callable[[Any], str]) -> Any:
    """A column `shown_…` for an amount: 27.79 EUR."""

    @display(description=field.replace("_", " "), ordering=field)
    def show(_: Any, row: Any) -> str:
        return shown(getattr(row, field), currency(row))

    return show


class AmountsAdmin(ModelAdmin):
    """A row that is there shows `amounts` by their columns `shown_…`; a form for a new one has the fields."""

    amounts: ClassVar[tuple[str, ...]] = ()

    def get_exclude(self, request: HttpRequest, obj: Any = None) -> Any:
        before = super().get_exclude(request, obj) or ()
        return (*before, *self.amounts) if obj else before

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        before = super().get_readonly_fields(request, obj)
        return (*before, *(f"shown_{name}" for name in self.amounts)) if obj else before


class OnPaperAdmin(AmountsAdmin):
    """An invoice or a credit note in words, and as its customer sees it."""

    @admin.display(description="on paper")
    def on_paper(self, paper: Paper) -> SafeString:
        addresses = [(reverse(f"admin:{self._drawn_as(form)}", args=[paper.pk]), form.upper()) for form in _FORMS]
        return format_html_join(" · ", '<a class="underline" href="{}" target="_blank">{}</a>', addresses)

    @admin.display(description="from")
    def shown_seller(self, invoice: Invoice) -> SafeString:
        return _lines(line for said in seller_of(invoice).values() for line in said.splitlines())

    @admin.display(description="bill to")
    def shown_bill_to(self, invoice: Invoice) -> SafeString:
        return _lines(line for said in invoice.bill_to.values() for line in str(said).splitlines())

    @admin.display(description="usage")
    def shown_usage(self, invoice: Invoice) -> str:
        return _lines(_usage_of(invoice.usage)) or "none"

    def get_urls(self) -> list[Any]:
        return [
            path(f"<int:pk>/{form}/", self.admin_site.admin_view(self._drawn(form)), name=self._drawn_as(form))
            for form in _FORMS
        ] + super().get_urls()

    def _drawn_as(self, form: str) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{form}"

    def _drawn(self, form: str) -> Callable[..., HttpResponse]:
        def view(request: HttpRequest, pk: int) -> HttpResponse:
            invoice = self.get_object(request, str(pk))
            if invoice is None:
                raise Http404
            if not self.has_view_permission(request, invoice):
                raise PermissionDenied
            return _FORMS[form](invoice)

        return view


def _html(paper: Paper) -> HttpResponse:
    return HttpResponse(html_of(paper))


def _pdf(paper: Paper) -> HttpResponse:
    try:
        return HttpResponse(pdf_of(paper), content_type="application/pdf")
    except PdfUnavailable as missing:
        return HttpResponse(str(missing), status=503, content_type="text/plain")


_FORMS: Mapping[str, Callable[[Paper], HttpResponse]] = {"html": _html, "pdf": _pdf}


def _lines(said: Iterator[str]) -> SafeString:
    return format_html_join(SafeString("<br>"), "{}", ((line,) for line in said if line))


def by_day(days: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    """Units by day, the days as people write them."""
    return [(short_day_text(date.fromisoformat(day)), units) for day, units in days]


def _usage_of(usage: Mapping[str, Any]) -> Iterator[str]:
    """A line a heading: by endpoint, by day, and what came late."""
    late = {f"Recorded late, of {month_text(month)}": by_day(days) for month, days in usage.get("late", {}).items()}
    parts = {"By endpoint": usage.get("by_endpoint", []), "By day": by_day(usage.get("by_day", [])), **late}
    for heading, counted in parts.items():
        if counted:
            yield f"{heading}: " + ", ".join(f"{name} {units:,}" for name, units in counted)
