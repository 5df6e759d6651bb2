"""An invoice to read: HTML, and the same as PDF."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.template.loader import render_to_string

from apps.billing.invoicing import payment_instructions
from apps.billing.models import CreditNote, Invoice, InvoiceLine, Refund
from apps.billing.rating.money import EXPONENTS, shown
from apps.billing.rating.quotes import plain
from apps.notifications.attachments import Attachment


class PdfUnavailable(RuntimeError):
    """WeasyPrint's system libraries are missing on this machine."""


def html_of(invoice: Invoice) -> str:
    """A page of its own: nothing is loaded from elsewhere."""
    return render_to_string("billing/invoice.html", _facts(invoice))


def pdf_of(invoice: Invoice) -> bytes:
    """The page as PDF. WeasyPrint is loaded at the first one. Raises `PdfUnavailable`."""
    try:
        import weasyprint
    except OSError as missing:
        raise PdfUnavailable("Pango is missing here: apt-get install libpango-1.0-0 libpangoft2-1.0-0.") from missing
    return weasyprint.HTML(string=html_of(invoice), url_fetcher=_nothing_from_elsewhere).write_pdf()


def attached_pdf(told: Mapping[str, Any]) -> Attachment | None:
    """The PDF for a mail about an invoice; None where PDFs can't be made."""
    try:
        row = Invoice.objects.get(public_id=told["invoice"])
        return Attachment(f"palisade-{row.number}.pdf", pdf_of(row), "application/pdf")
    except PdfUnavailable:
        return None


def _nothing_from_elsewhere(url: str, *_: Any, **__: Any) -> Any:
    raise ValueError(f"an invoice loads nothing: {url}")


def _facts(invoice: Invoice) -> dict[str, Any]:
    usage, card = invoice.usage, payment_instructions.cards_of([invoice.tenant_id]).get(invoice.tenant_id)
    return {
        "seller": payment_instructions.seller_of(invoice),
        "payment": payment_instructions.asked_for(invoice, card),
        "transferred": payment_instructions.charged(invoice, card) is None,
        "invoice": invoice,
        "bill_to": invoice.bill_to,
        "decimals": EXPONENTS[invoice.currency],
        "lines": [_line(invoice, line) for line in invoice.lines.all() if _worth_a_line(line)],
        "deductions": [
            {"description": one.description, "amount": invoice.money(-one.amount)} for one in invoice.deductions.all()
        ],
        "notes": [_note(invoice, note) for note in invoice.credit_notes.prefetch_related("lines__line")],
        "refunds": [
            {"amount": shown(one.amount, invoice.currency), "at": one.created_at}
            for one in payment_instructions.refunds_of(invoice)
            if one.status == Refund.Status.DONE
        ],
        **{name: invoice.money(getattr(invoice, name)) for name in ("subtotal", "credits", "tax", "total")},
        "tax_label": _tax_label(invoice),
        "by_day": usage.get("by_day", []),
        "by_endpoint": usage.get("by_endpoint", []),
        "late": usage.get("late", {}),
    }


def _note(invoice: Invoice, note: CreditNote) -> dict[str, Any]:
    """A credit note in one sentence, with its net and tax, and what it takes of each line."""
    return {
        "number": note.number,
        "amount": shown(note.amount, invoice.currency),
        "reason": note.reason,
        "at": note.issued_at,
        "net": invoice.money(note.net),
        "tax": invoice.money(note.tax),
        "lines": [
            {"description": one.line.description, "net": invoice.money(one.net), "tax": invoice.money(one.tax)}
            for one in note.lines.all()
        ],
    }


def _tax_label(invoice: Invoice) -> str:
    """Nothing where there is no tax at all; one of 0 % that has a name is said."""
    if not (invoice.tax_percent or invoice.tax_name):
        return ""
    return f"{invoice.tax_name or 'Tax'} {plain(invoice.tax_percent)} %"


def _worth_a_line(line: InvoiceLine) -> bool:
    """A plan in force for a moment that cost nothing stays in the books and off the paper."""
    return bool(line.amount) or _number(line.quantity) != "0"


def _line(invoice: Invoice, line: InvoiceLine) -> dict[str, Any]:
    return {
        "description": line.description,
        "start": line.starts_at,
        "end": line.ends_at,
        "quantity": _number(line.quantity),
        "unit_price": "" if line.unit_price is None else plain(line.unit_price),
        "amount": invoice.money(line.amount),
    }


def _number(quantity: Decimal) -> str:
    return f"{int(quantity):,}" if quantity == int(quantity) else plain(round(quantity, 6))
