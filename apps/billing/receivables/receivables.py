"""Amounts due: what is still to be paid of an invoice, and whether a card may be asked for it."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from apps.billing.models import Invoice, Payment, PaymentCard, Subscription
from apps.billing.receivables import dunning

#: A try without a last word.
OPEN = (Payment.Status.INTENT, Payment.Status.PROCESSING)
#: In these the money was taken; it may have been given back since.
TAKEN = (Payment.Status.SUCCEEDED, Payment.Status.REFUNDED, Payment.Status.DISPUTED)
#: No card is charged for less: https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts
LEAST: Mapping[str, Decimal] = {
    "USD": Decimal("0.50"),
    "EUR": Decimal("0.50"),
    "GBP": Decimal("0.30"),
    "JPY": Decimal(50),
    "KWD": Decimal("0.200"),
}


def due(invoice: Invoice) -> Decimal:
    """Compute what is still to be paid: the total without credit notes and payments; 0 once it is settled or void."""
    if invoice.status in (Invoice.Status.PAID, Invoice.Status.VOID):
        return invoice.money(Decimal(0))
    off = [note.amount for note in invoice.credit_notes.all()] + [payment.applied for payment in taken(invoice)]
    return invoice.money(max(invoice.total - sum(off, Decimal(0)), Decimal(0)))


def taken(invoice: Invoice) -> list[Payment]:
    """List the payments of an invoice whose money came."""
    return [payment for payment in invoice.payments.all() if payment.status in TAKEN]


def overdue(invoice: Invoice, now: datetime) -> bool:
    """Tell whether its due date is over and something is still to be paid."""
    return invoice.status == Invoice.Status.ISSUED and invoice.due_at is not None and invoice.due_at < now


def collectable(invoice: Invoice) -> bool:
    """Open, and not less than any card is charged for. What is less is owed, but nobody is pressed for it."""
    return invoice.status == Invoice.Status.ISSUED and due(invoice) >= LEAST[invoice.currency]


def open_invoices(tenant_id: int) -> list[Invoice]:
    """Issued and not paid, the oldest first."""
    rows = Invoice.objects.filter(tenant_id=tenant_id, status=Invoice.Status.ISSUED).order_by("issued_at", "pk")
    return [
        row for row in rows.select_related("tenant").prefetch_related("payments", "credit_notes") if collectable(row)
    ]


def tenants_owing() -> list[int]:
    """Everybody with an open invoice, and everybody who is not in good standing."""
    with_open_invoices = Invoice.objects.filter(status=Invoice.Status.ISSUED).values_list("tenant_id", flat=True)
    active = (Subscription.Status.ACTIVE, Subscription.Status.TRIALING)
    bad = Subscription.objects.exclude(status__in=active).values_list("tenant_id", flat=True)
    return sorted({*with_open_invoices, *bad})


def tried_at(invoice: Invoice) -> list[datetime]:
    """When a bank declined it, the earliest first. Tries that never reached a bank don't count."""
    return sorted(payment.created_at for payment in invoice.payments.all() if payment.status == Payment.Status.FAILED)


def next_try(invoice: Invoice, card: PaymentCard | None) -> datetime | None:
    """When an open invoice is tried next with the card in use; None when it isn't."""
    if card is None or invoice.issued_at is None:
        return None
    return dunning.next_try_at(invoice.issued_at, tried_at(invoice), card.in_use_since)


def hopeless_since(tenant_id: int, now: datetime) -> datetime | None:
    """When the oldest invoice ran out of automatic retries; None while none has."""
    card = PaymentCard.objects.in_use(tenant_id)
    return dunning.hopeless_since(
        (
            dunning.exhausted_at(invoice.issued_at, tried_at(invoice), collects=card is not None)
            for invoice in open_invoices(tenant_id)
            if invoice.issued_at is not None
        ),
        now,
    )
