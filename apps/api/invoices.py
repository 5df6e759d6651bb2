"""`/v1/invoices` and `/v1/credit-notes`: as JSON, as a page, as PDF. Amounts are decimal strings."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

import msgspec
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from msgspec import Meta

from apps import paging
from apps.api.endpoint import ApiView, json_answer
from apps.api.fields import Moment, Money, NextCursor
from apps.api.operation import Answer, Operation, id_in_path, operation, page_of
from apps.api.parameters import page_in, query_of
from apps.billing import models
from apps.billing.invoicing import documents, payment_instructions
from apps.billing.receivables import receivables
from apps.errors import Problem
from apps.formats import plain
from apps.periods import Month
from apps.times import rfc3339, rfc3339_or_none

#: By what invoices are listed, newest first.
KEY = ("created_at", "public_id")
Method = Literal["card", "bank_transfer", "balance"]
_METHODS: dict[str, Method] = {models.TRANSFER: "bank_transfer", models.BALANCE: "balance"}


class InvoiceLine(msgspec.Struct, frozen=True):
    """One line; amount = quantity × unit price, rounded once, half-up."""

    component: str
    description: str
    quantity: str
    unit_price: Annotated[str | None, Meta(description="null: units recorded late, priced by their own month.")]
    amount: Money
    start: Moment
    end: Moment


class Deduction(msgspec.Struct, frozen=True):
    """What a coupon or a credit took off."""

    kind: Literal["coupon", "credit"]
    description: str
    amount: Money


class CreditNoteLine(msgspec.Struct, frozen=True):
    """What a credit note takes of a line of its invoice."""

    line: Annotated[int, Meta(description="Its place among the invoice's lines, from 1.")]
    net: Money
    tax: Money


class CreditNote(msgspec.Struct, frozen=True):
    """A correction of the invoice: so much less is owed. Notes over all of it sum to it, line by line."""

    id: str
    object: Literal["credit_note"]
    number: str
    invoice: Annotated[str, Meta(description="The id of the invoice it corrects.")]
    currency: str
    amount: Annotated[Money, Meta(description="net + tax")]
    net: Money
    tax: Money
    reason: str
    issued_at: Moment
    lines: Annotated[
        list[CreditNoteLine], Meta(description="What it takes of which line; empty on notes from before 2026-12.")
    ]


class Refund(msgspec.Struct, frozen=True):
    """Money of its payment that was given back."""

    amount: Money
    status: Annotated[
        Literal["pending", "done", "failed"], Meta(description="done: on its way; banks take up to ten days.")
    ]
    created_at: Moment


class InvoicePayment(msgspec.Struct, frozen=True):
    """Money for the invoice that came: by card, by bank transfer, or left of an earlier transfer."""

    amount: Annotated[Money, Meta(description="What counts towards this invoice.")]
    method: Method
    reference: Annotated[str, Meta(description="What stood on the transfer; empty for cards.")]
    paid_at: Moment


class Invoice(msgspec.Struct, frozen=True):
    """subtotal − credits + tax = total."""

    id: str
    object: Literal["invoice"]
    number: str
    status: Literal["issued", "paid", "void"]
    period: Month | None
    currency: str
    plan: str | None
    units: int
    included: int
    subtotal: Money
    credits: Money
    tax: Money
    tax_name: str
    tax_percent: str
    total: Money
    amount_due: Annotated[
        Money, Meta(description="What is still to be paid: the total without payments and credit notes; 0 once paid.")
    ]
    issued_at: Moment
    due_at: Moment
    paid_at: Moment | None
    lines: list[InvoiceLine]
    deductions: list[Deduction]
    credit_notes: Annotated[list[CreditNote], Meta(description="What corrects it, the newest first.")]
    payments: Annotated[
        list[InvoicePayment], Meta(description="The earliest first; declined tries are not among them.")
    ]
    refunds: Annotated[list[Refund], Meta(description="The newest first.")]


class InvoicePage(msgspec.Struct, frozen=True):
    """Invoices, newest first."""

    object: Literal["list"]
    data: list[Invoice]
    has_more: bool
    next_cursor: NextCursor


class InvoicesView(ApiView):
    """GET: invoices, newest first."""

    endpoint = "invoices"

    def get(self, request: HttpRequest) -> HttpResponse:
        limit, cursor = self.understood(request, lambda request: page_in(query_of(request.META)))
        tenant_id = self.admit_only(request).tenant_id
        page = paging.page_of(_invoices(tenant_id, self.key.livemode), KEY, cursor, limit)
        data = [_invoice(invoice) for invoice in page.rows]
        return json_answer(InvoicePage("list", data, page.next_cursor is not None, page.next_cursor))


class InvoiceView(ApiView):
    """GET: one; as JSON, as HTML, as PDF."""

    endpoint = "invoice"

    def get(self, request: HttpRequest, invoice_id: str, drawn: str = "") -> HttpResponse:
        tenant_id = self.admit_only(request).tenant_id
        row = _invoices(tenant_id, self.key.livemode).filter(public_id=invoice_id).first()
        if row is None:
            raise Problem("not_found")
        return _FORMS[drawn](row)


class CreditNoteView(ApiView):
    """GET: one; as JSON, as HTML, as PDF."""

    endpoint = "credit_note"

    def get(self, request: HttpRequest, note_id: str, drawn: str = "") -> HttpResponse:
        tenant_id = self.admit_only(request).tenant_id
        rows = models.CreditNote.objects.filter(invoice__in=_invoices(tenant_id, self.key.livemode))
        row = rows.select_related("invoice").prefetch_related("lines__line").filter(public_id=note_id).first()
        if row is None:
            raise Problem("not_found")
        return _FORMS[drawn](row)


def _invoices(tenant_id: int, livemode: bool) -> QuerySet[models.Invoice]:
    """What a customer sees: no drafts, and nothing with a test key, which is never billed."""
    rows = models.Invoice.objects.filter(tenant_id=tenant_id) if livemode else models.Invoice.objects.none()
    return rows.exclude(status="draft").prefetch_related(
        "lines", "deductions", "credit_notes__lines__line", "payments__refunds"
    )


def _invoice(row: models.Invoice) -> Invoice:
    assert row.number and row.issued_at and row.due_at  # noqa: S101 - a constraint holds it for all but drafts
    return Invoice(
        id=row.public_id,
        object="invoice",
        number=row.number,
        status=row.status,  # type: ignore[arg-type]
        period=row.period or None,
        currency=row.currency,
        plan=row.plan_name or None,
        units=row.units,
        included=row.included,
        subtotal=str(row.money(row.subtotal)),
        credits=str(row.money(row.credits)),
        tax=str(row.money(row.tax)),
        tax_name=row.tax_name,
        tax_percent=plain(row.tax_percent),
        total=str(row.money(row.total)),
        amount_due=str(receivables.due(row)),
        issued_at=rfc3339(row.issued_at),
        due_at=rfc3339(row.due_at),
        paid_at=rfc3339_or_none(row.paid_at),
        lines=[_line(row, line) for line in row.lines.all()],
        deductions=[
            Deduction(deduction.kind, deduction.description, str(row.money(deduction.amount)))  # type: ignore[arg-type]
            for deduction in row.deductions.all()
        ],
        credit_notes=[_note(row, note) for note in row.credit_notes.all()],
        payments=[_payment(row, one) for one in sorted(receivables.taken(row), key=lambda one: one.created_at)],
        refunds=[_refund(row, one) for one in payment_instructions.refunds_of(row)],
    )


def _note(row: models.Invoice, note: models.CreditNote) -> CreditNote:
    return CreditNote(
        id=note.public_id,
        object="credit_note",
        invoice=row.public_id,
        currency=row.currency,
        number=note.number,
        amount=str(row.money(note.amount)),
        net=str(row.money(note.net)),
        tax=str(row.money(note.tax)),
        reason=note.reason,
        issued_at=rfc3339(note.issued_at),
        lines=[
            CreditNoteLine(line.line.place, str(row.money(line.net)), str(row.money(line.tax)))
            for line in note.lines.all()
        ],
    )


def _payment(row: models.Invoice, payment: models.Payment) -> InvoicePayment:
    amount = row.money(payment.amount - payment.unapplied - payment.moved)
    method = _METHODS.get(payment.provider, "card")
    return InvoicePayment(str(amount), method, payment.reference, rfc3339(payment.created_at))


def _refund(row: models.Invoice, refund: models.Refund) -> Refund:
    status = "pending" if refund.status == models.Refund.Status.INTENT else refund.status
    return Refund(str(row.money(refund.amount)), status, rfc3339(refund.created_at))  # type: ignore[arg-type]


def _line(row: models.Invoice, line: models.InvoiceLine) -> InvoiceLine:
    return InvoiceLine(
        component=line.component,
        description=line.description,
        quantity=plain(line.quantity),
        unit_price=None if line.unit_price is None else plain(line.unit_price),
        amount=str(row.money(line.amount)),
        start=rfc3339(line.starts_at),
        end=rfc3339(line.ends_at),
    )


def _pdf(row: documents.Paper) -> HttpResponse:
    try:
        content = documents.pdf_of(row)
    except documents.PdfUnavailable as missing:
        raise Problem("pdf_unavailable", str(missing)) from missing
    name = f"palisade-{row.number}.pdf"
    disposition = {"Content-Disposition": f'inline; filename="{name}"'}
    return HttpResponse(content, content_type="application/pdf", headers=disposition)


def _html(row: documents.Paper) -> HttpResponse:
    return HttpResponse(documents.html_of(row), content_type="text/html; charset=utf-8")


def _json(row: documents.Paper) -> HttpResponse:
    return json_answer(_note(row.invoice, row) if isinstance(row, models.CreditNote) else _invoice(row))


_FORMS: dict[str, Callable[[documents.Paper], HttpResponse]] = {"": _json, "pdf": _pdf, "html": _html}


TAG = "Billing"
_NOTE = id_in_path("note_id", "The credit note's id.", "cn_5d0c2f75d1e0b7c4a9f21e60")
_INVOICE = id_in_path("invoice_id", "The invoice's id.", "in_5d0c2f75d1e0b7c4a9f21e60")


def _read(path: str, name: str, summary: str, description: str, answer: Answer, **more: Any) -> Operation:
    return operation(TAG, "GET", path, name, summary, description, answer, **more)


OPERATIONS: Sequence[Operation] = (
    _read(
        "/v1/invoices",
        "listInvoices",
        "List invoices",
        "Issued, paid and void ones. A test key has none.",
        Answer(InvoicePage, "A page of invoices, newest first."),
        parameters=page_of("Invoices"),
        problems=("field_invalid", "cursor_invalid"),
    ),
    _read(
        "/v1/invoices/{invoice_id}",
        "getInvoice",
        "Read an invoice",
        "It never changes once it was issued, but for being paid or voided; credit notes correct it.",
        Answer(Invoice, "The invoice."),
        parameters=(_INVOICE,),
        problems=("not_found",),
    ),
    _read(
        "/v1/invoices/{invoice_id}.pdf",
        "getInvoicePdf",
        "An invoice as PDF",
        "With the usage by day and by endpoint.",
        Answer({"type": "string", "contentMediaType": "application/pdf"}, "The PDF.", "application/pdf"),
        parameters=(_INVOICE,),
        problems=("not_found", "pdf_unavailable"),
    ),
    _read(
        "/v1/invoices/{invoice_id}.html",
        "getInvoiceHtml",
        "An invoice as a page",
        "The same as the PDF; it loads nothing from elsewhere.",
        Answer({"type": "string"}, "The page.", "text/html; charset=utf-8"),
        parameters=(_INVOICE,),
        problems=("not_found",),
    ),
    _read(
        "/v1/credit-notes/{note_id}",
        "getCreditNote",
        "Read a credit note",
        "What corrects an invoice, line by line. It never changes.",
        Answer(CreditNote, "The credit note."),
        parameters=(_NOTE,),
        problems=("not_found",),
    ),
    _read(
        "/v1/credit-notes/{note_id}.pdf",
        "getCreditNotePdf",
        "A credit note as PDF",
        "With the tax it takes back.",
        Answer({"type": "string", "contentMediaType": "application/pdf"}, "The PDF.", "application/pdf"),
        parameters=(_NOTE,),
        problems=("not_found", "pdf_unavailable"),
    ),
    _read(
        "/v1/credit-notes/{note_id}.html",
        "getCreditNoteHtml",
        "A credit note as a page",
        "The same as the PDF; it loads nothing from elsewhere.",
        Answer({"type": "string"}, "The page.", "text/html; charset=utf-8"),
        parameters=(_NOTE,),
        problems=("not_found",),
    ),
)
