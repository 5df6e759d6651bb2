"""200: many transactions in one request; each row has its own status, its own place and its own price."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.api.bodies import DRAINED, TRANSFER, VANISHED
from tests.cast import Api

Count = Callable[[Api], int]


def ask(api: Api, *transactions: Any, **more: Any) -> dict[str, Any]:
    answer = api.post("/v1/decisions/batch", {"schema": "paysim", "transactions": list(transactions), **more})
    assert answer.status_code == 200, answer.content
    return dict(answer.json())


def test_rows_are_answered_in_their_order(alice: Api) -> None:
    told = ask(alice, TRANSFER, DRAINED, VANISHED)
    assert [row["recommended_action"] for row in told["data"]] == ["approve", "block", "block"]
    assert (told["object"], told["total"], told["billed_units"]) == ("decision_batch", 3, 3)
    assert told["counts"] == {"new": 3, "duplicate": 0, "superseding": 0, "error": 0}


def test_a_batch_is_as_many_units_as_it_has_rows(alice: Api, counted: Count, stored: Count) -> None:
    ask(alice, *[TRANSFER] * 7)
    assert (counted(alice), stored(alice)) == (7, 7)


def test_a_wrong_row_spoils_no_other(alice: Api, counted: Count, stored: Count) -> None:
    told = ask(alice, TRANSFER, TRANSFER | {"amount": -1}, "text", {}, DRAINED)
    assert [row["status"] for row in told["data"]] == ["new", "error", "error", "error", "new"]
    assert [row["error"]["param"] for row in told["data"][1:4]] == [
        "transactions[1].amount",
        "transactions[2]",
        "transactions[3].amount",
    ]
    assert (told["billed_units"], counted(alice), stored(alice)) == (2, 2, 2)


def test_rows_that_are_all_wrong_cost_nothing(alice: Api, nothing_happened: Callable[[Api], bool]) -> None:
    assert ask(alice, {}, None, 1)["counts"]["error"] == 3
    assert nothing_happened(alice)


def test_every_row_can_be_read_alone(alice: Api) -> None:
    for row in ask(alice, TRANSFER, DRAINED)["data"]:
        assert alice.get(f"/v1/decisions/{row['id']}").json() == row


def test_rows_answer_as_single_requests_do(alice: Api, bob: Api) -> None:
    names = {"nameOrig": "C1", "nameDest": "C2"}
    rows = [TRANSFER | names, DRAINED | names, TRANSFER | names | {"step": 16}]
    together = [row["fraud_probability"] for row in ask(alice, *rows)["data"]]
    bodies = [{"schema": "paysim", "transaction": row} for row in rows]
    assert together == [bob.post("/v1/decisions", body).json()["fraud_probability"] for body in bodies]


def test_duplicates_and_new_facts_of_earlier_decisions(alice: Api, counted: Count) -> None:
    first = ask(alice, TRANSFER | {"transaction_id": "a"}, TRANSFER | {"transaction_id": "b"})["data"]
    again = ask(alice, TRANSFER | {"transaction_id": "a"}, DRAINED | {"transaction_id": "b"}, TRANSFER)
    assert again["counts"] == {"new": 1, "duplicate": 1, "superseding": 1, "error": 0}
    assert again["data"][0]["id"] == first[0]["id"]
    assert again["data"][1]["supersedes"] == first[1]["id"]
    assert (again["billed_units"], counted(alice)) == (2, 4)


def test_the_same_id_twice_in_one_batch_is_paid_once(alice: Api, counted: Count, stored: Count) -> None:
    told = ask(alice, TRANSFER | {"transaction_id": "a"}, TRANSFER | {"transaction_id": "a"})
    assert [row["status"] for row in told["data"]] == ["new", "duplicate"]
    assert (told["billed_units"], counted(alice), stored(alice)) == (1, 1, 1)


@pytest.mark.parametrize("mode", ["dry run", "test key"])
def test_what_is_never_billed_is_not_billed_in_batches(alice: Api, counted: Count, mode: str) -> None:
    told = ask(alice, TRANSFER, DRAINED, dry_run=True) if mode == "dry run" else ask(alice.in_test_mode(), TRANSFER)
    assert (told["billed_units"], counted(alice)) == (0, 0)


def test_a_thousand_rows(alice: Api, counted: Count, stored: Count) -> None:
    told = ask(alice, *[TRANSFER | {"amount": float(n), "transaction_id": f"t{n}"} for n in range(1_000)])
    assert [row["transaction_id"] for row in told["data"]] == [f"t{n}" for n in range(1_000)]
    assert (counted(alice), stored(alice)) == (1_000, 1_000)


def test_a_batch_is_one_request_of_the_rate_limit(alice: Api) -> None:
    before = int(alice.get("/v1/usage")["X-RateLimit-Remaining"])
    ask(alice, *[TRANSFER] * 100)
    assert int(alice.get("/v1/usage")["X-RateLimit-Remaining"]) >= before - 2


def test_a_batch_beyond_the_included_volume_is_refused_whole(
    bob: Api, use_up: Callable[[Api], None], stored: Count, valkey: Any, counted: Count
) -> None:
    use_up(bob)
    answer = bob.post("/v1/decisions/batch", {"schema": "paysim", "transactions": [TRANSFER, TRANSFER]})
    assert (answer.status_code, answer.json()["code"]) == (429, "quota_exceeded")
    assert (counted(bob), stored(bob)) == (10_000, 0)
