"""Invoices and credit notes to read: HTML, and the same as PDF."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from django.template.loader import render_to_string

from apps.billing.invoicing import payment_instructions
from apps.billing.models import Credit, CreditNote, Invoice, InvoiceLine, Payment, Refund
from apps.billing.rating.money import EXPONENTS, shown
from apps.billing.receivables import receivables
from apps.countries import name_of
from apps.formats import (
    amount_text,
    day_text,
    days_text,
    month_text,
    number_text,
    percent_text,
    plain,
    short_day_text,
    span_text,
)
from apps.notifications.attachments import Attachment
from apps.periods import Period

#: What is drawn.
Paper = Invoice | CreditNote


class PdfUnavailable(RuntimeError):
    """WeasyPrint's system libraries are missing on this machine."""


def html_of(paper: Paper) -> str:
    """Draw a page of its own: nothing is loaded from elsewhere."""
    if isinstance(paper, CreditNote):
        return render_to_string("billing/credit_note.html", _note_facts(paper))
    return render_to_string("billing/invoice.html", _invoice_facts(paper))


def pdf_of(paper: Paper) -> bytes:
    """Draw the page as PDF. Raises `PdfUnavailable`."""
    return drawn(html_of(paper))


def drawn(html: str) -> bytes:
    """Draw a page of its own as PDF. WeasyPrint is loaded at the first one. Raises `PdfUnavailable`."""
    try:
        import weasyprint
    except OSError as missing:
        raise PdfUnavailable("Pango is missing here: apt-get install libpango-1.0-0 libpangoft2-1.0-0.") from missing
    return weasyprint.HTML(string=html, url_fetcher=_nothing_from_elsewhere).write_pdf()


def attached_invoice(event: Mapping[str, Any]) -> Attachment | None:
    """Draw the PDF for a mail about an invoice; None where PDFs can't be made."""
    return _attached(Invoice.objects.get(public_id=event["invoice"]))


def attached_credit_note(event: Mapping[str, Any]) -> Attachment | None:
    """Draw the PDF for a mail about a credit note; None where PDFs can't be made."""
    return _attached(CreditNote.objects.get(public_id=event["credit_note"]))


def _attached(paper: Paper) -> Attachment | None:
    try:
        return Attachment(f"palisade-{paper.number}.pdf", pdf_of(paper), "application/pdf")
    except PdfUnavailable:
        return None


def _nothing_from_elsewhere(url: str, *_: Any, **__: Any) -> Any:
    raise ValueError(f"a paper loads nothing: {url}")


def _parties(invoice: Invoice) -> dict[str, Any]:
    """Say who it is from and to, and in which currency."""
    return {
        "invoice": invoice,
        "seller": payment_instructions.seller_of(invoice),
        "bill_to": invoice.bill_to,
        "country": name_of(str(invoice.bill_to.get("country", ""))),
        "currency": invoice.currency,
        "tax_label": _tax_label(invoice),
    }


def _invoice_facts(invoice: Invoice) -> dict[str, Any]:
    card = payment_instructions.cards_of([invoice.tenant_id]).get(invoice.tenant_id)
    settled, still_open = list(_settled(invoice)), invoice.status == Invoice.Status.ISSUED
    amounts = {name: getattr(invoice, name) for name in ("subtotal", "credits", "tax", "total")}
    return _parties(invoice) | {
        "month": month_text(invoice.period) if invoice.period else "",
        "decimals": EXPONENTS[invoice.currency],
        "lines": [_line(invoice, line) for line in invoice.lines.all() if _worth_a_line(line)],
        "deductions": [
            (deduction.description, _amount(invoice, -deduction.amount)) for deduction in invoice.deductions.all()
        ],
        **{name: _amount(invoice, amount) for name, amount in amounts.items()},
        "settled": [(text, _amount(invoice, -amount)) for text, amount in settled] if still_open else [],
        "history": [] if still_open else [f"{text}: {shown(amount, invoice.currency)}" for text, amount in settled],
        "refunds": list(_refunds(invoice)),
        "amount_due": _amount(invoice, receivables.due(invoice)),
        "payment": payment_instructions.asked_for(invoice, card),
        "transferred": payment_instructions.charged(invoice, card) is None,
        **_usage_facts(invoice),
    }


def _usage_facts(invoice: Invoice) -> dict[str, Any]:
    usage = invoice.usage
    return {
        "units": number_text(invoice.units),
        "included": number_text(invoice.included),
        "by_day": _by_day(usage.get("by_day", [])),
        "by_endpoint": [(name, number_text(units)) for name, units in usage.get("by_endpoint", [])],
        "late": [(month_text(month), _by_day(days)) for month, days in usage.get("late", {}).items()],
    }


def _by_day(days: Iterable[tuple[str, int]]) -> list[tuple[str, str]]:
    return [(short_day_text(date.fromisoformat(day)), number_text(units)) for day, units in days]


def _settled(invoice: Invoice) -> Iterator[tuple[str, Decimal]]:
    """Say what came off the total since it was issued: payments, less what of them was given back, and credit notes."""
    for payment in sorted(receivables.taken(invoice), key=lambda one: one.created_at):
        given_back = payment.amount_refunded if invoice.status == Invoice.Status.PAID else 0
        if amount := payment.applied + given_back:
            yield _payment_text(payment), amount
    for note in invoice.credit_notes.order_by("pk"):
        yield _note_text(note), note.amount


def _note_text(note: CreditNote) -> str:
    label, invoice = _tax_label(note.invoice), note.invoice
    parts = f" (net {_amount(invoice, note.net)}, {label} {_amount(invoice, note.tax)})" if label else ""
    return f"Credit note {note.number}, {day_text(note.issued_at)}: {note.reason}{parts}"


def _refunds(invoice: Invoice) -> Iterator[str]:
    for refund in reversed(payment_instructions.refunds_of(invoice)):
        if refund.status == Refund.Status.DONE:
            yield f"Refunded {day_text(refund.created_at)}: {shown(refund.amount, invoice.currency)}"


def _payment_text(payment: Payment) -> str:
    reference = f", {payment.reference}" if payment.reference else ""
    return f"Paid {day_text(payment.created_at)} {payment_instructions.how(payment.provider)}{reference}"


def _note_facts(note: CreditNote) -> dict[str, Any]:
    invoice = note.invoice
    lines = note.lines.select_related("line").order_by("line__place")
    return _parties(invoice) | {
        "note": note,
        "lines": [
            (line.line.description, *(_amount(invoice, part) for part in (line.net, line.tax, line.net + line.tax)))
            for line in lines
        ],
        **{name: _amount(invoice, getattr(note, name)) for name in ("net", "tax", "amount")},
        "outcome": outcome(note),
    }


def outcome(note: CreditNote) -> str:
    """Say what a credit note comes to for its customer."""
    if Credit.objects.filter(tenant_id=note.invoice.tenant_id, key=note.credit_key).exists():
        net = shown(note.net, note.invoice.currency)
        return f"{net} became a credit of the account: the next invoices take from it, before their tax."
    if note.invoice.status == Invoice.Status.PAID and note.invoice.paid_how == "credit note":
        return f"Nothing is owed for invoice {note.invoice.number} any more."
    return f"So much less is owed for invoice {note.invoice.number}."


def _tax_label(invoice: Invoice) -> str:
    """Name the tax; nothing where there is none at all, but one of 0 % that has a name is said."""
    if not (invoice.tax_percent or invoice.tax_name):
        return ""
    return f"{invoice.tax_name or 'Tax'} {percent_text(invoice.tax_percent)}"


def _worth_a_line(line: InvoiceLine) -> bool:
    """Tell whether a line is drawn: a plan of a moment that cost nothing stays in the books and off the paper."""
    return bool(line.amount) or round(line.quantity, 6) != 0


def _line(invoice: Invoice, line: InvoiceLine) -> dict[str, Any]:
    return {
        "description": line.description,
        "span": span_text(line.starts_at, line.ends_at),
        "quantity": _quantity(line),
        "unit_price": "" if line.unit_price is None else _price(line, invoice.currency),
        "amount": _amount(invoice, line.amount),
    }


def _quantity(line: InvoiceLine) -> str:
    """Write a plan's share of its month in days, anything else as a number."""
    if line.component != "plan":
        return number_text(line.quantity.normalize() if line.quantity % 1 else int(line.quantity))
    if line.quantity == 1:
        return "1 month"
    period = Period.of(line.starts_at)
    return days_text(period.share(line.starts_at, line.ends_at), period.days)


def _price(line: InvoiceLine, currency: str) -> str:
    """Write a price with its currency's decimals, and more where it has more."""
    assert line.unit_price is not None  # noqa: S101 - late units alone have none
    text = plain(line.unit_price)
    places = len(text.partition(".")[2])
    return amount_text(line.unit_price, max(places, EXPONENTS[currency]))


def _amount(invoice: Invoice, amount: Any) -> str:
    return amount_text(amount, EXPONENTS[invoice.currency])
