"""200 and 201: transactions are validated, scored and stored; the quality of their data is told and added up."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.accounts.tenancy import in_tenant
from apps.ingest.models import QualityDay
from apps.scoring.models import Decision
from tests.api.bodies import TRANSFER
from tests.cast import Api

PAYMENT: dict[str, Any] = {
    "transaction_id": "t1", "step": 1, "type": "PAYMENT", "amount": 1000.0, "nameOrig": "C1", "oldbalanceOrg": 5000.0,
    "newbalanceOrig": 4000.0, "nameDest": "M9", "oldbalanceDest": 0.0, "newbalanceDest": 0.0,
}  # fmt: skip


def _member(one: Any) -> str:
    return "transactions" if isinstance(one, list) else "transaction"


#: The two interfaces: how one transaction and some are sent.
FACES: dict[str, Callable[[Any], dict[str, Any]]] = {
    "/transactions": lambda one: {"transactions": one} if isinstance(one, list) else one,
    "/v1/transactions": lambda one: {"schema": "paysim", _member(one): one},
}
both = pytest.mark.parametrize("path", FACES)


def checks(api: Api, **query: Any) -> dict[str, tuple[int, float, float | None]]:
    (day,) = api.get("/v1/data-quality").json()["data"]
    return {
        f"{one['check']} {one['field']}".strip(): (one["transactions"], one["share"], one["share_before"])
        for one in day["checks"]
    }


@both
def test_a_transaction_is_scored_stored_and_billed_once(
    alice: Api, stored: Callable[[Api], int], counted: Callable[[Api], int], path: str
) -> None:
    answer = alice.post(path, FACES[path](PAYMENT))
    told = answer.json()
    assert (answer.status_code, told["status"], told["billed_units"]) == (201, "new", 1)
    assert told["data_quality"] == {"status": "ok", "issues": []}
    again = alice.post(path, FACES[path](PAYMENT)).json()
    assert (again["decision_id"], again["status"], again["billed_units"]) == (told["decision_id"], "duplicate", 0)
    assert [issue["check"] for issue in again["data_quality"]["issues"]] == ["duplicate"]
    assert (stored(alice), counted(alice)) == (1, 1)
    listed = alice.get(path).json()
    (row,) = listed.get("transactions") or listed["data"]
    assert row["transaction"] == PAYMENT
    assert {name: row[name] for name in row if name != "status"} == {
        name: told[name] for name in told if name not in ("data_quality", "status")
    }


@both
def test_each_of_many_has_its_own_status_and_quality(alice: Api, stored: Callable[[Api], int], path: str) -> None:
    rows = [PAYMENT, PAYMENT | {"amount": -1, "transaction_id": "t2"}, TRANSFER | {"newbalanceDest": 0.0}, 5]
    told = alice.post(path, FACES[path](rows)).json()
    assert told["counts"] == {"new": 2, "duplicate": 0, "superseding": 0, "error": 2}
    assert [row["data_quality"]["status"] for row in told["transactions"]] == ["ok", "refused", "issues", "refused"]
    assert told["billed_units"] == stored(alice) == 2
    assert told["data_quality"]["balance_mismatch"] == 1


@both
def test_what_is_refused_is_counted_and_not_stored(alice: Api, stored: Callable[[Api], int], path: str) -> None:
    answer = alice.post(path, FACES[path](PAYMENT | {"amount": -1}))
    assert (answer.status_code, stored(alice)) == (422, 0)
    assert checks(alice) == {"out_of_range amount": (1, 1.0, None)}


def test_an_idempotency_key_answers_again_and_counts_once(alice: Api) -> None:
    first = alice.post("/transactions", PAYMENT, idempotency_key="k1")
    again = alice.post("/transactions", PAYMENT, idempotency_key="k1")
    assert (again.content, again.status_code, again["Idempotent-Replayed"]) == (first.content, 201, "true")
    (day,) = alice.get("/v1/data-quality").json()["data"]
    assert day["transactions"] == 1


def test_shares_are_held_against_the_seven_days_before(alice: Api) -> None:
    today = timezone.now().date()
    with in_tenant(alice.tenant):
        for back, total, skewed in ((1, 90, 9), (7, 10, 1), (8, 1000, 1000)):
            for check, count in (("", total), ("balance_mismatch", skewed)):
                QualityDay.objects.create(
                    day=today - timedelta(days=back), livemode=True, schema="paysim", check_name=check,
                    field="newbalanceOrig" if check else "", transactions=count,
                )  # fmt: skip
    alice.post(
        "/transactions", {"transactions": [PAYMENT | {"newbalanceOrig": 1.0}, PAYMENT | {"transaction_id": "t2"}]}
    )
    told = alice.get(f"/v1/data-quality?start={today}&schema=paysim").json()
    assert [one["day"] for one in told["data"]] == [str(today)]
    (found,) = told["data"][0]["checks"]
    assert (found["check"], found["share"], found["share_before"]) == ("balance_mismatch", 0.5, 0.1)


def test_a_field_that_never_changes_is_constant_from_twenty_values_on(alice: Api) -> None:
    rows = [PAYMENT | {"transaction_id": f"t{n}", "amount": 10.0 + n, "newbalanceOrig": 4990.0 - n} for n in range(20)]
    alice.post("/transactions", {"transactions": rows[:12]})
    assert not any(name.startswith("constant") for name in checks(alice))
    alice.post("/transactions", {"transactions": rows[12:]})
    constant = {name for name in checks(alice) if name.startswith("constant")}
    assert {"constant_field type", "constant_field step"} <= constant
    assert not {"constant_field amount", "constant_field newbalanceOrig", "constant_field nameOrig"} & constant


def test_transactions_are_filtered_and_exported(alice: Api, bob: Api, drain: Callable[[], int]) -> None:
    rows = [PAYMENT | {"transaction_id": f"t{n}", "amount": 100.0 * n, "nameOrig": f"C{n % 2}"} for n in range(1, 5)]
    alice.post("/v1/transactions", {"schema": "paysim", "transactions": rows})
    drain()
    told = alice.get("/v1/transactions?party=c1&amount_from=200&limit=1").json()
    assert [row["transaction_id"] for row in told["data"]] == ["t3"]
    assert alice.get("/transactions?limit=3").json()["has_more"] is True
    file = alice.get("/v1/transactions/export?amount_to=300")
    lines = file.content.decode().splitlines()
    assert (file["Content-Type"], len(lines)) == ("text/csv; charset=utf-8", 4)
    assert lines[0].startswith("transaction_id,decision_id,") and "nameOrig" in lines[0]
    assert len(bob.get("/v1/transactions/export").content.splitlines()) == 1
    assert alice.get("/v1/transactions?amount_from=nan").status_code == 422


def test_predictions_stand_beside_ours(alice: Api, bob: Api, drain: Callable[[], int]) -> None:
    ours = alice.post("/transactions", PAYMENT).json()
    drain()
    said = {"transaction_id": "t1", "fraud_probability": 0.9, "model": "old"}
    made = alice.post("/v1/predictions", said)
    assert made.status_code == 201
    assert made.json()["ours"]["decision_id"] == ours["decision_id"]
    assert made.json()["difference"] == pytest.approx(0.9 - ours["fraud_probability"], abs=1e-6)
    assert made.json()["agree"] is False
    rows = [said | {"fraud_probability": 0.1}, said | {"transaction_id": "t9"}]
    alice.post("/predictions", {"predictions": rows})
    told = alice.get("/predictions").json()
    assert [(one["transaction_id"], one["fraud_probability"]) for one in told["predictions"]] == [
        ("t9", 0.9),
        ("t1", 0.1),
    ]
    assert told["predictions"][1]["id"] == made.json()["id"]
    assert (told["comparison"]["compared"], told["comparison"]["agreement"]) == (1, 1.0)
    assert bob.get("/v1/predictions").json()["data"] == []
    wrong = alice.post("/v1/predictions", {"predictions": [said, said | {"predicted_at": "x"}]})
    assert (wrong.status_code, wrong.json()["param"]) == (422, "predictions[1].predicted_at")


def test_masked_cards_and_the_stored_facts(alice: Api, drain: Callable[[], int]) -> None:
    alice.post("/transactions", PAYMENT | {"nameOrig": "4111111111111111"})
    drain()
    with in_tenant(alice.tenant):
        assert Decision.objects.get().facts["nameOrig"] == "411111******1111"
    assert "4111111111111111" not in alice.get("/v1/transactions/export").content.decode()
