"""The nightly look at the provider's own books: it finds what no webhook reported and what no row knows."""

from datetime import datetime, timedelta
from typing import NamedTuple

from apps.billing.collecting import payments, provider_events, refunds
from apps.billing.collecting.gateway import Gateway
from apps.billing.collecting.payment_state import PaymentState
from apps.billing.models import Payment
from apps.billing.subscriptions import test_clock

#: Events are looked through so far back each night; Stripe keeps them for 30 days.
EVENT_DAYS = timedelta(days=3)
#: Payments so far back: longer than any dunning lasts without a new try.
PAYMENT_DAYS = timedelta(days=35)


class Report(NamedTuple):
    """What a night found. `corrected`: rows that knew less than the provider. `differences`: what somebody must see."""

    events_missed: int
    corrected: int
    recovered: int
    differences: tuple[str, ...]


def reconcile(gateway: Gateway, now: datetime, *, events: timedelta = EVENT_DAYS) -> Report:
    """Compare with the provider's lists and put right what follows from them. Raises `GatewayError` when it is away."""
    missed = sum(provider_events.keep(event, now) for event in gateway.happened(now - events))
    provider_events.work_through(gateway, now)
    compared = [_compare(reference, known, now) for reference, known in gateway.payments(now - PAYMENT_DAYS)]
    recovered = payments.recover(gateway, now) + refunds.recover(gateway, now)
    return Report(
        events_missed=missed,
        corrected=compared.count("corrected"),
        recovered=recovered,
        differences=tuple(one for one in compared if one not in ("", "corrected")),
    )


def _compare(reference: str, known: PaymentState, now: datetime) -> str:
    """What a payment in the provider's list means for ours: "", "corrected", or a difference in words."""
    payment = payments.find_payment(reference, known.payment)
    if payment is None:
        taken = reference and known.progress == "succeeded"
        return f"{known.payment} took money for {reference}, which no row knows" if taken else ""
    if payment.failure_code == payments.PAID_TWICE:
        return f"{known.payment} paid {payment.invoice} a second time"
    before = payment.known
    after = payments.learn(payment.pk, known, test_clock.now_for(payment.tenant_id, now))
    if after.status in payments.TAKEN and _charged(after) != known.amount:
        return f"{known.payment} took {known.amount} where {payment.amount} {payment.currency} was due"
    return "" if after.known == before else "corrected"


def _charged(payment: Payment) -> int:
    """Its amount as the provider counts it."""
    from apps.billing.collecting.stripe_gateway import minor_units

    return minor_units(payment.amount, payment.currency)
