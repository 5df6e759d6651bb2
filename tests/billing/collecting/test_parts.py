"""Notes, refunds of ours, refunds made at Stripe, credits and disputes mixed: each adds up by itself, to the cent."""

import random
from collections.abc import Callable
from decimal import Decimal

import pytest

from apps.accounts.models import Tenant
from apps.billing.collecting import payments, provider_events, refunds
from apps.billing.collecting.stripe_gateway import StripeGateway, minor_units
from apps.billing.invoicing.invoices import NotPossible
from apps.billing.models import Credit, Payment, Subscription
from apps.billing.rating.money import EXPONENTS, from_minor, to_minor
from tests.billing.collecting.conftest import ISSUED, bill, give_card
from tests.billing.test_crediting import check_corrected, correct, split
from tests.stripe_server import Stand

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("currency", sorted(EXPONENTS))
@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_given_back_in_whatever_order_adds_up(
    tenant: Tenant, gateway: StripeGateway, stand: Stand, deliver: Callable[..., int], currency: str, seed: int
) -> None:
    chance = random.Random(f"{currency}{seed}")
    Subscription.objects.filter(tenant=tenant).update(currency=currency, tax_percent=Decimal(19))
    give_card(tenant, gateway, stand)
    invoice = bill(tenant, str(from_minor(chance.randint(100_000, 900_000), currency)))
    payment = payments.collect(invoice, gateway, ISSUED)
    assert payment is not None and payment.status == "succeeded"
    charged = minor_units(payment.amount, currency)
    step = 10 if EXPONENTS[currency] == 3 else 1
    back = [part * step for part in split(chance, charged // step)]
    steps = [("note", part) for part in split(chance, to_minor(invoice.total, currency))]
    steps += [(chance.choice(["ours", "theirs"]), part) for part in back] + [("dispute", 0)]
    chance.shuffle(steps)
    given = Decimal(0)
    for what, units in steps:
        if what == "note":
            to_balance = chance.random() < 0.5
            note = correct(invoice, from_minor(units, currency), to_balance=to_balance)
            given += note.net if to_balance else 0
        elif what == "ours":
            refunds.refund(payment=payment, amount=from_minor(units, currency), reason="x", gateway=gateway, now=ISSUED)
        elif what == "theirs":
            stand.ledger.refund({"payment_intent": payment.provider_payment_id, "amount": str(units)})
        else:
            stand.ledger.dispute(payment.provider_charge_id)
    events = list(stand.ledger.events) * 2
    chance.shuffle(events)
    for event in events:
        provider_events.keep(event, ISSUED)
    provider_events.work_through(gateway, ISSUED)
    check_corrected(invoice, whole=True)
    assert sum(credit.amount for credit in Credit.objects.filter(tenant=tenant)) == given
    payment = Payment.objects.get(pk=payment.pk)
    assert payment.amount_refunded == from_minor(charged, currency)
    assert (payment.status, refunds.left_of(payment)) == ("refunded", 0)
    with pytest.raises(refunds.CanNotRefund):
        refunds.refund(payment=payment, amount=from_minor(step, currency), reason="x", gateway=gateway, now=ISSUED)
    with pytest.raises(NotPossible):
        correct(invoice, from_minor(1, currency))


def test_of_three_decimals_only_what_was_charged_is_given_back(
    tenant: Tenant, gateway: StripeGateway, stand: Stand
) -> None:
    """30.005 KWD are charged as 30.00: the half coin was never taken."""
    Subscription.objects.filter(tenant=tenant).update(currency="KWD")
    give_card(tenant, gateway, stand)
    payment = payments.collect(bill(tenant, "30.005"), gateway, ISSUED)
    assert payment is not None
    assert refunds.left_of(payment) == Decimal("30.000")
    with pytest.raises(refunds.CanNotRefund):
        refunds.refund(payment=payment, amount=Decimal("30.005"), reason="x", gateway=gateway, now=ISSUED)
    refunds.refund(payment=payment, amount=Decimal("30"), reason="x", gateway=gateway, now=ISSUED)
    assert [one["amount"] for one in stand.ledger.all("refund")] == [30_000]
    assert refunds.left_of(payment) == 0
