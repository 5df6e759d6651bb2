"""A customer that was deleted at Stripe: no card to charge any more, and a new one as soon as a card is entered."""

from datetime import timedelta
from typing import Any

import pytest

from apps.accounts.models import Tenant
from apps.billing.collecting import payment_methods, provider_events
from apps.billing.collecting.gateway import GatewayError
from apps.billing.collecting.stripe_gateway import StripeGateway
from apps.billing.models import PaymentCard, ProviderEvent
from apps.billing.subscriptions.services import set_payment_method, subscription_of
from tests.billing.collecting.conftest import ISSUED, give_card
from tests.stripe_server import Stand

pytestmark = pytest.mark.django_db


def deleted(customer: str, gateway: StripeGateway, name: str = "evt_deleted") -> str:
    """The event, worked through; its outcome."""
    said: dict[str, Any] = {"id": customer, "object": "customer", "deleted": True}
    provider_events.keep({"id": name, "type": "customer.deleted", "created": 1, "data": {"object": said}}, ISSUED)
    provider_events.work_through(gateway, ISSUED)
    return ProviderEvent.objects.get(event_id=name).outcome


def test_a_deleted_customer_takes_its_cards_along(tenant: Tenant, gateway: StripeGateway, stand: Stand) -> None:
    give_card(tenant, gateway, stand)
    customer = subscription_of(tenant.pk).stripe_customer_id
    assert deleted(customer, gateway) == f"{tenant.slug} has no customer any more"
    known = subscription_of(tenant.pk)
    assert (known.has_payment_method, known.stripe_customer_id, known.stripe_payment_method_id) == (False, "", "")
    assert PaymentCard.objects.in_use(tenant.pk) is None
    assert deleted(customer, gateway, "evt_again") == "not a customer of ours"


def test_the_next_card_makes_a_new_customer(tenant: Tenant, gateway: StripeGateway, stand: Stand) -> None:
    give_card(tenant, gateway, stand)
    first = subscription_of(tenant.pk).stripe_customer_id
    deleted(first, gateway)
    for saved in stand.saved.values():  # a day later Stripe has forgotten the keys
        saved.at -= timedelta(hours=25).total_seconds()
    second = payment_methods.customer_of(tenant, gateway, ISSUED)
    assert second and second != first
    assert subscription_of(tenant.pk).stripe_customer_id == second


def test_bank_transfer_as_agreed_stays(tenant: Tenant, gateway: StripeGateway) -> None:
    customer = payment_methods.customer_of(tenant, gateway, ISSUED)
    set_payment_method(tenant_id=tenant.pk, ready=True, label="bank transfer", now=ISSUED)
    deleted(customer, gateway)
    known = subscription_of(tenant.pk)
    assert (known.has_payment_method, known.payment_method_label) == (True, "bank transfer")


def test_a_strangers_customer_is_nobodys(tenant: Tenant, gateway: StripeGateway, stand: Stand) -> None:
    give_card(tenant, gateway, stand)
    assert deleted("cus_stranger", gateway) == "not a customer of ours"
    assert PaymentCard.objects.in_use(tenant.pk) is not None


def test_a_removed_tenant_is_forgotten_at_the_provider_once_and_for_good(
    tenant: Tenant, gateway: StripeGateway, stand: Stand
) -> None:
    give_card(tenant, gateway, stand)
    customer = subscription_of(tenant.pk).stripe_customer_id
    assert customer in stand.ledger.objects
    for _ in range(2):
        payment_methods.remove_customer(tenant, gateway, ISSUED)
        gateway.delete_customer(customer=customer)  # harmless when repeated
    known = subscription_of(tenant.pk)
    assert customer not in stand.ledger.objects
    assert (known.stripe_customer_id, known.has_payment_method) == ("", False)
    assert not [one for one in stand.ledger.objects.values() if one.get("customer") == customer]


def test_a_provider_that_does_not_answer_is_asked_again(tenant: Tenant, gateway: StripeGateway, stand: Stand) -> None:
    give_card(tenant, gateway, stand)
    stand.trouble("DELETE /v1/customers/*", "503")
    with pytest.raises(GatewayError):
        payment_methods.remove_customer(tenant, gateway, ISSUED)
    assert subscription_of(tenant.pk).stripe_customer_id
