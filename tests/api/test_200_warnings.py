"""What is noticed and lived with is told in `warnings`."""

from typing import Any

import pytest

from apps.scoring.serving.rehearsal import EXAMPLES
from tests.api.bodies import TRANSFER, asking
from tests.cast import Api

PAYMENT = {"amount": 20, "user_id": "u", "merchant_id": "m", "merchant_category": "grocery"}
IGNORED = "Unknown fields of the request were ignored: {}."


def test_a_misspelt_field_beside_the_transaction_is_told(alice: Api) -> None:
    told = alice.post("/v1/decisions", asking(TRANSFER | {"colour": "red"}, dryrun=True)).json()
    assert told["billed_units"] == 1
    assert told["warnings"] == [IGNORED.format("dryrun"), "Unknown fields were ignored: colour."]


def test_many_are_named_briefly(alice: Api) -> None:
    more: dict[str, Any] = {f"x{i}" * 30: i for i in range(7)}
    told = alice.post("/v1/decisions", asking(**more)).json()
    (warning,) = told["warnings"]
    assert warning.endswith(" and 2 more.") and len(warning) < 300


def test_each_row_of_a_batch_tells_it(alice: Api) -> None:
    rows = [TRANSFER, TRANSFER | {"amount": 1}]
    told = alice.post("/v1/decisions/batch", {"schema": "paysim", "transactions": rows, "modle": "xgboost"}).json()
    assert [row["warnings"] for row in told["data"]] == [[IGNORED.format("modle")]] * 2


def test_right_fields_give_no_warning(alice: Api) -> None:
    assert alice.post("/v1/decisions", asking(dry_run=True, model="xgboost")).json()["warnings"] == []


@pytest.mark.parametrize(
    ("time", "far"),
    [
        ("9999-12-31T00:00:00Z", "more than a day ahead (9999-12-31)"),
        ("1700-12-31T00:00:00Z", "more than ten years ago (1700-12-31)"),
    ],
)
def test_a_time_far_off_is_scored_and_told(alice: Api, time: str, far: str) -> None:
    body = {"schema": "payments", "transaction": PAYMENT | {"timestamp": time}}
    answer = alice.post("/v1/decisions", body)
    (warning,) = answer.json()["warnings"]
    assert answer.status_code == 200
    assert warning.startswith(f"timestamp is {far}")


@pytest.mark.parametrize("time", [None, "2024-01-15T10:30:00Z"])
def test_a_time_that_may_well_be_is_not_remarked_on(alice: Api, time: str | None) -> None:
    body = {"schema": "payments", "transaction": PAYMENT | ({"timestamp": time} if time else {})}
    assert alice.post("/v1/decisions", body).json()["warnings"] == []


@pytest.mark.parametrize(
    ("currency", "told"), [("XQX", True), ("us$", True), ("USD", False), ("usd", False), ("", False)]
)
def test_a_currency_nobody_knows_is_told(alice: Api, currency: str, told: bool) -> None:
    body = {"schema": "payments", "transaction": PAYMENT | {"currency": currency}}
    warnings = alice.post("/v1/decisions", body).json()["warnings"]
    assert bool([warning for warning in warnings if warning.startswith(f"Unknown currency '{currency}'")]) == told


@pytest.mark.parametrize(("day", "month", "told"), [(30, 2, True), (31, 4, True), (29, 2, False), (31, 12, False)])
def test_a_day_that_no_year_has_is_told(alice: Api, day: int, month: int, told: bool) -> None:
    example = dict(EXAMPLES["card_activity"]) | {"Transaction_Day": day, "Transaction_Month": month}
    warnings = alice.post("/v1/decisions", {"schema": "card_activity", "transaction": example}).json()["warnings"]
    assert (
        bool([warning for warning in warnings if warning.startswith(f"Transaction_Day is {day}, but month {month}")])
        == told
    )
