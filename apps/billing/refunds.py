"""Giving money back: a row, a call, a record, as payments do."""

import logging
from datetime import datetime
from decimal import Decimal
from uuid import uuid4

from django.db import transaction
from django.db.models import Sum

from apps.accounts.services import record_audit
from apps.billing.gateway import Gateway, Refused, Unanswered
from apps.billing.models import Payment, Refund
from apps.billing.owing import TAKEN
from apps.billing.payments import ASKED_AGAIN_AFTER, KEY_LIFE

log = logging.getLogger(__name__)


class CanNotRefund(ValueError):
    """The message says why."""


def refund(
    *, payment: Payment, amount: Decimal, reason: str, gateway: Gateway, now: datetime, actor: str = "command"
) -> Refund:
    """Give a part or all of a payment back. The credit note beside it is the caller's. Raises `CanNotRefund`."""
    return drive(begin(payment_id=payment.pk, amount=amount, reason=reason, now=now, actor=actor), gateway, now)


@transaction.atomic
def begin(*, payment_id: int, amount: Decimal, reason: str, now: datetime, actor: str) -> Refund:
    payment = Payment.objects.select_for_update(of=("self",)).select_related("invoice", "tenant").get(pk=payment_id)
    asked = payment.refunds.exclude(status=Refund.Status.FAILED).aggregate(all=Sum("amount"))["all"] or Decimal(0)
    left = payment.amount - max(asked, payment.amount_refunded)
    if payment.status not in TAKEN or not 0 < amount <= left:
        raise CanNotRefund(f"{payment.invoice.money(max(left, Decimal(0)))} {payment.currency} can be given back.")
    made = Refund.objects.create(
        payment=payment,
        amount=payment.invoice.money(amount),
        reason=reason,
        idempotency_key=f"ref_{uuid4().hex}",
        created_at=now,
        updated_at=now,
    )
    after = {"amount": str(made.amount), "currency": payment.currency, "reason": reason}
    record_audit(
        tenant=payment.tenant, actor=actor, action="payment.refunded", target=str(payment), after=after, now=now
    )
    return made


def drive(refund: Refund, gateway: Gateway, now: datetime) -> Refund:
    """Ask for it, under its key; without an answer the row stays open. How much was given back, the provider's
    webhook or list says: see `payments.learn`."""
    payment = refund.payment
    try:
        refund.provider_refund_id = gateway.refund(
            payment=payment.provider_payment_id,
            amount=refund.amount,
            currency=payment.currency,
            reference=refund.idempotency_key,
        )
        refund.status = Refund.Status.DONE
    except Refused as wrong:
        refund.status, refund.failure_code = Refund.Status.FAILED, wrong.code
    except Unanswered as silence:
        log.warning("refund %s has no answer yet: %s", refund.idempotency_key, silence)
        return refund
    refund.updated_at = now
    refund.save()
    return refund


def recover(gateway: Gateway, now: datetime) -> int:
    """Ask again for refunds without a last word; how many have one now."""
    waiting = Refund.objects.filter(status=Refund.Status.INTENT, updated_at__lte=now - ASKED_AGAIN_AFTER)
    asked = [_ask_again(one, gateway, now) for one in waiting.select_related("payment__invoice")]
    return sum(one.status != Refund.Status.INTENT for one in asked)


def _ask_again(refund: Refund, gateway: Gateway, now: datetime) -> Refund:
    """Within the day under its key; after it, it is looked for, and made anew under a new key when it never arrived."""
    try:
        known = gateway.refunds_of(refund.payment.provider_payment_id).get(refund.idempotency_key)
    except (Unanswered, Refused):
        return refund
    if known:
        refund.provider_refund_id, refund.status, refund.updated_at = known, Refund.Status.DONE, now
        refund.save()
        return refund
    if now - refund.created_at >= KEY_LIFE:
        refund.idempotency_key, refund.created_at = f"ref_{uuid4().hex}", now
        refund.save()
    return drive(refund, gateway, now)
