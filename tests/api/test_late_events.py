"""Payments that come late, long after or before their time: what is recent stays recent, whatever comes in between."""

import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bench.transactions import card_activity, transaction
from tests.cast import Api, enter

A_BATCH = 260  # more than are looked at


@pytest.fixture
def now() -> datetime:
    """When the test begins: a suite runs long after it was imported."""
    return datetime.now(UTC)


@pytest.fixture
def busy() -> Api:
    return Api(enter("late", "enterprise", rate_per_minute=1_000_000, included=1_000_000))


def _payment(number: int, at: datetime | None = None, **changed: Any) -> dict[str, Any]:
    said = {
        "transaction_id": f"p-{number}", "amount": 900, "user_id": "U-1", "merchant_id": f"M-{number % 7}",
        "merchant_category": "shopping",
    }  # fmt: skip
    return said | ({"timestamp": at.isoformat()} if at else {}) | changed


def _send(api: Api, rows: Iterable[dict[str, Any]], schema: str = "payments") -> list[dict[str, Any]]:
    answer = api.post("/v1/decisions/batch", {"schema": schema, "transactions": list(rows)})
    assert answer.status_code == 200
    return answer.json()["data"]


def _count(api: Api, decision: dict[str, Any], feature: str = "count_1h") -> Any:
    told = api.get(f"/v1/decisions/{decision['id']}/explanation").json()
    return next(one["value"] for one in told["contributions"] if one["feature"] == feature)


@pytest.mark.parametrize("away", [timedelta(days=-150), timedelta(days=-8), timedelta(hours=-2), timedelta(minutes=5),
                                  timedelta(hours=1), timedelta(days=1), timedelta(days=400)])  # fmt: skip
def test_a_batch_dated_elsewhere_leaves_the_present_hour_as_it_is(busy: Api, away: timedelta, now: datetime) -> None:
    for number in range(12):
        busy.post("/v1/decisions", {"schema": "payments", "transaction": _payment(number)})
    elsewhere = [_payment(100 + n, now + away + timedelta(seconds=n), amount=20) for n in range(A_BATCH)]
    _send(busy, elsewhere)
    last = busy.post("/v1/decisions", {"schema": "payments", "transaction": _payment(12)}).json()
    assert _count(busy, last) == 12
    assert last["recommended_action"] == "block"


def test_the_order_of_arrival_is_the_same_to_the_counts(busy: Api, now: datetime) -> None:
    chance, hours = random.Random(3), timedelta(hours=1)
    rows = [_payment(n, now - chance.random() * 24 * hours, amount=n + 1) for n in range(150)]
    rows += [_payment(n, now - chance.random() * 2000 * hours, amount=n + 1) for n in range(150, 300)]
    told = []
    for user in ("U-1", "U-2", "U-3"):
        of_user = [row | {"user_id": user, "transaction_id": f"{user}-{row['transaction_id']}"} for row in rows]
        _send(busy, of_user)
        last = _payment(999, now, user_id=user, transaction_id=f"{user}-last")
        answer = busy.post("/v1/decisions", {"schema": "payments", "transaction": last}).json()
        told.append(busy.get(f"/v1/decisions/{answer['id']}/explanation").json()["contributions"])
        rows = rows[::-1] if user == "U-1" else chance.sample(rows, len(rows))
    assert told[0] == told[1] == told[2]


def test_the_same_payment_again_counts_once_and_changes_nothing(busy: Api) -> None:
    """Also without a time of its own: it stays where it was."""
    whole = [_payment(n) for n in range(12)]
    for row in whole:
        busy.post("/v1/decisions", {"schema": "payments", "transaction": row})
    for _ in range(25):
        assert {one["status"] for one in _send(busy, whole)} == {"duplicate"}
    assert _count(busy, _send(busy, [_payment(12)])[0]) == 12


def test_new_facts_of_a_payment_take_the_place_of_the_old_ones(busy: Api, now: datetime) -> None:
    _send(busy, [_payment(n, now - timedelta(minutes=5)) for n in range(12)])
    (corrected,) = _send(busy, [_payment(3, now - timedelta(days=2))])
    last = _send(busy, [_payment(12, now)])[0]
    assert corrected["status"] == "superseding"
    assert (_count(busy, last), _count(busy, last, "known_events")) == (11, 1)


def test_the_rows_of_a_batch_see_those_before_them_by_their_time(busy: Api, now: datetime) -> None:
    minutes = (0, -10, -20, 0, 600, -5)
    told = _send(busy, [_payment(n, now + timedelta(minutes=at)) for n, at in enumerate(minutes)])
    assert [_count(busy, one) for one in told] == [0, 0, 0, 3, 0, 2]


@pytest.mark.parametrize("step", [100, 700])
def test_a_log_that_counts_from_a_start_of_its_own_is_kept_by_its_steps(busy: Api, step: int) -> None:
    said = transaction(random.Random(1)) | {"nameOrig": "C-busy", "nameDest": "C-many", "step": 400}
    _send(busy, [said] * 12, "paysim")
    _send(busy, [said | {"step": step}] * A_BATCH, "paysim")
    last = _send(busy, [said], "paysim")[0]
    assert (_count(busy, last, "orig_count_1h"), _count(busy, last, "dest_count_1h")) == (12, 12)


@pytest.mark.parametrize("away", [timedelta(days=-100), timedelta(days=300)])
def test_devices_too_keep_what_is_recent(busy: Api, away: timedelta, now: datetime) -> None:
    said = card_activity(random.Random(1)) | {"User_ID": 5, "Device_ID": 6}
    here, there = now.isoformat(), (now + away).isoformat()
    _send(busy, [said | {"Timestamp": here}] * 12, "card_activity")
    _send(busy, [said | {"Timestamp": there}] * A_BATCH, "card_activity")
    last = _send(busy, [said | {"Timestamp": here}], "card_activity")[0]
    assert (_count(busy, last, "user_count_1h"), _count(busy, last, "device_count_1h")) == (12, 12)
