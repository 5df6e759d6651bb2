"""200: what was used. Live units against the plan; tests, replays and refusals are no usage."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from tests.api.bodies import HONEST, TRANSFER, asking
from tests.cast import Api
from tests.factories import UsageDayFactory

Drain = Callable[[], int]


def test_a_month_without_calls(charlie: Api) -> None:
    told = charlie.get("/v1/usage").json()
    assert (told["plan"], told["included"], told["used"], told["remaining"]) == ("free-2026-11", 1_000, 0, 1_000)
    assert (told["rate_per_minute"], told["average_response_ms"], told["by_endpoint"]) == (10, None, [])


def test_usage_counts_what_was_billed(alice: Api, drain: Drain) -> None:
    named = asking(TRANSFER | {"transaction_id": "a"})
    for body in (HONEST, named, named, asking(dry_run=True), asking(TRANSFER | {"amount": -1})):
        alice.post("/v1/decisions", body)
    alice.post("/predict", {"payload": TRANSFER})
    alice.post("/v1/decisions/batch", {"schema": "paysim", "transactions": [TRANSFER] * 3})
    alice.in_test_mode().post("/v1/decisions", HONEST)
    drain()
    told = alice.get("/v1/usage").json()
    assert (told["used"], told["decisions"], told["test_decisions"], told["degraded"]) == (6, 6, 1, 0)
    assert told["remaining"] == 50_000 - 6
    assert told["average_response_ms"] > 0
    assert told["by_endpoint"] == [
        {"endpoint": "decisions", "units": 2, "decisions": 2},
        {"endpoint": "decisions_batch", "units": 3, "decisions": 3},
        {"endpoint": "predict", "units": 1, "decisions": 1},
    ]
    assert told["by_key"] == [{"key_id": alice.player.live.pk, "units": 6, "decisions": 6}] if alice.player else False


def test_period_is_this_month_utc(alice: Api) -> None:
    start = datetime.now(UTC).date().replace(day=1)
    assert alice.get("/v1/usage").json()["period"]["start"] == start.isoformat()


def test_last_month_is_not_this_month(alice: Api) -> None:
    day = datetime.now(UTC).date().replace(day=1) - timedelta(days=1)
    UsageDayFactory(tenant_id=alice.tenant.pk, day=day)
    assert alice.get("/v1/usage").json()["used"] == 0


def test_days_are_listed_oldest_first_and_empty_ones_left_out(alice: Api, drain: Drain) -> None:
    today = datetime.now(UTC).date()
    for ago in (3, 1):
        UsageDayFactory(tenant_id=alice.tenant.pk, day=today - timedelta(days=ago), decisions=ago * 10)
    alice.post("/v1/decisions", HONEST)
    drain()
    data = alice.get("/v1/usage/daily").json()["data"]
    assert [row["units"] for row in data] == [30, 10, 1]
    assert data[-1]["date"] == today.isoformat()


@pytest.mark.parametrize(("query", "units"), [("?start={0}&end={1}", [20]), ("?end={0}", [30]), ("?start={1}", [])])
def test_the_end_is_not_in_the_span(alice: Api, query: str, units: list[int]) -> None:
    day = datetime.now(UTC).date() - timedelta(days=10)
    UsageDayFactory(tenant_id=alice.tenant.pk, day=day, decisions=20)
    UsageDayFactory(tenant_id=alice.tenant.pk, day=day - timedelta(days=1), decisions=30)
    found = alice.get("/v1/usage/daily" + query.format(day, day + timedelta(days=1))).json()
    assert [row["units"] for row in found["data"]] == units
