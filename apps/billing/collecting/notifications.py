"""Tell customers what became of their payments."""

from datetime import datetime
from typing import Any

from apps import times
from apps.billing.collecting.payment_state import PaymentState
from apps.billing.models import Payment, PaymentCard
from apps.billing.notifications import notify_customer
from apps.billing.receivables import receivables


def notify_payment_changes(payment: Payment, before: PaymentState, known: PaymentState, now: datetime) -> None:
    """Whatever is new about a payment."""
    if known.status == "failed" and before.status != "failed":
        _notify(payment, "payment.failed", now, reason=known.failure, next_try_at=_next_try(payment))
    if known.progress == "succeeded" != before.progress:
        _notify(payment, "payment.succeeded", now)
    if known.refunded > before.refunded:
        notify_refund(payment, now, of=str(known.refunded))
    if known.dispute and not before.dispute:
        _notify(payment, "payment.disputed", now)


def notify_refund(payment: Payment, now: datetime, *, of: str = "") -> None:
    """Tell how much of a payment was given back by now. `of`: the same in the provider's units, as part of the key."""
    amount = str(payment.invoice.money(payment.amount_refunded))
    _notify(payment, "payment.refunded", now, of=of or amount, amount=amount)


def _notify(payment: Payment, kind: str, now: datetime, *, of: str = "", **more: Any) -> None:
    notify_of_payment(payment, kind, now, key=f"{kind}:{payment.pk}:{of}", **more)


def notify_of_payment(payment: Payment, kind: str, now: datetime, *, key: str, **more: Any) -> None:
    """Notify the customer of a payment, with the facts all such notifications have; once a `key`."""
    invoice = payment.invoice
    data = {
        "invoice": invoice.public_id,
        "number": invoice.number,
        "amount": str(invoice.money(payment.amount)),
        "currency": payment.currency,
    }
    notify_customer(payment.tenant, kind, data | more, key=key, now=now)


def _next_try(payment: Payment) -> str | None:
    at = receivables.next_try(payment.invoice, PaymentCard.objects.in_use(payment.tenant_id))
    return times.rfc3339_or_none(at)
