"""Giving money back: a row, a call, a record, as payments do."""

import logging
from datetime import datetime
from decimal import Decimal
from uuid import uuid4

from django.db import transaction
from django.db.models import Sum

from apps.accounts.audit import record_audit
from apps.billing.collecting.gateway import Gateway, Refused, Unanswered
from apps.billing.collecting.notifications import notify_refund
from apps.billing.collecting.payments import ASKED_AGAIN_AFTER, KEY_LIFE
from apps.billing.models import Payment, Refund
from apps.billing.rating.money import EXPONENTS
from apps.billing.receivables.receivables import TAKEN
from apps.currencies import CHARGED_DECIMALS

log = logging.getLogger(__name__)


class CanNotRefund(ValueError):
    """The message says why."""


def refund(
    *, payment: Payment, amount: Decimal, reason: str, gateway: Gateway, now: datetime, actor: str = "command"
) -> Refund:
    """Give a part or all of a payment back. The credit note beside it is the caller's. Raises `CanNotRefund`."""
    made = begin(payment_id=payment.pk, amount=amount, reason=reason, gateway=gateway, now=now, actor=actor)
    return drive(made, gateway, now)


@transaction.atomic
def begin(
    *, payment_id: int, amount: Decimal, reason: str, gateway: Gateway, now: datetime, actor: str, form: str = ""
) -> Refund:
    """The row of a refund; the one there is when the same `form` asked before. Raises `CanNotRefund`."""
    payment = _locked(payment_id)
    before = Refund.objects.filter(form=form).select_related("payment__invoice").first() if form else None
    if before is not None:
        return before
    _check(payment, amount, gateway)
    by_hand = payment.by_hand
    made = Refund.objects.create(
        payment=payment,
        amount=payment.invoice.money(amount),
        reason=reason,
        form=form or None,
        status=Refund.Status.DONE if by_hand else Refund.Status.INTENT,
        idempotency_key=f"ref_{uuid4().hex}",
        created_at=now,
        updated_at=now,
    )
    after = {"amount": str(made.amount), "currency": payment.currency, "reason": reason}
    record_audit(tenant=payment.tenant, actor=actor, action="payment.refunded", target=payment, after=after, now=now)
    if by_hand:
        _note_by_hand(payment, made.amount, now)
    return made


def _note_by_hand(payment: Payment, amount: Decimal, now: datetime) -> None:
    """Note what our own bank gives back: first of what was kept for later invoices, then of what its invoice got."""
    payment.unapplied = max(payment.unapplied - amount, Decimal(0))
    payment.amount_refunded += amount
    if payment.amount_refunded == payment.amount:
        payment.status = Payment.Status.REFUNDED
    payment.updated_at = now
    payment.save(update_fields=["unapplied", "amount_refunded", "status", "updated_at"])
    notify_refund(payment, now)


def check(*, payment_id: int, amount: Decimal, gateway: Gateway, form: str = "") -> None:
    """Raises `CanNotRefund` where `begin` would. The payment stays locked until the caller's transaction is over: tried
    and undone, `begin` would let others wait for a lock that is taken a second time, in a circle."""
    payment = _locked(payment_id)
    if not (form and Refund.objects.filter(form=form).exists()):
        _check(payment, amount, gateway)


def _locked(payment_id: int) -> Payment:
    rows = Payment.objects.select_for_update(of=("self",)).select_related("invoice", "tenant")
    return rows.get(pk=payment_id)


def left_of(payment: Payment) -> Decimal:
    """What of a payment can still be given back."""
    if payment.status not in TAKEN:
        return payment.invoice.money(Decimal(0))
    asked = payment.refunds.exclude(status=Refund.Status.FAILED).aggregate(all=Sum("amount"))["all"] or Decimal(0)
    there = payment.amount - payment.amount % _step(payment) - payment.moved
    return payment.invoice.money(max(there - max(asked, payment.amount_refunded), Decimal(0)))


def _step(payment: Payment) -> Decimal:
    """The steps an amount is given back in: what a card's provider cut off was never taken."""
    decimals = EXPONENTS[payment.currency]
    return Decimal(1).scaleb(-(decimals if payment.by_hand else min(decimals, CHARGED_DECIMALS)))


def _check(payment: Payment, amount: Decimal, gateway: Gateway) -> None:
    """Only whole steps of a currency: what the provider would cut off was not given back."""
    if payment.provider != gateway.name and not payment.by_hand:
        raise CanNotRefund(f"It was paid by {payment.provider}, which is not asked from here any more.")
    left, step = left_of(payment), _step(payment)
    if amount <= 0:
        raise CanNotRefund("It must be more than 0.")
    if amount > left:
        raise CanNotRefund(f"Up to {left} {payment.currency} can be given back.")
    if amount % step:
        raise CanNotRefund(f"{payment.currency} is given back in steps of {step}.")


def drive(refund: Refund, gateway: Gateway, now: datetime) -> Refund:
    """Ask for it, under its key; without an answer the row stays open. How much was given back, the provider's
    webhook or list says: see `payments.learn`."""
    if refund.status != Refund.Status.INTENT:
        return refund
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
    waiting = Refund.objects.filter(
        status=Refund.Status.INTENT, updated_at__lte=now - ASKED_AGAIN_AFTER, payment__provider=gateway.name
    )
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
