"""A Stripe to pay at, a tenant with a card, invoices to collect."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from apps.accounts.models import Tenant
from apps.billing.collecting import payment_methods, provider_events
from apps.billing.collecting.payment_state import Card, chosen
from apps.billing.collecting.stripe_gateway import StripeGateway
from apps.billing.invoicing import invoices
from apps.billing.models import Invoice
from tests.cast import Cast
from tests.pace import within
from tests.stripe_server import Stand

#: When the invoices of these tests are issued.
ISSUED = datetime(2026, 12, 1, tzinfo=UTC)


@pytest.fixture
def stand() -> Iterator[Stand]:
    with Stand(hang_seconds=within(0.7)) as stand:
        yield stand
    assert stand.complaints == []


@pytest.fixture
def gateway(stand: Stand, settings: Any) -> StripeGateway:
    """The gateway, which is also the installation's."""
    settings.STRIPE_API_KEY, settings.STRIPE_WEBHOOK_SECRET = stand.api_key, stand.webhook_secret
    settings.STRIPE_API_BASE, settings.STRIPE_TIMEOUT = stand.url, within(0.5)
    return StripeGateway(
        api_key=stand.api_key, webhook_secret=stand.webhook_secret, base=stand.url, timeout=within(0.5)
    )


@pytest.fixture
def tenant(cast: Cast, db: None) -> Tenant:
    return cast.bob.tenant


def give_card(tenant: Tenant, gateway: StripeGateway, stand: Stand, card: str = "pm_card_visa", at: int = 1) -> str:
    """The tenant enters a card, and we have heard of it; its id at Stripe."""
    customer = payment_methods.customer_of(tenant, gateway, ISSUED)
    made = str(stand.ledger.attach(card, {"customer": customer})["id"])
    payment_methods.learn_card(tenant, customer, chosen(Card(made, "visa", "4242", "2034-12"), at), ISSUED)
    return made


def bill(tenant: Tenant, amount: str = "99.00", now: datetime = ISSUED) -> Invoice:
    """An issued invoice."""
    draft = invoices.draft_invoice(
        tenant=tenant,
        description="Something",
        amount=Decimal(amount),
        start=now,
        end=now.replace(hour=1),
        now=now,
    )
    invoices.issue([draft], now)
    return draft


@pytest.fixture
def deliver(stand: Stand, gateway: StripeGateway) -> Callable[..., int]:
    """Let Stripe's webhooks arrive, from event `start` on, and work through them; how many were done."""

    def run(start: int = 0, now: datetime = ISSUED) -> int:
        for event in stand.ledger.events[start:]:
            provider_events.keep(event, now)
        return provider_events.work_through(gateway, now)

    return run
