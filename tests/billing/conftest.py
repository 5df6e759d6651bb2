"""Customers with a past: signed up, used and changed at times of their own."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
from django.db import connection, transaction

from apps.accounts.models import Tenant
from apps.billing.invoicing.invoices import Invoice
from apps.billing.subscriptions.services import sign_up
from apps.periods import Period
from apps.usage.closing.closing import close_period
from apps.usage.metering.events import UsageEvent, record

_numbers = count(1)
#: An event holds a smallint of units.
MOST_AN_EVENT = 30_000


def at(month: int, day: int = 1, hour: int = 0, minute: int = 0, *, year: int = 2026) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


def customer(plan: str = "basic", since: datetime | None = None, **agreed: Any) -> Tenant:
    """Signed up on 1 September 2026 unless said otherwise."""
    return sign_up(slug=f"customer-{next(_numbers)}", name="A customer", plan=plan, now=since or at(9), **agreed)


def event(tenant: Tenant, moment: datetime, units: int = 1, **more: Any) -> UsageEvent:
    facts = {
        "id": f"dec_{next(_numbers):020d}",
        "tenant_id": tenant.pk,
        "key_id": 1,
        "occurred_us": int(moment.timestamp() * 1_000_000),
        "endpoint": "decisions",
        "schema": "paysim",
        "livemode": True,
        "degraded": False,
        "units": units,
        "latency_us": 1_000,
        "address": "127.0.0.1",
    }
    return UsageEvent(**facts | more)


def store(events: Iterable[UsageEvent]) -> int:
    """Recorded as the recorder does it; those that were new."""
    with transaction.atomic(), connection.cursor() as cursor:
        return record(cursor, list(events))


def use(tenant: Tenant, moment: datetime, units: int, **more: Any) -> None:
    """`units` used at a moment."""
    whole, rest = divmod(units, MOST_AN_EVENT)
    store(event(tenant, moment, part, **more) for part in [MOST_AN_EVENT] * whole + [rest] * bool(rest))


def close(tenant: Tenant, month: int, now: datetime | None = None, *, year: int = 2026, again: bool = False) -> Any:
    """The tenant's month closed at its end (or at `now`): its invoice, or None."""
    period = Period(year, month)
    found = list(close_period(period, Tenant.objects.filter(pk=tenant.pk), now or period.end, again=again))
    return found[0] if found else None


@pytest.fixture
def amounts() -> Callable[[Invoice], list[tuple[str, str]]]:
    """(component, amount) of an invoice's lines."""

    def read(invoice: Invoice) -> list[tuple[str, str]]:
        return [(line.component, str(invoice.money(line.amount))) for line in invoice.lines.all()]

    return read
