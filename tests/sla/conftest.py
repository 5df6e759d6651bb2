"""A customer to whom an availability is promised, and the API as its process runs it."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.db import connection

from apps.accounts.models import Tenant
from apps.billing.subscriptions.services import sign_up
from apps.usage.metering import events
from apps.usage.metering.events import UsageEvent
from tests.cast import Api, Player, new_key
from tests.faces import as_the_api


@pytest.fixture
def dora(cast: Any) -> Player:
    """On the Enterprise plan since the month that is told of began."""
    tenant = sign_up(slug="dora", name="Dora", plan="enterprise", now=datetime.fromisoformat("2026-10-01T00:00:00Z"))
    return Player(tenant, *new_key(tenant), *new_key(tenant, livemode=False))


@pytest.fixture
def calls() -> Callable[..., Any]:
    """Call the API as a player: `calls(player, path)`."""

    def call(player: Player, path: str, **headers: str) -> Any:
        with as_the_api():
            return Api(player).get(path, **headers)

    return call


def served(tenant: Tenant, moments: list[datetime], **more: Any) -> None:
    """Requests that were answered and recorded, one at each moment."""
    made = [
        UsageEvent(
            f"dec_{tenant.pk}_{int(moment.timestamp() * 1_000_000)}_{more.get('endpoint', '')[:1]}", tenant.pk, 1,
            int(moment.timestamp() * 1_000_000), more.get("endpoint", "decisions"), "paysim",
            more.get("livemode", True), False, 1, 1_500, "127.0.0.1",
        )
        for moment in moments
    ]  # fmt: skip
    with connection.cursor() as cursor:
        events.record(cursor, made)
