"""Money that came by bank transfer, as an operator read it in the bank's statement: in part, in full, or too much."""

from datetime import date, datetime, time
from decimal import Decimal

from django.db import transaction

from apps.accounts.audit import record_audit
from apps.billing.collecting.notifications import notify_of_payment
from apps.billing.invoicing import balances
from apps.billing.invoicing.invoices import BALANCE_TEXT, NotPossible, check_not_under_way, mark_paid
from apps.billing.models import TRANSFER, Invoice, Payment
from apps.billing.rating.money import shown, wrong_with
from apps.billing.receivables import receivables


def record_transfer(
    *,
    invoice: Invoice,
    amount: Decimal,
    received: date,
    reference: str,
    now: datetime,
    actor: str = "command",
    form: str,
) -> Payment:
    """Record a payment of an invoice. It is paid once nothing is left; what is too much is kept for the next invoices.

    `received`: the day it came, at the latest today. The same `form` again is the same payment. Raises `NotPossible`.
    """
    with transaction.atomic():
        row = Invoice.objects.select_for_update().select_related("tenant").get(pk=invoice.pk)
        before = Payment.objects.filter(idempotency_key=f"transfer_{form}").first()
        if before is not None:
            return before
        _check(row, amount, received, now)
        payment = _make(row, amount, received, reference, now, form)
        _audit(payment, actor, now)
        _settle(row, payment, now, actor)
        _settle_others(payment, now, actor)
    invoice.refresh_from_db()
    return payment


def check_transfer(*, invoice: Invoice, amount: Decimal, received: date, now: datetime, form: str) -> None:
    """Raise `NotPossible` where `record_transfer` would."""
    row = Invoice.objects.select_for_update().get(pk=invoice.pk)
    if not Payment.objects.filter(idempotency_key=f"transfer_{form}").exists():
        _check(row, amount, received, now)


def _check(invoice: Invoice, amount: Decimal, received: date, now: datetime) -> None:
    if invoice.status not in (Invoice.Status.ISSUED, Invoice.Status.PAID):
        raise NotPossible(f"{invoice} is {invoice.status}: it can't be paid.")
    check_not_under_way(invoice)
    if wrong := wrong_with(amount, invoice.currency):
        raise NotPossible(wrong)
    if received > now.date():
        raise NotPossible("The money can't have come on a day that is still to come.")


def _make(invoice: Invoice, amount: Decimal, received: date, reference: str, now: datetime, form: str) -> Payment:
    """Write the row. It is dated by the day the money came; today's has today's time."""
    came = now if received == now.date() else datetime.combine(received, time(), now.tzinfo)
    return Payment.objects.create(
        invoice=invoice,
        tenant_id=invoice.tenant_id,
        attempt=invoice.payments.count() + 1,
        provider=TRANSFER,
        reference=reference,
        amount=amount,
        unapplied=max(amount - receivables.due(invoice), Decimal(0)),
        currency=invoice.currency,
        status=Payment.Status.SUCCEEDED,
        idempotency_key=f"transfer_{form}",
        created_at=came,
        updated_at=now,
    )


def _audit(payment: Payment, actor: str, now: datetime) -> None:
    after = {
        "amount": shown(payment.amount, payment.currency),
        "received": f"{payment.created_at:%Y-%m-%d}",
        "reference": payment.reference,
    }
    if payment.unapplied:
        after["kept"] = shown(payment.unapplied, payment.currency)
    record_audit(
        tenant=payment.tenant, actor=actor, action="payment.received", target=payment.invoice, after=after, now=now
    )


def _settle(invoice: Invoice, payment: Payment, now: datetime, actor: str) -> None:
    """Say what the money did: the invoice is paid, or so much is left."""
    _notify(payment, "payment.succeeded", now)
    if invoice.status == Invoice.Status.PAID:
        return
    left = receivables.due(invoice)
    if left:
        _notify(payment, "invoice.partly_paid", now, amount_due=str(left))
    else:
        kept = str(invoice.money(payment.unapplied)) if payment.unapplied else ""
        mark_paid(invoice=invoice, now=now, how="bank transfer", actor=actor, kept=kept)


def _settle_others(payment: Payment, now: datetime, actor: str) -> None:
    """Pay other open invoices of the account from what is left, the oldest first."""
    for other in receivables.open_invoices(payment.tenant_id) if payment.unapplied else ():
        locked = Invoice.objects.select_for_update().get(pk=other.pk)
        left = receivables.due(locked)
        if balances.move(payment, locked, left, now) == left:
            mark_paid(invoice=locked, now=now, how=BALANCE_TEXT, actor=actor)


def _notify(payment: Payment, kind: str, now: datetime, **more: str) -> None:
    notify_of_payment(payment, kind, now, key=f"{kind}:{payment.pk}", **more)
