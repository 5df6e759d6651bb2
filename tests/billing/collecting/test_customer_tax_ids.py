"""A customer's tax id at the provider follows the billing details, and the page says what the tax office said."""

from collections.abc import Callable

import pytest

from apps.accounts.models import Tenant
from apps.billing import tasks
from apps.billing.collecting import customer_tax_ids, payment_methods
from apps.billing.collecting.customer_tax_ids import tell_due
from apps.billing.collecting.stripe_gateway import StripeGateway
from apps.billing.models import Subscription
from apps.billing.subscriptions.services import BillingDetails, set_billing_details, subscription_of
from tests.billing.collecting.conftest import ISSUED
from tests.stripe_server import Stand

pytestmark = pytest.mark.django_db
GERMAN, AUSTRIAN, SWISS = ("DE", "DE136695976"), ("AT", "ATU13585627"), ("CH", "CHE100155212MWST")


def set_number(tenant: Tenant, country: str, tax_id: str) -> None:
    details = BillingDetails("Bob GmbH", "Ring 1", country, tax_id, "bills@example.com")
    set_billing_details(tenant_id=tenant.pk, details=details, now=ISSUED, actor="ann")


def at_stripe(stand: Stand) -> list[tuple[str, str]]:
    return [(one["type"], one["value"]) for one in stand.ledger.all("tax_id")]


@pytest.fixture
def customer(tenant: Tenant, gateway: StripeGateway) -> str:
    return payment_methods.customer_of(tenant, gateway, ISSUED)


def test_every_change_of_a_number_is_told(tenant: Tenant, gateway: StripeGateway, stand: Stand, customer: str) -> None:
    steps = (
        (GERMAN, [("eu_vat", "DE136695976")]),
        (AUSTRIAN, [("eu_vat", "ATU13585627")]),
        (SWISS, [("ch_vat", "CHE-100.155.212 MWST")]),
        (("AQ", "12-3456789"), []),  # a country the provider has no kind for
        (GERMAN, [("eu_vat", "DE136695976")]),  # what was removed may come again
        (("DE", ""), []),
    )
    for number, expected in steps:
        set_number(tenant, *number)
        assert tell_due(gateway) == 1
        assert at_stripe(stand) == expected, number
        assert tell_due(gateway) == 0  # until it changes


def test_a_number_waits_for_its_customer(tenant: Tenant, gateway: StripeGateway, stand: Stand) -> None:
    set_number(tenant, *GERMAN)
    assert tasks.tell_tax_ids() == 0
    first = payment_methods.customer_of(tenant, gateway, ISSUED)
    assert tasks.tell_tax_ids() == 1
    payment_methods.forget_customer(first, ISSUED)
    assert subscription_of(tenant.pk).told_tax_id == ""  # the next customer is told anew


@pytest.mark.parametrize("fault", ["503", "500_before", "500_after", "drop_after"])
def test_without_an_answer_it_is_told_again_and_stands_there_once(
    tenant: Tenant, gateway: StripeGateway, stand: Stand, customer: str, fault: str
) -> None:
    set_number(tenant, *GERMAN)
    stand.trouble("POST /v1/customers/*/tax_ids", fault)  # type: ignore[arg-type]
    assert tell_due(gateway) == 0
    assert tell_due(gateway) == 1
    assert at_stripe(stand) == [("eu_vat", "DE136695976")]


def test_what_the_tax_office_says_is_known_in_any_order(
    tenant: Tenant, gateway: StripeGateway, stand: Stand, customer: str, deliver: Callable[..., int]
) -> None:
    set_number(tenant, *GERMAN)
    tell_due(gateway)
    assert subscription_of(tenant.pk).tax_id_state == "pending"
    [made] = stand.ledger.all("tax_id")
    stand.ledger.verify_tax_id(made["id"], "verified")
    stand.ledger.events.reverse()
    deliver()
    assert subscription_of(tenant.pk).tax_id_state == "verified"
    set_number(tenant, *AUSTRIAN)  # what is known of the old number says nothing of the new one
    tell_due(gateway)
    assert subscription_of(tenant.pk).tax_id_state == "pending"
    assert customer_tax_ids.learn(made) == "not the tax id in use"


def test_what_the_provider_refuses_is_told_to_the_customer_and_not_repeated(
    tenant: Tenant, gateway: StripeGateway, stand: Stand, customer: str
) -> None:
    Subscription.objects.filter(tenant=tenant).update(country="DE", tax_id="DE1")  # of before numbers were checked
    assert (tell_due(gateway), tell_due(gateway)) == (1, 0)
    assert at_stripe(stand) == []
    assert "does not take this number" in customer_tax_ids.SAID[subscription_of(tenant.pk).tax_id_state]
