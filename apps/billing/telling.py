"""What customers are told about money, once each, through the outbox; and who is told."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from apps.accounts.models import Tenant
from apps.billing import owing
from apps.billing.known import Known
from apps.billing.models import Payment, PaymentCard, Subscription
from apps.notifications.services import notify, people_of

#: What a standing is called in the outbox.
_STANDINGS = {
    "active": "subscription.restored",
    "past_due": "subscription.past_due",
    "limited": "subscription.limited",
    "cancelled": "subscription.cancelled",
}


def told_of_money(tenant_ids: Iterable[int]) -> dict[int, list[str]]:
    """Who is mailed about each tenant's money: its billing e-mail, then its owners and admins, each address once."""
    ids = list(tenant_ids)
    people = people_of(ids)
    billing = dict(Subscription.objects.filter(tenant_id__in=ids).values_list("tenant_id", "billing_email"))
    return {one: _once([billing.get(one, ""), *people.get(one, ())]) for one in ids}


def tell(tenant: Tenant, kind: str, data: dict[str, Any], *, key: str, now: datetime) -> bool:
    """Tell one of them something about money; False when `key` was told before."""
    return notify(tenant=tenant, kind=kind, data=data, key=key, now=now, to=told_of_money([tenant.pk])[tenant.pk])


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
    tell(Tenant.objects.get(pk=tenant_id), _STANDINGS[wanted], data, key=key, now=now)


def _tell(payment: Payment, kind: str, now: datetime, *, of: str = "", **more: Any) -> None:
    invoice = payment.invoice
    data = {
        "invoice": invoice.public_id,
        "number": invoice.number,
        "amount": str(invoice.money(payment.amount)),
        "currency": payment.currency,
    }
    tell(payment.tenant, kind, data | more, key=f"{kind}:{payment.pk}:{of}", now=now)


def _next_try(payment: Payment) -> str | None:
    at = owing.next_try(payment.invoice, PaymentCard.objects.in_use(payment.tenant_id))
    return at.isoformat() if at else None


def _once(addresses: Iterable[str]) -> list[str]:
    """Upper and lower case are the same to whoever reads it."""
    return list({one.lower(): one for one in reversed([*addresses]) if one}.values())[::-1]
