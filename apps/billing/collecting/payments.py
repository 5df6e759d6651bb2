"""Collecting an invoice: a row, a call, a record. Whatever dies in between, nothing is charged twice or forgotten.

    begin    the row with its idempotency key, committed before anybody is asked; one open try an invoice (a constraint)
    drive    withdraw what failed before ─► pay ─► learn
    learn    merge what the provider says into the row, and what follows from it: the invoice, the standing, the mails
    recover  tries without a last word are asked again: within the day under their key, later by Stripe's own list

An invoice never has two payments at the provider that may still succeed: a failed one is cancelled there before the
next is made, and cancelling is where a payment that did succeed unseen is found.
"""

import logging
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime, timedelta
from uuid import uuid4

from django.db import IntegrityError, transaction
from django.db.models import Q

from apps.billing.collecting import reminders
from apps.billing.collecting.gateway import Declined, Gateway, Order, Refused, Unanswered
from apps.billing.collecting.notifications import notify_payment_changes
from apps.billing.collecting.payment_state import PROGRESS, PaymentState, merge
from apps.billing.invoicing import invoices
from apps.billing.models import Invoice, Payment, PaymentCard
from apps.billing.rating.money import from_minor
from apps.billing.receivables import delinquency, receivables
from apps.billing.receivables.receivables import OPEN, TAKEN

log = logging.getLogger(__name__)

#: A try that has no last word is asked again after this long; a call takes 20 s at most.
ASKED_AGAIN_AFTER = timedelta(minutes=1)
#: So long a key is sure to be known to Stripe: it keeps them for 24 hours at least.
KEY_LIFE = timedelta(hours=23)
#: The failure of a payment that succeeded beside another one of its invoice.
PAID_TWICE = "paid_twice"


def collect(invoice: Invoice, gateway: Gateway, now: datetime) -> Payment | None:
    """One try at an invoice with the card in use; None when there is nothing to try or one is under way."""
    payment = begin(invoice.pk, gateway.name, now)
    return payment and drive(payment, gateway, now)


@transaction.atomic
def begin(invoice_id: int, provider: str, now: datetime) -> Payment | None:
    """The row of a new try."""
    invoice = Invoice.objects.select_for_update().get(pk=invoice_id)
    card = PaymentCard.objects.in_use(invoice.tenant_id)
    tries = list(Payment.objects.filter(invoice=invoice))
    if (
        card is None
        or not receivables.collectable(invoice)
        or any(one.status in (*OPEN, *TAKEN) and not one.by_hand for one in tries)
    ):
        return None
    return Payment.objects.create(
        invoice=invoice,
        tenant_id=invoice.tenant_id,
        attempt=len(tries) + 1,
        provider=provider,
        customer=card.customer,
        card=card.card,
        amount=receivables.due(invoice),
        currency=invoice.currency,
        idempotency_key=f"pay_{uuid4().hex}",
        created_at=now,
        updated_at=now,
    )


def drive(payment: Payment, gateway: Gateway, now: datetime) -> Payment:
    """Bring a try as far as it goes. Harmless when repeated; without an answer the row stays open."""
    try:
        if not _withdraw_earlier(payment, gateway, now):
            return learn(payment.pk, PaymentState(progress="canceled"), now)
        news = gateway.pay(_order(payment))
    except Declined as no:
        news = no.known
    except Refused as wrong:
        log.error("payment %s was refused: %s", payment.idempotency_key, wrong)
        news = PaymentState(failure=wrong.code)
    except Unanswered as silence:
        log.warning("payment %s has no answer yet: %s", payment.idempotency_key, silence)
        return payment
    return learn(payment.pk, news, now)


def recover(gateway: Gateway, now: datetime, *, tenant_ids: Iterable[int] | None = None) -> int:
    """Ask again for every try without a last word; how many have one now."""
    rows = Payment.objects.filter(status__in=OPEN, updated_at__lte=now - ASKED_AGAIN_AFTER, provider=gateway.name)
    if tenant_ids is not None:
        rows = rows.filter(tenant_id__in=tenant_ids)
    asked = [ask_again(payment, gateway, now) for payment in rows.select_related("invoice").order_by("pk")]
    return sum(payment.status not in OPEN for payment in asked)


def ask_again(payment: Payment, gateway: Gateway, now: datetime) -> Payment:
    """Find out what became of a try without a last word, and bring it on."""
    try:
        if payment.provider_payment_id and payment.status == Payment.Status.PROCESSING:
            return learn(payment.pk, gateway.look(payment.provider_payment_id), now)
        if now - payment.created_at < KEY_LIFE:
            driven = drive(payment, gateway, now)
            if driven.status not in OPEN:
                return driven
        return _look_for(payment, gateway, now)
    except (Unanswered, Refused) as failure:
        log.warning("payment %s has no answer yet: %s", payment.idempotency_key, failure)
        return payment


def _look_for(payment: Payment, gateway: Gateway, now: datetime) -> Payment:
    """Find what became of it in the provider's list. What is still open after the day never will be paid."""
    found = gateway.find(_order(payment))
    too_old = now - payment.created_at >= KEY_LIFE
    if found is not None and found.status == "intent" and too_old:
        found = gateway.withdraw(found.payment)
    if found is None and not too_old:
        return payment
    return learn(payment.pk, found or PaymentState(progress="canceled"), now)


def _withdraw_earlier(payment: Payment, gateway: Gateway, now: datetime) -> bool:
    """Cancel at the provider what failed before; False when one of them had succeeded after all."""
    earlier = Payment.objects.filter(invoice_id=payment.invoice_id, attempt__lt=payment.attempt)
    for one in earlier.exclude(provider_payment_id="").filter(status=Payment.Status.FAILED):
        if PROGRESS.index(_known(one).progress) < PROGRESS.index("canceled"):
            one = learn(one.pk, gateway.withdraw(one.provider_payment_id), now)
        if one.status in TAKEN:
            return False
        if _known(one).progress != "canceled":
            raise Unanswered("not_withdrawn")
    return True


@transaction.atomic
def learn(payment_id: int, news: PaymentState, now: datetime) -> Payment:
    """What the provider says of a payment, in any order and any number of times."""
    payment = Payment.objects.select_for_update(of=("self",)).select_related("invoice").get(pk=payment_id)
    before, known = _known(payment), merge(_known(payment), news)
    if known == before:
        return payment
    payment.known = asdict(known)
    payment.provider_payment_id, payment.provider_charge_id = known.payment, known.charge
    payment.status, payment.failure_code = known.status, known.failure
    payment.amount_refunded = from_minor(known.refunded, payment.currency)
    payment.updated_at = now
    try:
        with transaction.atomic():
            payment.save()
    except IntegrityError:
        return _taken_twice(payment)
    _follow(payment, before, known, now)
    return payment


def _follow(payment: Payment, before: PaymentState, known: PaymentState, now: datetime) -> None:
    """What follows from the news."""
    if payment.status in TAKEN:
        try:
            invoices.mark_paid(invoice=payment.invoice, how=payment.provider, now=now)
        except invoices.NotPossible as void:
            log.critical("payment %s took money: %s", payment.idempotency_key, void)
    notify_payment_changes(payment, before, known, now)
    if known.status != before.status:
        delinquency.refresh(payment.tenant_id, now)


def _taken_twice(payment: Payment) -> Payment:
    """A second payment of one invoice succeeded, somewhere else than here: somebody must look."""
    log.critical("invoice %s was paid twice: %s", payment.invoice, payment.provider_payment_id)
    Payment.objects.filter(pk=payment.pk).update(known=payment.known, failure_code=PAID_TWICE)
    payment.refresh_from_db()
    return payment


def collect_due(gateway: Gateway, now: datetime, *, tenant_ids: Iterable[int]) -> int:
    """Try every open invoice of these tenants whose time has come, and note where each tenant stands; tries made."""
    return sum(_collect_due(tenant_id, gateway, now) for tenant_id in tenant_ids)


def _collect_due(tenant_id: int, gateway: Gateway, now: datetime) -> int:
    card = PaymentCard.objects.in_use(tenant_id) if gateway.collects else None
    times = [(receivables.next_try(invoice, card), invoice) for invoice in receivables.open_invoices(tenant_id)]
    made = [collect(invoice, gateway, now) for at, invoice in times if at is not None and at <= now]
    delinquency.refresh(tenant_id, now)
    reminders.remind(tenant_id, now)
    return sum(one is not None for one in made)


def unanswered() -> int:
    """Tries without a last word."""
    return Payment.objects.filter(status__in=OPEN).count()


def find_payment(reference: str, provider_payment_id: str) -> Payment | None:
    """The row a provider's object is about: by our reference in its books, else by its id."""
    wanted = Q(provider_payment_id=provider_payment_id) if provider_payment_id else Q(pk=None)
    if reference:
        wanted |= Q(idempotency_key=reference)
    return Payment.objects.filter(wanted).first()


def _known(payment: Payment) -> PaymentState:
    return PaymentState(**payment.known)


def _order(payment: Payment) -> Order:
    """The same words every time: under one key Stripe takes no others."""
    return Order(
        reference=payment.idempotency_key,
        customer=payment.customer,
        card=payment.card,
        amount=payment.amount,
        currency=payment.currency,
        description=f"Invoice {payment.invoice.number}",
        invoice=str(payment.invoice.number),
    )
