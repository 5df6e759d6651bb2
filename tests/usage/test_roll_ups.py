"""What events add to the roll-ups is what Postgres would add up of the rows they become."""

import random
from datetime import UTC, datetime

import pytest
from django.db import connection

from apps.usage.metering import events
from apps.usage.metering.events import UsageEvent, step_of

#: Roll-up → what it must hold, of the events' own table.
EXPECTED = {
    "usage_usagehour (tenant_id, hour, key_id, endpoint, schema, livemode, decisions, units, degraded, latency_us)": """
        SELECT tenant_id, date_trunc('hour', occurred_at, 'UTC'), key_id, endpoint, schema, livemode,
               sum(decisions), sum(units), coalesce(sum(decisions) FILTER (WHERE degraded), 0),
               sum(latency_us::bigint * decisions)
        FROM usage_usageevent GROUP BY 1, 2, 3, 4, 5, 6
    """,
    "usage_usageday (tenant_id, day, endpoint, livemode, decisions, units, degraded)": """
        SELECT tenant_id, (occurred_at AT TIME ZONE 'UTC')::date, endpoint, livemode,
               sum(decisions), sum(units), coalesce(sum(decisions) FILTER (WHERE degraded), 0)
        FROM usage_usageevent GROUP BY 1, 2, 3, 4
    """,
    "usage_latencyhour (tenant_id, hour, livemode, step, decisions)": """
        SELECT tenant_id, date_trunc('hour', occurred_at, 'UTC'), livemode,
               floor(4 * ln(greatest(latency_us, 1)::float8) / ln(2::float8)), sum(decisions)
        FROM usage_usageevent GROUP BY 1, 2, 3, 4
    """,
}
BEGIN_US = int(datetime(2026, 1, 31, 22, 30, tzinfo=UTC).timestamp()) * 1_000_000
pytestmark = pytest.mark.django_db


def made(count: int, chance: random.Random) -> list[UsageEvent]:
    """Events of two tenants, over midnight."""
    return [
        UsageEvent(
            id=f"dec_{number:028d}",
            tenant_id=chance.choice((1, 2)),
            key_id=chance.choice((10, 11)),
            occurred_us=BEGIN_US + chance.randrange(3 * 3_600_000_000),
            endpoint=chance.choice(("decisions", events.BATCHES)),
            schema=chance.choice(("paysim", "payments")),
            livemode=chance.random() < 0.7,
            degraded=chance.random() < 0.2,
            units=chance.randrange(3),
            latency_us=chance.choice((0, 1, 2, 1_024, chance.randrange(2**31))),
            address="192.0.2.1",
            decisions=chance.choice((1, 1, 5_000)),
        )
        for number in range(count)
    ]


def test_roll_ups_are_the_events_added_up_however_they_came() -> None:
    all_of_them = made(300, random.Random(7))
    with connection.cursor() as cursor:
        straight = events.prepare(all_of_them[:100])
        events.copy(cursor, straight)
        events.add(cursor, straight)
        twice = [*all_of_them[50:], *all_of_them[250:]]
        assert [events.record(cursor, part) for part in (twice, twice, [])] == [200, 0, 0]
        for roll_up, expected in EXPECTED.items():
            table, columns = roll_up.split(" ", 1)
            cursor.execute(f"SELECT {columns.strip('()')} FROM {table}")
            held = sorted(cursor.fetchall())
            cursor.execute(expected)
            assert held == sorted(cursor.fetchall()) and held


@pytest.mark.parametrize("us", [0, 1, 2, 3, 7, 8, 9, 1_023, 1_024, 1_448, 2**20, 2**31 - 1])
def test_step_holds_its_latency(us: int) -> None:
    step = step_of(us)
    assert 2 ** (step / 4) <= max(us, 1) * (1 + 1e-12) and us < 2 ** ((step + 1) / 4) * (1 + 1e-12)
