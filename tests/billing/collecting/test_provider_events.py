"""Webhooks: signed or refused, kept once, worked through in any order to the same end."""

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from itertools import groupby, permutations
from operator import itemgetter
from typing import Any

import pytest
from django.db import transaction

from apps.accounts.models import Tenant
from apps.api_keys.models import ApiKey
from apps.billing.collecting import payment_methods, payments, provider_events, reconciliation
from apps.billing.collecting.payment_state import PaymentState, merge
from apps.billing.collecting.stripe_gateway import StripeGateway
from apps.billing.models import Invoice, Payment, PaymentCard, ProviderEvent, Refund, Subscription
from apps.notifications.models import Event
from tests.billing.collecting.conftest import ISSUED, bill, give_card
from tests.campaign import SIZE, campaign
from tests.stripe_server import Stand

pytestmark = pytest.mark.django_db


def the_story(tenant: Tenant, gateway: StripeGateway, stand: Stand) -> list[dict[str, Any]]:
    """It happens at Stripe, and not one answer of it reaches us: all we have are the rows and, later, the webhooks."""
    card = give_card(tenant, gateway, stand)
    bill(tenant)
    first = payments.begin(Invoice.objects.get().pk, "stripe", ISSUED)
    assert first is not None
    stand.ledger.declines_next(card)
    stand.trouble("POST /v1/payment_intents", "drop_after")
    payments.drive(first, gateway, ISSUED)
    start = len(stand.ledger.events)
    Payment.objects.update(updated_at=ISSUED - timedelta(hours=1))
    stand.ledger.cancel(stand.ledger.all("payment_intent")[0]["id"], {})
    Payment.objects.filter(pk=first.pk).update(status="canceled")  # so that the next may begin
    second = payments.begin(Invoice.objects.get().pk, "stripe", ISSUED + timedelta(days=1))
    assert second is not None
    Payment.objects.filter(pk=first.pk).update(status="failed")
    stand.trouble("POST /v1/payment_intents", "drop_after")
    payments.drive(second, gateway, ISSUED + timedelta(days=1))
    charge = next(one for one in stand.ledger.all("charge") if one["paid"])
    stand.ledger.refund({"charge": charge["id"], "amount": "900"})
    dispute = stand.ledger.dispute(charge["id"])
    stand.ledger.close_dispute(dispute["id"], "lost")
    return [event for event in stand.ledger.events[start - 1 :] if not event["type"].startswith("payment_method")]


def story_of_six(tenant: Tenant, gateway: StripeGateway, stand: Stand) -> list[dict[str, Any]]:
    events = [one for one in the_story(tenant, gateway, stand) if one["type"] != "payment_intent.created"]
    assert len(events) == 6
    return events


def state(tenant: Tenant) -> list[Any]:
    """All that the webhooks of the story change."""
    columns = (
        "attempt",
        "status",
        "failure_code",
        "amount_refunded",
        "known",
        "provider_payment_id",
        "provider_charge_id",
    )
    rows: list[Any] = list(Payment.objects.order_by("attempt").values_list(*columns))
    invoice = Invoice.objects.get(tenant=tenant)
    told = sorted(Event.objects.values_list("kind", flat=True))
    return [*rows, invoice.status, invoice.paid_how, Subscription.objects.get(tenant=tenant).status, told]


@campaign
def test_every_order_and_repetition_of_the_story_is_the_same_knowledge(
    tenant: Tenant, gateway: StripeGateway, stand: Stand
) -> None:
    """All 720 orders of six events, each told once, twice and three times: the same two payments are known of."""
    events = story_of_six(tenant, gateway, stand)
    said = [
        (event["data"]["object"], provider_events.READS[provider_events.subject(event["type"])]) for event in events
    ]
    news = [read(one) for one, read in said]
    for repeats in (1, 2, 3):
        ends = {known_after(order, repeats) for order in permutations(news)}
        assert len(ends) == 1
    assert sorted(one.status for one in ends.pop()) == ["disputed", "failed"]


def known_after(order: Sequence[PaymentState], repeats: int) -> frozenset[PaymentState]:
    known: dict[str, PaymentState] = {}
    for one in (payment_state for payment_state in order for _ in range(repeats)):
        known[one.payment] = merge(known.get(one.payment, PaymentState()), one)
    return frozenset(known.values())


@campaign
@pytest.mark.parametrize("repeats", [1, 2, 3])
def test_orders_and_repetitions_of_the_story_leave_the_same_rows(
    tenant: Tenant, gateway: StripeGateway, stand: Stand, repeats: int
) -> None:
    """Through the database, each event told so many times: rows, invoice, standing and mails are the same."""
    events = story_of_six(tenant, gateway, stand)
    told = [[event] * repeats for event in events]
    orders = list(permutations(range(len(events))))[:: 720 // SIZE.orders]
    ends = list(ends_of(orders, told, gateway, tenant))
    assert len(ends) == SIZE.orders
    assert all(end == ends[0] for end in ends)
    first, second, *rest = ends[0]
    assert (first[1], second[1]) == ("failed", "disputed")
    assert rest[:3] == ["paid", "stripe", "active"]


def ends_of(
    orders: Sequence[Sequence[int]],
    told: Sequence[Sequence[dict[str, Any]]],
    gateway: StripeGateway,
    tenant: Tenant,
    waiting: Sequence[dict[str, Any]] = (),
) -> Iterator[list[Any]]:
    """The state each order leads to. Orders that begin alike share their beginning: a savepoint leads back to it."""
    if not orders[0]:
        assert all(handled(event, gateway) for event in waiting)
        yield state(tenant)
        return
    for first, alike in groupby(orders, key=itemgetter(0)):
        with transaction.atomic():
            left = [event for event in told[first] if not handled(event, gateway)]
            yield from list(ends_of([order[1:] for order in alike], told, gateway, tenant, [*waiting, *left]))
            transaction.set_rollback(True)


def handled(event: dict[str, Any], gateway: StripeGateway) -> bool:
    """A dispute doesn't name our reference: it waits until its payment's id is known."""
    try:
        provider_events.handle(event, gateway, ISSUED)
    except provider_events.NotYet:
        assert event["type"].startswith("charge.dispute")
        return False
    return True


def test_the_same_event_is_kept_once(tenant: Tenant, gateway: StripeGateway, stand: Stand) -> None:
    events = the_story(tenant, gateway, stand)
    assert [provider_events.keep(event, ISSUED) for event in events] == [True] * len(events)
    assert not any(provider_events.keep(event, ISSUED) for event in events * 2)
    assert ProviderEvent.objects.count() == len(events)


def test_client_secrets_are_not_kept(tenant: Tenant, gateway: StripeGateway, stand: Stand) -> None:
    for event in the_story(tenant, gateway, stand):
        provider_events.keep(event, ISSUED)
    assert "_secret_" in json.dumps(stand.ledger.events)
    assert not [
        provider_event
        for provider_event in ProviderEvent.objects.all()
        if "_secret_" in json.dumps(provider_event.body)
    ]


def test_an_event_that_can_not_be_worked_through_waits_longer_each_time(
    tenant: Tenant, gateway: StripeGateway, stand: Stand
) -> None:
    events = the_story(tenant, gateway, stand)
    provider_events.keep(next(one for one in events if one["type"] == "charge.dispute.created"), ISSUED)
    waits = []
    now = ISSUED
    for _ in range(4):
        assert provider_events.work_through(gateway, now) == 0
        row = ProviderEvent.objects.get()
        assert row.next_try_at is not None
        waits.append((row.next_try_at - now).total_seconds())
        now = row.next_try_at
    assert waits == [60, 120, 240, 480]
    for event in events:
        provider_events.keep(event, now)
    provider_events.work_through(gateway, now)
    assert provider_events.work_through(gateway, now + timedelta(hours=1)) <= 1
    assert not ProviderEvent.objects.exclude(next_try_at=None)


def test_an_operator_replays_an_event(tenant: Tenant, gateway: StripeGateway, stand: Stand) -> None:
    event = next(one for one in the_story(tenant, gateway, stand) if one["type"] == "payment_intent.succeeded")
    provider_events.keep(event, ISSUED)
    provider_events.work_through(gateway, ISSUED)
    before = state(tenant)
    assert provider_events.replay(ProviderEvent.objects.get(), gateway, ISSUED)
    assert state(tenant) == before


def test_paying_restores_and_the_gate_is_told_in_the_same_breath(
    tenant: Tenant, gateway: StripeGateway, stand: Stand, deliver: Callable[..., int]
) -> None:
    give_card(tenant, gateway, stand)
    bill(tenant)
    Subscription.objects.filter(tenant=tenant).update(status="limited", past_due_since=ISSUED)
    ApiKey.objects.update(gate_pending=False)
    stand.trouble("POST /v1/payment_intents", "drop_after")
    payments.collect(Invoice.objects.get(), gateway, ISSUED)
    deliver()
    assert Subscription.objects.get(tenant=tenant).status == "active"
    assert ApiKey.objects.filter(tenant=tenant, gate_pending=True).exists()


# --- cards ---


def test_a_card_entered_at_stripe_opens_the_overage(
    tenant: Tenant, gateway: StripeGateway, stand: Stand, deliver: Callable[..., int]
) -> None:
    customer = payment_methods.customer_of(tenant, gateway, ISSUED)
    assert payment_methods.customer_of(tenant, gateway, ISSUED) == customer
    gateway.card_page(
        customer=customer, currency="USD", success_url="https://a.example/ok", cancel_url="https://a.example"
    )
    stand.ledger.complete_checkout(stand.ledger.all("checkout.session")[0]["id"], "pm_card_mastercard")
    deliver()
    known = Subscription.objects.get(tenant=tenant)
    assert (known.has_payment_method, known.payment_method_label) == (True, "mastercard •••• 4444")
    assert stand.ledger.get("customer", customer)["invoice_settings"]["default_payment_method"]


@pytest.mark.parametrize("turned", [False, True])
def test_the_last_card_chosen_is_used_in_whatever_order_we_hear_of_them(
    tenant: Tenant, gateway: StripeGateway, stand: Stand, turned: bool
) -> None:
    stand.ledger.clock = iter(range(1_790_000_000, 1_800_000_000)).__next__
    customer = payment_methods.customer_of(tenant, gateway, ISSUED)
    for card in ("pm_card_visa", "pm_card_amex", "pm_card_mastercard"):
        setup = stand.ledger.create_setup_intent({"customer": customer})
        stand.ledger.complete_setup(setup["id"], card)
    amex = next(one for one in stand.ledger.all("payment_method") if one["card"]["brand"] == "amex")
    last = next(one for one in stand.ledger.all("payment_method") if one["card"]["brand"] == "mastercard")
    stand.ledger.detach(last["id"], {})
    for event in stand.ledger.events[:: -1 if turned else 1]:
        provider_events.handle(event, gateway, ISSUED)
    in_use = PaymentCard.objects.in_use(tenant.pk)
    assert in_use is not None and in_use.card == amex["id"]
    assert Subscription.objects.get(tenant=tenant).payment_method_label == "amex •••• 8431"


def test_a_removed_card_closes_the_overage(
    tenant: Tenant, gateway: StripeGateway, stand: Stand, deliver: Callable[..., int]
) -> None:
    card = give_card(tenant, gateway, stand)
    assert Subscription.objects.get(tenant=tenant).has_payment_method
    stand.ledger.detach(card, {})
    deliver()
    assert not Subscription.objects.get(tenant=tenant).has_payment_method


def test_another_installations_payments_are_none_of_ours(gateway: StripeGateway, stand: Stand, cast: Any) -> None:
    said = {"amount": "500", "currency": "usd", "metadata": {"palisade_payment": "pay_elsewhere"}}
    stand.ledger.create_intent(said)
    assert provider_events.handle(stand.ledger.events[-1], gateway, ISSUED) == "not a payment of ours"


# --- the nightly look ---


def test_the_night_finds_what_no_webhook_told(tenant: Tenant, gateway: StripeGateway, stand: Stand) -> None:
    stand.ledger.clock = stand.clock = lambda: ISSUED.timestamp()
    the_story(tenant, gateway, stand)
    report = reconciliation.reconcile(gateway, ISSUED + timedelta(days=1))
    assert report.events_missed > 0 and report.differences == ()
    assert state(tenant)[:2] != [] and Invoice.objects.get().status == "paid"
    again = reconciliation.reconcile(gateway, ISSUED + timedelta(days=1))
    assert (again.events_missed, again.corrected, again.differences) == (0, 0, ())


def test_the_night_names_a_charge_that_no_row_knows(tenant: Tenant, gateway: StripeGateway, stand: Stand) -> None:
    stand.ledger.clock = stand.clock = lambda: ISSUED.timestamp()
    card = give_card(tenant, gateway, stand)
    bill(tenant)
    payments.collect(Invoice.objects.get(), gateway, ISSUED)
    Payment.objects.all().delete()
    (difference,) = reconciliation.reconcile(gateway, ISSUED).differences
    assert "which no row knows" in difference and card
    assert not Refund.objects.exists()
