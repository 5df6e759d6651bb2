"""Invoices: listed, read, as PDF."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse

from apps.billing.invoicing import documents
from apps.billing.models import Invoice
from apps.portal.page import Page
from apps.portal.roles import Permission

KEY = ("created_at", "id")


class InvoicesPage(Page):
    """All that were issued, newest first. Test calls are never billed, so both modes show the same."""

    title, template = "Invoices", "portal/pages/invoices.html"
    permission = Permission.INVOICES

    def context(self, **kwargs: Any) -> dict[str, Any]:
        rows = Invoice.objects.filter(tenant=self.tenant).exclude(status="draft").prefetch_related("credit_notes")
        page = self.cut(rows, KEY)
        return {"invoices": page.rows, "next_cursor": page.next_cursor}


class InvoicePaper(Page):
    """One invoice as it was sent: PDF, or HTML where PDFs can't be made."""

    permission = Permission.INVOICES
    http_method_names = ["get", "head"]

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        rows = Invoice.objects.filter(tenant=self.tenant).exclude(status="draft")
        invoice = rows.filter(public_id=kwargs["invoice_id"]).first()
        if invoice is None:
            raise Http404
        try:
            content = documents.pdf_of(invoice)
        except documents.PdfUnavailable:
            return HttpResponse(documents.html_of(invoice), content_type="text/html; charset=utf-8")
        disposition = {"Content-Disposition": f'inline; filename="palisade-{invoice.number}.pdf"'}
        return HttpResponse(content, content_type="application/pdf", headers=disposition)
