"""The running service, its stand-in for Stripe, and a customer who may call everything."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from apps.billing.models import Coupon
from tests.cast import Api, Cast, enter
from tests.clients.calls import Operation, operations
from tests.leftovers import Ground
from tests.live import serving
from tests.stripe_server import Stand

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(_HERE):
            item.add_marker(pytest.mark.django_db(transaction=True))


@pytest.fixture(scope="session")
def stand() -> Iterator[Stand]:
    with Stand() as stand:
        yield stand


@pytest.fixture(scope="session")
def service(cast: Cast, stand: Stand) -> Iterator[str]:
    """The address of a real server, over the suite's own stores."""
    stripe = {"STRIPE_API_KEY": stand.api_key, "STRIPE_WEBHOOK_SECRET": stand.webhook_secret}
    with serving(STRIPE_API_BASE=stand.url, **stripe) as address:
        Ground.keep()
        yield address


@pytest.fixture
def customer() -> Api:
    """A tenant with room for every call, and a coupon it may redeem."""
    Coupon.objects.create(code="WELCOME", percent=Decimal(10))
    return Api(enter("clients", "enterprise", rate_per_minute=50_000_000, included=10**9))


@pytest.fixture
def every_operation(customer: Api, stand: Stand, drain: Callable[[], int]) -> list[Operation]:
    return operations(customer, stand, drain)
