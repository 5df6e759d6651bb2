"""What customers are told about their payments and their standing: once each, through the outbox."""

from datetime import datetime
from typing import Any

from apps.accounts.models import Tenant
from apps.billing import owing
from apps.billing.known import Known
from apps.billing.models import Payment, PaymentCard
from apps.notifications.services import notify

#: What a standing is called in the outbox.
_STANDINGS = {
    "active": "subscription.restored",
    "past_due": "subscription.past_due",
    "limited": "subscription.limited",
    "cancelled": "subscription.cancelled",
}


def tell_payment(payment: Payment, before: Known, known: Known, now: datetime) -> None:
    """Whatever is new about a payment."""
    if known.status == "failed" and before.status != "failed":
        _tell(payment, "payment.failed", now, reason=known.failure, next_try_at=_next_try(payment))
    if known.progress == "succeeded" != before.progress:
        _tell(payment, "payment.succeeded", now)
    if known.refunded > before.refunded:
        _tell(payment, "payment.refunded", now, of=str(known.refunded), amount=str(payment.amount_refunded))
    if known.dispute and not before.dispute:
        _tell(payment, "payment.disputed", now)


def tell_standing(tenant_id: int, plan: str, wanted: str, since: datetime | None, now: datetime) -> None:
    """A tenant became past due, limited, cancelled, or is as before."""
    data: dict[str, Any] = {"plan": plan}
    if wanted == "cancelled":
        data["at"] = now.isoformat()
    if wanted == "past_due":
        oldest = owing.open_invoices(tenant_id)[0]
        data |= {"number": oldest.number, "total": str(oldest.money(oldest.total)), "currency": oldest.currency}
    key = f"standing:{tenant_id}:{wanted}:{(since or now).isoformat()}"
    notify(tenant=Tenant.objects.get(pk=tenant_id), kind=_STANDINGS[wanted], data=data, key=key, now=now)


def _tell(payment: Payment, kind: str, now: datetime, *, of: str = "", **more: Any) -> None:
    invoice = payment.invoice
    data = {
        "invoice": invoice.public_id,
        "number": invoice.number,
        "amount": str(invoice.money(payment.amount)),
        "currency": payment.currency,
    }
    notify(tenant=payment.tenant, kind=kind, data=data | more, key=f"{kind}:{payment.pk}:{of}", now=now)


def _next_try(payment: Payment) -> str | None:
    at = owing.next_try(payment.invoice, PaymentCard.objects.in_use(payment.tenant_id))
    return at.isoformat() if at else None
