"""The stand-in is as strict as Stripe where a mistake would cost money; asked by Stripe's own library."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import stripe

from tests.stripe_server import Stand
from tests.stripe_server.cards import CARDS
from tests.stripe_server.webhooks import body_of, signature

OPEN: Any = {"enabled": True, "allow_redirects": "never"}


@pytest.fixture
def stand() -> Iterator[Stand]:
    with Stand(hang_seconds=0.01) as stand:
        yield stand


@pytest.fixture
def client(stand: Stand) -> stripe.StripeClient:
    return stripe.StripeClient(stand.api_key, base_addresses={"api": stand.url}, max_network_retries=0)


@pytest.fixture
def customer(client: stripe.StripeClient) -> str:
    return client.v1.customers.create({"email": "ada@example.com"}).id


def attached(client: stripe.StripeClient, customer: str, card: str = "pm_card_visa") -> str:
    return client.v1.payment_methods.attach(card, {"customer": customer}).id


def intent(client: stripe.StripeClient, customer: str, key: str = "", amount: int = 500, **more: Any) -> Any:
    said = {"amount": amount, "currency": "usd", "customer": customer, "automatic_payment_methods": OPEN} | more
    return client.v1.payment_intents.create(said, {"idempotency_key": key} if key else {})  # type: ignore[arg-type]


def test_a_key_is_answered_with_its_first_answer(client: stripe.StripeClient, customer: str, stand: Stand) -> None:
    assert intent(client, customer, "k").id == intent(client, customer, "k").id
    assert len(stand.ledger.all("payment_intent")) == 1


def test_a_key_with_other_parameters_is_refused(client: stripe.StripeClient, customer: str) -> None:
    intent(client, customer, "k")
    with pytest.raises(stripe.IdempotencyError):
        intent(client, customer, "k", amount=501)


def test_a_key_is_forgotten_after_a_day(client: stripe.StripeClient, customer: str, stand: Stand) -> None:
    first = intent(client, customer, "k")
    stand.saved["k"].at -= 25 * 3600
    assert intent(client, customer, "k").id != first.id


def test_a_parameter_the_library_does_not_know_is_refused(client: stripe.StripeClient, stand: Stand) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="colour"):
        client.v1.customers.create({"email": "a@example.com", "colour": "red"})  # type: ignore[typeddict-unknown-key]
    assert stand.complaints == ["POST /v1/customers: colour: Extra inputs are not permitted"]


@pytest.mark.parametrize("fault", ["drop_after", "hang_after", "500_after"])
def test_a_charge_whose_answer_is_lost_was_taken_all_the_same(
    client: stripe.StripeClient, customer: str, stand: Stand, fault: Any
) -> None:
    made, card = intent(client, customer, metadata={"invoice": "1"}), attached(client, customer)
    stand.trouble("POST */confirm", fault)
    with pytest.raises(stripe.StripeError):
        client.v1.payment_intents.confirm(made.id, {"payment_method": card}, {"idempotency_key": "c"})
    assert len(stand.ledger.charged(invoice="1")) == 1


@pytest.mark.parametrize("fault", ["drop_before", "500_before", "429", "503"])
def test_a_charge_that_never_arrived_was_not_taken(
    client: stripe.StripeClient, customer: str, stand: Stand, fault: Any
) -> None:
    made, card = intent(client, customer), attached(client, customer)
    stand.trouble("POST */confirm", fault)
    with pytest.raises(stripe.StripeError):
        client.v1.payment_intents.confirm(made.id, {"payment_method": card})
    assert stand.ledger.all("charge") == []


def test_a_500_is_saved_under_its_key(client: stripe.StripeClient, customer: str, stand: Stand) -> None:
    stand.trouble("POST /v1/payment_intents", "500_before")
    for _ in range(2):
        with pytest.raises(stripe.APIError):
            intent(client, customer, "k")


def test_an_intent_takes_money_once(client: stripe.StripeClient, customer: str, stand: Stand) -> None:
    made, card = intent(client, customer), attached(client, customer)
    client.v1.payment_intents.confirm(made.id, {"payment_method": card}, {"idempotency_key": "a"})
    with pytest.raises(stripe.InvalidRequestError, match="status of succeeded"):
        client.v1.payment_intents.confirm(made.id, {"payment_method": card}, {"idempotency_key": "b"})
    assert len(stand.ledger.charged()) == 1


@pytest.mark.parametrize("name", [name for name, card in CARDS.items() if card.at_attaching])
def test_a_card_that_is_refused_is_refused_at_attaching(client: stripe.StripeClient, customer: str, name: str) -> None:
    with pytest.raises(stripe.CardError) as refused:
        attached(client, customer, name)
    assert refused.value.code == CARDS[name].at_attaching.code  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["pm_card_chargeCustomerFail", "pm_card_authenticationRequired"])
def test_a_card_that_attaches_may_be_declined_later(client: stripe.StripeClient, customer: str, name: str) -> None:
    made, card = intent(client, customer), attached(client, customer, name)
    with pytest.raises(stripe.CardError) as refused:
        client.v1.payment_intents.confirm(made.id, {"payment_method": card, "off_session": True})
    assert refused.value.error.decline_code == CARDS[name].at_charging.decline_code  # type: ignore[union-attr]
    assert client.v1.payment_intents.retrieve(made.id).status == "requires_payment_method"


def test_lists_have_pages(client: stripe.StripeClient, customer: str) -> None:
    made = [intent(client, customer).id for _ in range(5)]
    pages = client.v1.payment_intents.list({"customer": customer, "limit": 2})
    assert [one.id for one in pages.auto_paging_iter()] == made[::-1]


def test_a_webhook_is_signed_as_stripe_signs(client: stripe.StripeClient, customer: str, stand: Stand) -> None:
    taken = []
    stand.deliver(lambda body, signed: taken.append((body, signed)) or 200, repeats=2)  # type: ignore[func-returns-value]
    assert len(taken) == 2
    event = client.construct_event(*taken[0], stand.webhook_secret)
    assert (event.type, event.data.object["id"]) == ("customer.created", customer)
    with pytest.raises(stripe.SignatureVerificationError):
        client.construct_event(taken[0][0], signature(body_of(json.loads(taken[0][0])), "whsec_other"), "whsec")
