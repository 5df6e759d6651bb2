"""The API as its callers meet it: nothing is mocked, every test commits, and the recorder is the real one."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.utils import timezone

from apps.accounts.tenancy import in_tenant
from apps.api_keys.gate import Names
from apps.billing.rating.plans import current
from apps.billing.subscriptions.services import agree, plan_for
from apps.scoring.models import Decision
from apps.usage.admission.admission import period_of
from apps.usage.models import UsageEvent
from apps.valkey import Valkey
from tests.cast import Api, Cast
from tests.leftovers import Ground
from tests.live import serving
from tests.stripe_server import Stand

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(_HERE):
            item.add_marker(pytest.mark.django_db(transaction=True))


@pytest.fixture
def counted(valkey: Valkey) -> Callable[[Api], int]:
    """Units the gate has counted for a tenant this month."""

    def read(api: Api) -> int:
        return int(valkey.command("GET", Names(api.tenant.handle, True).quota(period_of(timezone.now()))) or 0)

    return read


@pytest.fixture
def stored(drain: Callable[[], int]) -> Callable[[Api], int]:
    """Decisions of a tenant in Postgres, once the recorder has emptied the journal."""

    def read(api: Api) -> int:
        drain()
        with in_tenant(api.tenant):
            return Decision.objects.count()

    return read


@pytest.fixture
def nothing_happened(stored: Callable[[Api], int], counted: Callable[[Api], int]) -> Callable[[Api], bool]:
    """Whether a tenant has neither a decision, nor a usage event, nor a counted unit."""

    def read(api: Api) -> bool:
        return (stored(api), counted(api), UsageEvent.objects.count()) == (0, 0, 0)

    return read


@pytest.fixture
def use_up(valkey: Valkey) -> Callable[[Api], None]:
    """Let a tenant's month be over: as many units counted as its plan includes."""

    def spend(api: Api) -> None:
        counter = Names(api.tenant.handle, True).quota(period_of(timezone.now()))
        valkey.command("SET", counter, plan_for(api.tenant.pk)[2])

    return spend


@pytest.fixture
def stranger(alice: Api) -> Api:
    """Somebody whom no limit stops. It is alice: a tenant's schema made and dropped costs more than most tests."""
    plan, now = current("enterprise").code, timezone.now()
    agree(tenant_id=alice.tenant.pk, plan_code=plan, rate_per_minute=50_000_000, included=10**9, now=now)
    return alice


@pytest.fixture
def flush_again(valkey: Valkey) -> Callable[[], None]:
    """Valkey loses its memory in the middle of a test."""
    return lambda: valkey.command("FLUSHDB")


@pytest.fixture(scope="session")
def live(cast: Cast) -> Iterator[str]:
    """A real server's address, over the same stores; it believes X-Forwarded-For, and its Stripe is the stand-in."""
    with Stand() as stand, serving(PALISADE_TRUSTED_PROXIES="127.0.0.1/32", STRIPE_API_BASE=stand.url) as address:
        Ground.keep()
        yield address
