"""200: what was used. Live units against the plan; tests, replays and refusals are no usage."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from apps.api_keys.gate import Names
from apps.billing.models import Subscription
from apps.billing.subscriptions.services import set_payment_method, sign_up
from apps.periods import Period
from apps.usage.admission.admission import period_of
from apps.usage.statements.budgets import notify_reached
from apps.valkey import Valkey
from tests.api.bodies import HONEST, TRANSFER, asking
from tests.cast import Api, Cast, Player, new_key
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
        {"endpoint": "decisions", "units": 2, "decisions": 2, "cost": "0.00"},
        {"endpoint": "decisions_batch", "units": 3, "decisions": 3, "cost": "0.00"},
        {"endpoint": "predict", "units": 1, "decisions": 1, "cost": "0.00"},
    ]
    assert alice.player is not None
    assert told["by_key"] == [{"key_id": alice.player.live.pk, "units": 6, "decisions": 6, "cost": "0.00"}]


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


# --- what it costs ---


@pytest.fixture
def paying(cast: Cast) -> Api:
    """On Basic (99 a month, 10,000 included, then 0.008) for four months, with a payment method."""
    now = datetime.now(UTC)
    tenant = sign_up(slug="paula", name="Paula & Co.", plan="basic", now=now - timedelta(days=130))
    set_payment_method(tenant_id=tenant.pk, ready=True, now=now)
    return Api(Player(tenant, *new_key(tenant), *new_key(tenant, livemode=False)))


def test_cost_of_the_month_so_far(paying: Api) -> None:
    today = datetime.now(UTC).date()
    UsageDayFactory(tenant_id=paying.tenant.pk, day=today, decisions=10_001)
    UsageDayFactory(tenant_id=paying.tenant.pk, day=today, endpoint="predict", decisions=9_999)
    told = paying.get("/v1/usage").json()
    assert (told["fee"], told["overage_cost"], told["cost_to_date"]) == ("99.00", "80.00", "179.00")
    assert [(row["endpoint"], row["cost"]) for row in told["by_endpoint"]] == [
        ("decisions", "40.00"),
        ("predict", "40.00"),
    ]
    assert told["month_estimate"]["method"] == "linear"
    assert told["month_estimate"]["units"] >= 20_000
    assert Decimal(told["month_estimate"]["cost"]) >= Decimal("179.00")


def test_cost_by_day_is_what_the_day_added(paying: Api) -> None:
    last_month = datetime.now(UTC).date().replace(day=1) - timedelta(days=1)
    for ago, units in ((2, 9_000), (1, 2_000), (0, 1_000)):
        UsageDayFactory(tenant_id=paying.tenant.pk, day=last_month - timedelta(days=ago), decisions=units)
    query = f"?start={last_month - timedelta(days=1)}&end={last_month + timedelta(days=1)}"
    data = paying.get(f"/v1/usage/daily{query}").json()["data"]
    assert [(row["units"], row["cost"]) for row in data] == [(2_000, "8.00"), (1_000, "8.00")]


def test_cheapest_plan_says_what_would_have_been_saved(paying: Api) -> None:
    this = Period.of(datetime.now(UTC))
    for back in (1, 2, 3):
        UsageDayFactory(tenant_id=paying.tenant.pk, day=this.later(-back).start.date(), decisions=2_000)
    told = paying.get("/v1/usage").json()["cheapest_plan"]
    assert (told["units"], told["cost"], told["plan"], told["saving"]) == (6_000, "297.00", "free", "267.00")
    assert told["text"] == "You would have paid 267.00 USD less on Free."
    assert len(told["months"]) == 3


def test_newcomer_is_compared_with_nothing(alice: Api) -> None:
    assert alice.get("/v1/usage").json()["cheapest_plan"] is None


# --- the Commercial interface ---


def test_account_usage_counts_answered_and_refused(alice: Api, drain: Drain) -> None:
    for body in (HONEST, HONEST, asking(TRANSFER | {"amount": -1}), {}):
        alice.post("/v1/decisions", body)
    alice.in_test_mode().post("/v1/decisions", {})
    alice.get("/v1/decisions?limit=0")
    alice.with_key("pk_live_wrong").post("/v1/decisions", HONEST)
    drain()
    told = alice.get("/account/usage").json()
    assert (told["total_requests"], told["successful_requests"], told["success_rate"]) == (4, 2, 50.0)
    assert (told["included"], told["remaining"], told["currency"]) == (50_000, 49_998, "USD")
    assert told["by_endpoint"] == {"decisions": 2}
    assert 0 < told["cost_to_date"] <= told["estimated_month_cost"]
    assert told["period"] == f"{datetime.now(UTC):%Y-%m}"


@pytest.mark.parametrize(
    ("how", "remaining"),
    [
        ({}, 9_980),  # a payment method and no end: what is left of the included ones
        ({"status": "limited"}, 980),
        ({"has_payment_method": False}, 9_980),
        ({"spend_cap": Decimal("107.00")}, 10_980),  # 1,000 beyond the included ones, at 0.008
    ],
)
def test_remaining_is_what_the_gate_still_allows(paying: Api, how: dict[str, Any], remaining: int) -> None:
    Subscription.objects.filter(tenant=paying.tenant).update(**how)
    UsageDayFactory(tenant_id=paying.tenant.pk, day=datetime.now(UTC).date(), decisions=20)
    for told in (paying.get("/v1/usage").json(), paying.get("/account/usage").json()):
        assert (told["included"], told["remaining"]) == (10_000, remaining)


def test_account_usage_without_calls(charlie: Api) -> None:
    told = charlie.get("/account/usage").json()
    assert (told["total_requests"], told["success_rate"], told["cost_to_date"]) == (0, 100.0, 0.0)


def test_account_usage_refuses_in_its_own_form(charlie: Api) -> None:
    answer = charlie.with_key("pk_live_wrong").get("/account/usage")
    assert (answer.status_code, list(answer.json())) == (401, ["detail"])


# --- budgets ---


def test_budget_is_read_and_changed(paying: Api) -> None:
    assert paying.get("/v1/budgets").json()["thresholds"] == [80, 100]
    told = paying.post("/v1/budgets", {"spend_cap": "150.5", "thresholds": [90, 50]}).json()
    assert (told["spend_cap"], told["thresholds"], told["currency"]) == ("150.50", [50, 90], "USD")
    assert [one["budget"] for one in told["standings"]] == ["included", "spend_cap"]
    assert paying.post("/v1/budgets", {"spend_cap": None}).json()["spend_cap"] is None
    assert paying.get("/v1/budgets").json()["thresholds"] == [50, 90]


def test_cap_holds_from_the_next_request_on(paying: Api, valkey: Valkey) -> None:
    UsageDayFactory(tenant_id=paying.tenant.pk, decisions=10_000)
    valkey.command("DEL", Names(paying.tenant.handle, True).quota(period_of(datetime.now(UTC))))  # counted anew
    assert paying.post("/v1/decisions", HONEST).status_code == 200
    paying.post("/v1/budgets", {"spend_cap": "99.00"})
    assert paying.post("/v1/decisions", HONEST).json()["code"] == "quota_exceeded"
    paying.post("/v1/budgets", {"spend_cap": "200.00"})
    assert paying.post("/v1/decisions", HONEST).status_code == 200


def test_alerts_of_the_month_are_listed(charlie: Api) -> None:
    UsageDayFactory(tenant_id=charlie.tenant.pk, decisions=850)
    notify_reached(datetime.now(UTC))
    (alert,) = charlie.get("/v1/budgets").json()["alerts"]
    assert (alert["budget"], alert["threshold"]) == ("included", 80)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"spend_cap": "-1"}, "spend_cap"), ({"spend_cap": 5}, "spend_cap"), ({"spend_cap": "1.005"}, "spend_cap"),
        ({"spend_cap": "1e9"}, "spend_cap"), ({"thresholds": [0]}, "thresholds[0]"),
        ({"thresholds": [101]}, "thresholds[0]"),
        ({"thresholds": [80] * 11}, "thresholds"), ({"budget": 1}, "budget"),
    ],
)  # fmt: skip
def test_budget_that_can_not_be(charlie: Api, body: dict[str, Any], param: str) -> None:
    answer = charlie.post("/v1/budgets", body)
    assert (answer.status_code, answer.json()["code"], answer.json()["param"]) == (422, "field_invalid", param)


def test_changing_a_budget_takes_admin(cast: Cast) -> None:
    reader = Api(cast.bob, new_key(cast.bob.tenant, scopes=("read",))[1])
    assert reader.get("/v1/budgets").status_code == 200
    assert reader.post("/v1/budgets", {}).json()["required_scope"] == "admin"
