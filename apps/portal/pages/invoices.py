"""Invoices and credit notes: listed, read, as PDF."""

from typing import Any

from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase

from apps.billing.invoicing import documents
from apps.billing.models import CreditNote, Invoice
from apps.portal.filters import choice, days, search
from apps.portal.page import Page
from apps.portal.roles import Permission
from apps.portal.table import Column, Empty, Table

STATES = (("open", "Open"), ("paid", "Paid"), ("void", "Void"))
TABLE = Table(
    row="portal/rows/invoice.html",
    key=("created_at", "id"),
    filters=(search("Number", "number"), choice("state", "State", STATES, "status"), *days("issued_at")),
    columns=(
        Column("number", "Number", lambda one: one.number),
        Column("month", "Month", lambda one: one.period),
        Column("issued_at", "Issued", lambda one: one.issued_at, ("created_at", "id")),
        Column("due_at", "Due", lambda one: one.due_at),
        Column("state", "State", lambda one: one.status),
        Column("total", "Total", lambda one: one.total, ("total", "id"), number=True),
        Column("currency", "Currency", lambda one: one.currency),
        Column("paper", "Papers", lambda one: one.public_id),
    ),
)
NOTHING = Empty("No invoices yet", "The first invoice comes after the first month with a cost.")


class InvoicesPage(Page):
    """All that were issued, newest first. Test calls are never billed, so both modes show the same."""

    title, template = "Invoices", "portal/pages/invoices.html"
    bills = True
    permission = Permission.INVOICES

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return self.exported(TABLE, self._rows(), "invoices") if TABLE.exports(request) else super().get(request)

    def context(self, **kwargs: Any) -> dict[str, Any]:
        return {"table": TABLE.show(self.request, self._rows(), NOTHING)}

    def _rows(self) -> QuerySet[Invoice]:
        return Invoice.objects.filter(tenant=self.tenant).exclude(status="draft").prefetch_related("credit_notes")


class _Paper(Page):
    """A document as it was sent: PDF, or HTML where PDFs can't be made."""

    permission = Permission.INVOICES
    http_method_names = ["get", "head"]

    def drawn(self, paper: documents.Paper | None) -> HttpResponse:
        if paper is None:
            raise Http404
        try:
            content = documents.pdf_of(paper)
        except documents.PdfUnavailable:
            return HttpResponse(documents.html_of(paper), content_type="text/html; charset=utf-8")
        disposition = {"Content-Disposition": f'inline; filename="palisade-{paper.number}.pdf"'}
        return HttpResponse(content, content_type="application/pdf", headers=disposition)


class InvoicePaper(_Paper):
    """One invoice."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        rows = Invoice.objects.filter(~Q(status="draft"), tenant=self.tenant)
        return self.drawn(rows.filter(public_id=kwargs["invoice_id"]).first())


class CreditNotePaper(_Paper):
    """One credit note."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        rows = CreditNote.objects.filter(invoice__tenant=self.tenant)
        return self.drawn(rows.filter(public_id=kwargs["note_id"]).first())
