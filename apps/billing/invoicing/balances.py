"""Account balances: what a transfer brought beyond its invoice is kept, and taken for the account's next invoices.

It is no credit: credits come off before tax, and this is money that was paid. What is moved stands on the next invoice
as a payment of its own that names its source; what is left can be given back (`refunds`).
"""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from uuid import uuid4

from apps.billing.models import BALANCE, Invoice, Payment


def of_tenants(tenant_ids: Iterable[int]) -> list[Payment]:
    """Lock the payments of which something is left, the oldest first. In the caller's transaction."""
    rows = Payment.objects.select_for_update(of=("self",)).filter(tenant_id__in=list(tenant_ids), unapplied__gt=0)
    return list(rows.select_related("invoice").order_by("pk"))


def release(invoice: Invoice) -> None:
    """Keep what an open invoice was paid beyond what is owed for it, since a credit note corrected it."""
    noted = sum((note.amount for note in invoice.credit_notes.all()), Decimal(0))
    payments = [one for one in invoice.payments.select_for_update().order_by("-pk") if one.by_hand]
    excess = sum((one.applied for one in payments), Decimal(0)) + noted - invoice.total
    for payment in payments:
        freed = min(payment.applied, max(excess, Decimal(0)))
        Payment.objects.filter(pk=payment.pk).update(unapplied=payment.unapplied + freed)
        excess -= freed


def move(payment: Payment, invoice: Invoice, wanted: Decimal, now: datetime) -> Decimal:
    """Take up to `wanted` of what is left of a payment for another invoice; how much it was."""
    amount = min(payment.unapplied, wanted)
    if amount <= 0:
        return Decimal(0)
    payment.unapplied, payment.moved = payment.unapplied - amount, payment.moved + amount
    payment.save(update_fields=["unapplied", "moved"])
    Payment.objects.create(
        invoice=invoice,
        tenant_id=invoice.tenant_id,
        attempt=invoice.payments.count() + 1,
        provider=BALANCE,
        source=payment,
        reference=f"from {payment.invoice.number}",
        amount=amount,
        currency=invoice.currency,
        status=Payment.Status.SUCCEEDED,
        idempotency_key=f"balance_{uuid4().hex}",
        created_at=now,
        updated_at=now,
    )
    return amount
