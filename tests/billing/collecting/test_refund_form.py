"""The operators' form that gives back a part of a payment: told at the field, once however often it is sent."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from apps.accounts.models import AuditEntry, Tenant
from apps.billing.collecting import payments, refunds
from apps.billing.collecting.stripe_gateway import StripeGateway
from apps.billing.models import Payment, Refund, Subscription
from tests.billing.collecting.conftest import ISSUED, bill, give_card
from tests.faces import as_the_portal
from tests.factories import OperatorFactory
from tests.stripe_server import Stand
from tests.together import together

pytestmark = pytest.mark.django_db(transaction=True)
ADD = "/admin/billing/refund/add/"


@pytest.fixture(autouse=True)
def _as_the_portal() -> Iterator[None]:
    with as_the_portal():
        yield


@pytest.fixture
def browser() -> Client:
    return logged_in(OperatorFactory(email="olga@example.com"))


def logged_in(person: Any) -> Client:
    client = Client()
    client.force_login(person)
    return client


@pytest.fixture
def paid(tenant: Tenant, gateway: StripeGateway, stand: Stand) -> Payment:
    """99.00, taken from a card."""
    give_card(tenant, gateway, stand)
    return collected(tenant, gateway, "99.00")


def collected(tenant: Tenant, gateway: StripeGateway, amount: str) -> Payment:
    payment = payments.collect(bill(tenant, amount), gateway, ISSUED)
    assert payment is not None and payment.status == "succeeded"
    return payment


def said(payment: Payment, amount: str, token: str = "a" * 32) -> dict[str, Any]:
    return {"payment": payment.pk, "amount": amount, "reason": "half of it was down", "token": token}


def given_back(stand: Stand) -> list[int]:
    return [one["amount"] for one in stand.ledger.all("refund")]


def errors(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 200
    return dict(answer.context["adminform"].form.errors)


def test_a_part_is_given_back_and_audited(browser: Client, paid: Payment, stand: Stand) -> None:
    page = browser.get(f"/admin/billing/payment/{paid.pk}/change/").content.decode()
    assert f"{ADD}?payment={paid.pk}" in page
    assert browser.post(ADD, said(paid, "40.50")).status_code == 302
    made = Refund.objects.get()
    assert (made.status, made.amount, made.reason, given_back(stand)) == (
        "done",
        Decimal("40.5"),
        "half of it was down",
        [4050],
    )
    entry = AuditEntry.objects.get(action="payment.refunded")
    assert (entry.actor, (entry.after or {})["amount"]) == ("olga@example.com", "40.50")
    assert browser.get(f"/admin/billing/refund/{made.pk}/change/").status_code == 200


def test_the_page_is_filled_in_for_its_payment_with_a_token_of_its_own(browser: Client, paid: Payment) -> None:
    forms = [browser.get(f"{ADD}?payment={paid.pk}").context["adminform"].form for _ in range(2)]
    assert forms[0]["payment"].value() == str(paid.pk)
    assert forms[0]["token"].value() != forms[1]["token"].value()
    page = browser.get(ADD).content.decode()
    assert 'class="module relative  hidden"' in page[: page.index('name="token"')]


def test_the_same_form_twice_gives_back_once(browser: Client, paid: Payment, stand: Stand) -> None:
    for _ in range(3):
        assert browser.post(ADD, said(paid, "40.00")).status_code == 302
    assert given_back(stand) == [4000]
    assert AuditEntry.objects.filter(action="payment.refunded").count() == 1
    browser.post(ADD, said(paid, "40.00", "b" * 32))
    assert given_back(stand) == [4000, 4000]


def test_the_same_form_sent_at_once_from_four_tabs_gives_back_once(
    browser: Client, paid: Payment, stand: Stand
) -> None:
    assert together(4, lambda _: browser.post(ADD, said(paid, "40.00")).status_code) == [302] * 4
    assert (given_back(stand), Refund.objects.count()) == ([4000], 1)


@pytest.mark.parametrize("amount", ["0", "-1", "99.01", "1000000000000000000", "1.005", "x", "", "NaN", "Infinity"])
def test_amounts_that_can_not_be_are_told_at_the_field(
    browser: Client, paid: Payment, stand: Stand, amount: str
) -> None:
    assert set(errors(browser.post(ADD, said(paid, amount)))) == {"amount"}
    assert (given_back(stand), Refund.objects.count()) == ([], 0)


def test_parts_never_come_to_more_than_the_whole(browser: Client, paid: Payment, stand: Stand) -> None:
    browser.post(ADD, said(paid, "60.00"))
    wrong = errors(browser.post(ADD, said(paid, "39.01", "b" * 32)))
    assert wrong == {"amount": ["Up to 39.00 USD can be given back."]}
    browser.post(ADD, said(paid, "39.00", "c" * 32))
    assert given_back(stand) == [6000, 3900]
    assert "Refund a part of" not in browser.get(f"/admin/billing/payment/{paid.pk}/change/").content.decode()


@pytest.mark.parametrize(("field", "wrong"), [("reason", ""), ("payment", 0), ("payment", ""), ("token", "")])
def test_what_is_missing_is_told_at_its_field(browser: Client, paid: Payment, field: str, wrong: Any) -> None:
    assert field in errors(browser.post(ADD, said(paid, "1.00") | {field: wrong}))


def test_a_payment_that_took_nothing_is_no_choice(
    browser: Client, tenant: Tenant, gateway: StripeGateway, stand: Stand
) -> None:
    give_card(tenant, gateway, stand, "pm_card_chargeCustomerFail")
    failed = payments.collect(bill(tenant), gateway, ISSUED)
    assert failed is not None
    assert set(errors(browser.post(ADD, said(failed, "1.00")))) == {"payment"}


@pytest.mark.parametrize(
    ("currency", "whole", "wrong", "right", "units"),
    [("JPY", "9900", "0.5", "100", 100), ("KWD", "30.000", "1.005", "1.010", 1010)],
)
def test_each_currency_has_its_own_steps(
    browser: Client,
    tenant: Tenant,
    gateway: StripeGateway,
    stand: Stand,
    currency: str,
    whole: str,
    wrong: str,
    right: str,
    units: int,
) -> None:
    Subscription.objects.filter(tenant=tenant).update(currency=currency)
    give_card(tenant, gateway, stand)
    payment = collected(tenant, gateway, whole)
    assert set(errors(browser.post(ADD, said(payment, wrong)))) == {"amount"}
    assert browser.post(ADD, said(payment, right)).status_code == 302
    assert given_back(stand) == [units]


def test_without_an_answer_it_is_asked_again_by_itself(
    browser: Client, paid: Payment, stand: Stand, gateway: StripeGateway
) -> None:
    stand.trouble("POST /v1/refunds", "drop_after")
    assert browser.post(ADD, said(paid, "40.00")).status_code == 302
    assert Refund.objects.get().status == "intent"
    assert refunds.recover(gateway, timezone.now() + timedelta(minutes=2)) == 1
    assert given_back(stand) == [4000]
    browser.post(ADD, said(paid, "40.00"))
    assert given_back(stand) == [4000]


def test_what_nobody_can_be_asked_for_is_refused_and_leaves_nothing_open(
    browser: Client, paid: Payment, settings: Any
) -> None:
    settings.STRIPE_API_KEY = ""
    wrong = errors(browser.post(ADD, said(paid, "1.00")))
    assert wrong == {"amount": ["It was paid by stripe, which is not asked from here any more."]}
    assert not Refund.objects.exists()


def test_who_may_only_look_gives_nothing_back(paid: Payment, stand: Stand) -> None:
    client = logged_in(OperatorFactory(email="leo@example.com", is_superuser=False))
    assert client.get(ADD).status_code == 403
    assert client.post(ADD, said(paid, "1.00")).status_code == 403
    assert given_back(stand) == []


def test_the_row_is_committed_before_the_provider_is_asked(
    browser: Client, paid: Payment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is killed while the provider answers leaves the row behind, with its key."""
    open_then: list[bool] = []
    real: Callable[..., str] = StripeGateway.refund

    def look(self: StripeGateway, **asked: Any) -> str:
        open_then.append(connection.in_atomic_block)
        return real(self, **asked)

    monkeypatch.setattr(StripeGateway, "refund", look)
    browser.post(ADD, said(paid, "1.00"))
    assert open_then == [False]
