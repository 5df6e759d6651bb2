"""Collecting an invoice: once, whatever dies in between, and what a customer sees of it."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from apps.accounts.models import Tenant
from apps.billing.collecting import payments, refunds
from apps.billing.collecting.stripe_gateway import StripeGateway
from apps.billing.collecting.transfer_gateway import TransferGateway
from apps.billing.invoicing import invoices
from apps.billing.models import Invoice, Payment, Subscription
from apps.billing.receivables import delinquency
from apps.notifications.models import Delivery, Event
from apps.times import rfc3339
from tests.billing.collecting.conftest import ISSUED, bill, give_card
from tests.factories import MembershipFactory, UserFactory
from tests.stripe_server import Stand

pytestmark = pytest.mark.django_db
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def told(kind: str) -> list[Event]:
    return list(Event.objects.filter(kind=kind))


def subscription(tenant: Tenant) -> Subscription:
    return Subscription.objects.get(tenant=tenant)


def sweep(gateway: Any, tenant: Tenant, now: datetime) -> int:
    """What the worker does each minute."""
    payments.recover(gateway, now)
    return payments.collect_due(gateway, now, tenant_ids=[tenant.pk])


def test_an_invoice_is_collected_and_paid(tenant: Tenant, gateway: StripeGateway, stand: Stand) -> None:
    give_card(tenant, gateway, stand)
    invoice = bill(tenant)
    assert sweep(gateway, tenant, ISSUED) == 1
    invoice.refresh_from_db()
    assert (invoice.status, invoice.paid_how) == ("paid", "stripe")
    (charge,) = stand.ledger.charged(palisade_invoice=str(invoice.number))
    assert charge["amount"] == 9900
    assert [len(told(kind)) for kind in ("payment.succeeded", "invoice.paid")] == [1, 1]
    assert sweep(gateway, tenant, ISSUED + DAY) == 0


def test_without_a_card_nothing_is_tried(tenant: Tenant, gateway: StripeGateway, stand: Stand) -> None:
    bill(tenant)
    assert sweep(gateway, tenant, ISSUED) == 0
    assert Payment.objects.count() == 0


def test_less_than_a_card_is_charged_for_is_not_tried(tenant: Tenant, gateway: StripeGateway, stand: Stand) -> None:
    give_card(tenant, gateway, stand)
    bill(tenant, "0.49")
    assert sweep(gateway, tenant, ISSUED + 60 * DAY) == 0
    assert subscription(tenant).status == "active"


def test_what_a_credit_note_took_back_is_not_charged(tenant: Tenant, gateway: StripeGateway, stand: Stand) -> None:
    give_card(tenant, gateway, stand)
    invoice = bill(tenant)
    invoices.issue_credit_note(invoice=invoice, amount=Decimal("9.00"), reason="A wrong line", now=ISSUED)
    sweep(gateway, tenant, ISSUED)
    assert [charge["amount"] for charge in stand.ledger.charged()] == [9000]


def test_a_failed_try_is_told_with_the_next_one(tenant: Tenant, gateway: StripeGateway, stand: Stand) -> None:
    stand.ledger.declines_next(give_card(tenant, gateway, stand))
    invoice = bill(tenant)
    sweep(gateway, tenant, ISSUED)
    (mail,) = told("payment.failed")
    assert mail.data["reason"] == "generic_decline"
    assert mail.data["next_try_at"] == rfc3339(ISSUED + DAY)
    assert sweep(gateway, tenant, ISSUED + timedelta(hours=23)) == 0
    assert sweep(gateway, tenant, ISSUED + DAY) == 1
    invoice.refresh_from_db()
    assert invoice.status == "paid"
    first, second = Payment.objects.order_by("attempt")
    assert (first.status, second.status) == ("failed", "succeeded")
    assert stand.ledger.get("payment_intent", first.provider_payment_id)["status"] == "canceled"


def test_a_card_that_never_pays_leads_from_past_due_to_cancelled(
    tenant: Tenant, gateway: StripeGateway, stand: Stand
) -> None:
    give_card(tenant, gateway, stand, "pm_card_chargeCustomerFail")
    bill(tenant)
    became: dict[str, int] = {}
    for day in (*range(15), 20, 21, 44, 45):
        sweep(gateway, tenant, ISSUED + day * DAY)
        became.setdefault(subscription(tenant).status, day)
    assert became == {"active": 0, "past_due": 14, "limited": 21, "cancelled": 45}
    assert Payment.objects.count() == len(stand.ledger.all("charge")) == 8
    kinds = ("payment.failed", "subscription.past_due", "subscription.limited", "subscription.cancelled")
    assert [len(told(kind)) for kind in kinds] == [8, 1, 1, 1]
    assert subscription(tenant).plan_code.startswith("free")


def test_a_new_card_is_tried_at_once_and_restores(tenant: Tenant, gateway: StripeGateway, stand: Stand) -> None:
    give_card(tenant, gateway, stand, "pm_card_chargeCustomerFail")
    bill(tenant)
    for day in (0, 1, 3, 5, 7, 9, 11, 14, 21):
        sweep(gateway, tenant, ISSUED + day * DAY)
    assert subscription(tenant).status == "limited"
    better = give_card(tenant, gateway, stand, at=2)
    tenant.cards.filter(card=better).update(in_use_since=ISSUED + 22 * DAY)
    assert sweep(gateway, tenant, ISSUED + 22 * DAY) == 1
    assert subscription(tenant).status == "active"
    assert len(told("subscription.restored")) == 1


def test_all_about_money_goes_to_the_billing_email_and_to_owners_and_admins_once_each(
    tenant: Tenant, gateway: StripeGateway, stand: Stand
) -> None:
    Subscription.objects.filter(tenant=tenant).update(billing_email="Books@acme.example")
    for name, role in (("olga", "owner"), ("books", "admin"), ("vera", "viewer")):
        MembershipFactory(tenant=tenant, user=UserFactory(email=f"{name}@acme.example"), role=role)
    give_card(tenant, gateway, stand, "pm_card_chargeCustomerFail")
    bill(tenant)
    for day in (*range(15), 21, 45):
        sweep(gateway, tenant, ISSUED + day * DAY)
    kinds = ["payment.failed"] * 8 + ["subscription.past_due", "subscription.limited", "subscription.cancelled"]
    for kind in set(kinds):
        sent = Delivery.objects.filter(event__kind=kind, channel="email").values_list("recipient", flat=True)
        assert sorted(sent) == sorted(["Books@acme.example", "olga@acme.example"] * kinds.count(kind))


def test_by_transfer_an_invoice_is_past_due_after_fourteen_days_until_it_is_marked_paid(tenant: Tenant) -> None:
    gateway, invoice = TransferGateway(), bill(tenant)
    sweep(gateway, tenant, ISSUED + 13 * DAY)
    assert subscription(tenant).status == "active"
    sweep(gateway, tenant, ISSUED + 14 * DAY)
    assert subscription(tenant).status == "past_due"
    invoices.mark_paid(invoice=invoice, how="bank transfer", now=ISSUED + 15 * DAY)
    assert delinquency.refresh(tenant.pk, ISSUED + 15 * DAY) == "active"


def test_while_stripe_is_away_nobody_is_limited(tenant: Tenant, gateway: StripeGateway, stand: Stand) -> None:
    give_card(tenant, gateway, stand)
    bill(tenant)
    stand.fault = lambda method, path, count: "503"
    for day in (0, 1, 20, 59):
        sweep(gateway, tenant, ISSUED + day * DAY)
    assert subscription(tenant).status == "active"
    stand.fault = None
    for minute in range(2):
        sweep(gateway, tenant, ISSUED + 60 * DAY + minute * MINUTE)
    assert len(stand.ledger.charged()) == 1
    assert Invoice.objects.get(tenant=tenant).status == "paid"


@pytest.mark.parametrize("fault", ["drop_before", "drop_after", "500_before", "500_after", "429", "hang_after"])
def test_a_try_without_an_answer_is_asked_again_until_there_is_one(
    tenant: Tenant, gateway: StripeGateway, stand: Stand, fault: Any
) -> None:
    give_card(tenant, gateway, stand)
    invoice = bill(tenant)
    stand.trouble("POST /v1/payment_intents", fault)
    assert sweep(gateway, tenant, ISSUED) == 1
    assert Payment.objects.get().status == "intent"
    for hours in (1, 2, 22, 24, 25, 26, 48):
        stand.saved = {key: one for key, one in stand.saved.items() if hours < 24}
        sweep(gateway, tenant, ISSUED + timedelta(hours=hours))
    invoice.refresh_from_db()
    assert invoice.status == "paid"
    assert len(stand.ledger.charged()) == 1


def test_a_failed_payment_that_succeeded_unseen_is_found_before_the_next_try(
    tenant: Tenant, gateway: StripeGateway, stand: Stand
) -> None:
    card = give_card(tenant, gateway, stand)
    stand.ledger.declines_next(card)
    invoice = bill(tenant)
    sweep(gateway, tenant, ISSUED)
    failed = Payment.objects.get()
    stand.ledger.confirm(failed.provider_payment_id, {"payment_method": card})  # somebody in Stripe's dashboard
    sweep(gateway, tenant, ISSUED + DAY)
    invoice.refresh_from_db()
    assert invoice.status == "paid"
    assert len(stand.ledger.charged()) == 1
    assert [payment.status for payment in Payment.objects.order_by("attempt")] == ["succeeded", "canceled"]


def test_the_database_refuses_a_second_open_try(tenant: Tenant, gateway: StripeGateway, stand: Stand) -> None:
    give_card(tenant, gateway, stand)
    invoice = bill(tenant)
    first = payments.begin(invoice.pk, "stripe", ISSUED)
    assert first is not None
    assert payments.begin(invoice.pk, "stripe", ISSUED) is None
    first.pk, first.attempt, first.idempotency_key = None, 2, "another"
    with pytest.raises(IntegrityError), transaction.atomic():
        first.save(force_insert=True)


def test_an_invoice_is_not_voided_or_marked_paid_while_it_is_being_collected(
    tenant: Tenant, gateway: StripeGateway, stand: Stand
) -> None:
    give_card(tenant, gateway, stand)
    invoice = bill(tenant)
    assert payments.begin(invoice.pk, "stripe", ISSUED)
    for move in (invoices.void_invoice, lambda **said: invoices.mark_paid(how="bank transfer", **said)):
        with pytest.raises(invoices.NotPossible):
            move(invoice=invoice, now=ISSUED)


def test_refunds_are_made_once_and_never_exceed_what_was_paid(
    tenant: Tenant, gateway: StripeGateway, stand: Stand
) -> None:
    give_card(tenant, gateway, stand)
    bill(tenant)
    sweep(gateway, tenant, ISSUED)
    payment = Payment.objects.get()
    stand.trouble("POST /v1/refunds", "drop_after")
    made = refunds.refund(payment=payment, amount=Decimal("40"), reason="SLA", gateway=gateway, now=ISSUED)
    assert made.status == "intent"
    assert refunds.recover(gateway, ISSUED + MINUTE) == 1
    with pytest.raises(refunds.CanNotRefund, match=r"59\.00 USD"):
        refunds.refund(payment=payment, amount=Decimal("59.01"), reason="More", gateway=gateway, now=ISSUED)
    refunds.refund(payment=payment, amount=Decimal("59"), reason="Rest", gateway=gateway, now=ISSUED)
    assert [one["amount"] for one in stand.ledger.all("refund")] == [4000, 5900]


def test_a_refund_that_never_arrived_is_made_after_a_day(tenant: Tenant, gateway: StripeGateway, stand: Stand) -> None:
    give_card(tenant, gateway, stand)
    bill(tenant)
    sweep(gateway, tenant, ISSUED)
    stand.trouble("POST /v1/refunds", "500_before")
    refunds.refund(payment=Payment.objects.get(), amount=Decimal("1"), reason="SLA", gateway=gateway, now=ISSUED)
    for hours in (1, 24, 25):
        refunds.recover(gateway, ISSUED + timedelta(hours=hours))
    assert len(stand.ledger.all("refund")) == 1
