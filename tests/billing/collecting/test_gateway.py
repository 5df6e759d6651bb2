"""The Stripe gateway against the stand-in: what each answer of Stripe's means."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from apps.billing.collecting.gateway import Declined, NotCollecting, Order, Refused, Unanswered
from apps.billing.collecting.providers import get_gateway
from apps.billing.collecting.stripe_gateway import StripeGateway, minor_units
from tests.pace import within
from tests.stripe_server import Stand
from tests.stripe_server.webhooks import signature

HOUR_AGO = datetime.now(UTC) - timedelta(hours=1)


@pytest.fixture
def stand() -> Iterator[Stand]:
    with Stand(hang_seconds=within(0.7)) as stand:
        yield stand
    assert stand.complaints == []


@pytest.fixture
def gateway(stand: Stand) -> StripeGateway:
    return StripeGateway(
        api_key=stand.api_key, webhook_secret=stand.webhook_secret, base=stand.url, timeout=within(0.5)
    )


def order(stand: Stand, gateway: StripeGateway, reference: str = "r1", card: str = "pm_card_visa") -> Order:
    customer = gateway.create_customer(name="Ada", email="ada@example.com", reference="t1")
    found = stand.ledger.attach(card, {"customer": customer})["id"]
    return Order(reference, customer, found, Decimal("179.01"), "USD", "Invoice P-2026-000001", "P-2026-000001")


def test_a_payment_is_made_once_however_often_it_is_asked(stand: Stand, gateway: StripeGateway) -> None:
    one = order(stand, gateway)
    assert gateway.pay(one) == gateway.pay(one)
    (charge,) = stand.ledger.charged(palisade_payment="r1")
    assert (charge["amount"], charge["currency"]) == (17901, "usd")


def test_a_no_of_the_bank_is_told_with_its_reason(stand: Stand, gateway: StripeGateway) -> None:
    with pytest.raises(Declined) as no:
        gateway.pay(order(stand, gateway, card="pm_card_authenticationRequired"))
    assert (no.value.code, no.value.known.status) == ("authentication_required", "failed")


@pytest.mark.parametrize(
    "fault",
    ["drop_before", "drop_after", "hang_before", "hang_after", "500_before", "500_after", "503", "429"],
)
def test_what_was_not_answered_is_unanswered(stand: Stand, gateway: StripeGateway, fault: Any) -> None:
    one = order(stand, gateway)
    stand.trouble("POST /v1/payment_intents", fault)
    with pytest.raises(Unanswered):
        gateway.pay(one)
    found = gateway.find(one)
    assert (found is not None and found.status == "succeeded") == fault.endswith("after")


def test_a_wrong_key_of_ours_is_nobodys_failure_and_not_quoted(stand: Stand) -> None:
    with pytest.raises(Unanswered) as refused:
        StripeGateway(api_key="sk_test_wrong", base=stand.url).look("pi_1")
    assert "sk_test" not in str(refused.value)


def test_what_succeeded_can_not_be_withdrawn(stand: Stand, gateway: StripeGateway) -> None:
    paid = gateway.pay(order(stand, gateway))
    assert gateway.withdraw(paid.payment).status == "succeeded"


def test_what_failed_is_withdrawn_for_good(stand: Stand, gateway: StripeGateway) -> None:
    with pytest.raises(Declined) as no:
        gateway.pay(order(stand, gateway, card="pm_card_chargeCustomerFail"))
    assert gateway.withdraw(no.value.known.payment).progress == "canceled"
    assert gateway.withdraw(no.value.known.payment).progress == "canceled"


def test_a_card_is_entered_on_stripes_page_and_then_in_use(stand: Stand, gateway: StripeGateway) -> None:
    customer = gateway.create_customer(name="Ada", email="ada@example.com", reference="t1")
    url = gateway.card_page(
        customer=customer, currency="EUR", success_url="https://a.example/ok", cancel_url="https://a"
    )
    session = stand.ledger.get("checkout.session", url.rpartition("/")[2])
    stand.ledger.complete_checkout(session["id"], "pm_card_mastercard")
    assert gateway.card_of_setup(session["setup_intent"])[0] == customer
    card = gateway.use_card(customer=customer, card=gateway.card_of_setup(session["setup_intent"])[1])
    assert (card.brand, card.last4, card.expires) == ("mastercard", "4444", "2034-12")
    assert stand.url in gateway.portal_page(customer=customer, return_url="https://a.example")


def test_refunds_carry_a_key_too(stand: Stand, gateway: StripeGateway) -> None:
    paid = gateway.pay(order(stand, gateway))
    refunds = {
        gateway.refund(payment=paid.payment, amount=Decimal("79.01"), currency="USD", reference="f1") for _ in range(2)
    }
    assert len(refunds) == len(stand.ledger.all("refund")) == 1
    assert gateway.refunds_of(paid.payment) == {"f1": refunds.pop()}
    assert [event["type"] for event in gateway.happened(HOUR_AGO)][-1] == "charge.refunded"
    assert [reference for reference, _ in gateway.payments(HOUR_AGO)] == ["r1"]


@pytest.mark.parametrize(
    ("secret", "age", "right"),
    [("whsec_stand_in", 0, True), ("whsec_stand_in", 295, True), ("whsec_stand_in", 301, False), ("whsec_x", 0, False)],
)
def test_signatures_are_ours_and_fresh(gateway: StripeGateway, secret: str, age: int, right: bool) -> None:
    body = b'{"id": "evt_1"}'
    signed = signature(body, secret, datetime.now(UTC).timestamp() - age)
    if right:
        gateway.verify(body, signed)
        body = body.replace(b"evt_1", b"evt_2")
    with pytest.raises(Refused):
        gateway.verify(body, signed)


@pytest.mark.parametrize("header", ["", "t=1", "t=x,v1=y", "v1=aa", "nonsense"])
def test_a_signature_that_is_none_is_refused(gateway: StripeGateway, header: str) -> None:
    with pytest.raises(Refused):
        gateway.verify(b"{}", header)


@pytest.mark.parametrize(
    ("amount", "currency", "units"),
    [("0.29", "USD", 29), ("1299.00", "EUR", 129900), ("1299", "JPY", 1299), ("91.234", "KWD", 91230)],
)
def test_amounts_in_stripes_units(amount: str, currency: str, units: int) -> None:
    assert minor_units(Decimal(amount), currency) == units


def test_without_a_key_nobody_is_asked(settings: Any) -> None:
    settings.STRIPE_API_KEY = ""
    gateway = get_gateway()
    assert not gateway.collects
    with pytest.raises(NotCollecting):
        gateway.look("pi_1")
