"""localstripe, somebody else's stand-in for Stripe, as a second opinion on what it knows: customers, cards, declines,
charges, refunds. It knows neither idempotency keys, Checkout nor `automatic_payment_methods`. It listens on all
interfaces while this test runs."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from apps.billing.collecting.gateway import Declined
from apps.billing.collecting.payment_state import of_intent
from apps.billing.collecting.stripe_gateway import StripeGateway, _asked
from tests.pace import within

LOCALSTRIPE = Path(sys.executable).parent / "localstripe"
START_SECONDS = 20.0


@pytest.fixture(scope="module")
def other() -> Iterator[StripeGateway]:
    if not LOCALSTRIPE.exists():
        pytest.skip("localstripe is not installed: make dev")
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    process = subprocess.Popen(
        [LOCALSTRIPE, "--port", str(port), "--from-scratch"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        if not _listens(port):
            pytest.skip("localstripe did not start: it needs IPv6")
        yield StripeGateway(api_key="sk_test_second", base=f"http://127.0.0.1:{port}", timeout=within(10))
    finally:
        process.kill()
        process.wait(within(10))


def _listens(port: int) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.1)
    return False


def pay(gateway: StripeGateway, customer: str, card: str) -> Any:
    """A payment in the words that localstripe knows."""
    said: Any = {"amount": 1234, "currency": "usd", "customer": customer, "payment_method": card, "confirm": True}
    return _asked(lambda: gateway._v1.payment_intents.create(said)).to_dict()


def test_customers_cards_charges_and_refunds(other: StripeGateway) -> None:
    customer = other.create_customer(name="Ada", email="ada@example.com", reference="t1")
    card = other._v1.payment_methods.attach("pm_card_visa", {"customer": customer}).id
    assert (other.use_card(customer=customer, card=card).brand, other.use_card(customer=customer, card=card).last4) == (
        "visa",
        "4242",
    )
    known = of_intent(pay(other, customer, card))
    assert (known.status, known.amount) == ("succeeded", 1234)
    assert known.charge.startswith("ch_")
    assert other.look(known.payment).status == "succeeded"
    assert other.refund(payment=known.payment, amount=Decimal("2.34"), currency="USD", reference="r1").startswith("re_")


def test_a_decline_after_attaching(other: StripeGateway) -> None:
    customer = other.create_customer(name="Ada", email="ada@example.com", reference="t2")
    card = other._v1.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": customer}).id
    with pytest.raises(Declined) as no:
        pay(other, customer, card)
    assert no.value.code == "card_declined"
