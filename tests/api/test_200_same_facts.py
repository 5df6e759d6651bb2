"""One set of facts is decided and billed once, one request answered once, however written, at every door."""

import json
import random
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.serving import ids
from apps.scoring.serving.decisions import find_same_facts
from tests.api.bodies import TRANSFER
from tests.cast import Api
from tests.spelled import FULL, written

Count = Callable[[Api], int]
PAYSIM, PAYMENT, CARD, IEEE = (FULL[name] for name in ("paysim", "payments", "card_activity", "ieee_cis"))
# Every door that scores: its address, and a body that names its transactions.
DOORS: dict[str, tuple[str, Any]] = {
    **{f"decisions, {name}": ("/v1/decisions", {"schema": name, "transaction": facts}) for name, facts in FULL.items()},
    **{
        f"batch, {name}": ("/v1/decisions/batch", {"schema": name, "transactions": [facts]})
        for name, facts in FULL.items()
    },
    "Commercial": ("/predict", {"transaction_data": IEEE, "model_version": "v1"}),
    "Commercial, batch": ("/predict/batch", {"transactions": [IEEE]}),
    "Hybrid": ("/predict", {"payload": PAYSIM}),
    "Enterprise": ("/predict", PAYMENT),
    "Enterprise, batch": ("/batch-predict", {"transactions": [PAYMENT]}),
    "Gateway": ("/api/v1/score", {"transactions": [PAYSIM]}),
    "Multi-model": ("/detect?model=xgboost&note=", CARD),
    "Multi-model, ensemble": ("/detect/ensemble", CARD),
}


def send(api: Api, path: str, body: Any, seed: int, **headers: str) -> Any:
    """The body, and the address, as one client of many writes them."""
    chance = random.Random(seed)
    where, _, query = path.partition("?")
    if seed % 2:
        where, query = f"{where}/", "&".join(reversed(query.split("&")))
    return api.post(f"{where}?{query}" if query else where, written(body, chance).encode(), **headers)


@pytest.mark.parametrize(("path", "body"), DOORS.values(), ids=DOORS)
def test_the_same_facts_are_a_duplicate_without_a_unit(
    alice: Api, counted: Count, stored: Count, path: str, body: Any
) -> None:
    for seed in range(6):
        answer = send(alice, path, body, seed)
        assert answer.status_code == 200, answer.content
    assert (counted(alice), stored(alice)) == (1, 1)


@pytest.mark.parametrize(("path", "body"), DOORS.values(), ids=DOORS)
def test_the_same_request_is_replayed_to_the_byte(alice: Api, counted: Count, path: str, body: Any) -> None:
    first = send(alice, path, body, 0, idempotency_key="k1")
    for seed in range(1, 6):
        again = send(alice, path, body, seed, idempotency_key="k1")
        assert (again.status_code, again.content, again["Idempotent-Replayed"]) == (200, first.content, "true")
    assert counted(alice) == 1


@pytest.mark.parametrize(("path", "body"), DOORS.values(), ids=DOORS)
def test_another_request_under_its_key_is_refused(alice: Api, counted: Count, path: str, body: Any) -> None:
    send(alice, path, body, 0, idempotency_key="k1")
    other = json.loads(written(body, random.Random(0)))
    for answer in (
        alice.post(path, other | {"another": 1}, idempotency_key="k1"),
        alice.post(f"{path}{'&' if '?' in path else '?'}another=1", other, idempotency_key="k1"),
    ):
        assert answer.status_code == 422, answer.content
    assert counted(alice) == 1


def test_the_issues_own_facts_are_one_set(alice: Api, counted: Count) -> None:
    first = {"transaction_id": "t1", "timestamp": "2026-01-05T10:00:00Z", "amount": 1000, "user_id": "U",
             "merchant_id": "M", "distance_from_home_km": 0}  # fmt: skip
    ways: list[dict[str, Any]] = [
        {}, {"timestamp": "2026-01-05T10:00:00+00:00"}, {"timestamp": "2026-01-05T11:00:00+01:00"},
        {"timestamp": "2026-01-05T10:00:00"}, {"timestamp": "2026-01-05T10:00Z"},
        {"timestamp": "2026-01-05T10:00:00+00"},
        {"distance_from_home_km": -0.0}, {"amount": 1e3}, dict(reversed(first.items())), {"device_id": None},
    ]  # fmt: skip
    said = [alice.post("/v1/decisions", {"schema": "payments", "transaction": first | way}).json() for way in ways]
    assert [(one["status"], one["billed_units"]) for one in said] == [("new", 1)] + [("duplicate", 0)] * 9
    assert counted(alice) == 1


def test_one_batch_that_writes_its_facts_in_several_ways_is_billed_once(alice: Api, counted: Count) -> None:
    rows = [json.loads(written(PAYMENT, random.Random(seed))) for seed in range(8)]
    told = alice.post("/v1/decisions/batch", {"schema": "payments", "transactions": rows}).json()
    assert told["counts"] == {"new": 1, "duplicate": 7, "superseding": 0, "error": 0}
    assert (told["billed_units"], counted(alice)) == (1, 1)


def test_postgres_knows_the_same_facts_too(alice: Api, drain: Callable[[], int]) -> None:
    """Asked while Valkey is away."""
    first = alice.post(
        "/v1/decisions", {"schema": "paysim", "transaction": TRANSFER | {"transaction_id": "cafe\u0301"}}
    )
    drain()
    facts = SCHEMAS["paysim"].parse(TRANSFER | {"transaction_id": "caf\u00e9", "amount": 5e3, "step": 15.0}).facts
    known = find_same_facts(alice.tenant.schema_name, True, "paysim", "caf\u00e9", ids.body_hash("paysim", facts))
    assert known is not None
    assert known.pk == first.json()["id"]


@pytest.mark.parametrize("said", ["caf\u00e9", "cafe\u0301"])
def test_a_decision_is_found_by_its_transactions_id_in_either_form(
    alice: Api, drain: Callable[[], int], said: str
) -> None:
    alice.post("/v1/decisions", {"schema": "paysim", "transaction": TRANSFER | {"transaction_id": "cafe\u0301"}})
    drain()
    (found,) = alice.get(f"/v1/decisions?transaction_id={quote(said)}").json()["data"]
    assert found["transaction_id"] == "cafe\u0301"  # as it was sent


@pytest.mark.parametrize(
    "literal", ["9007199254740992", "9007199254740993.0", "9.007199254740993e15", "1" + "0" * 30, "1e300"]
)
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/decisions", {"schema": "ieee_cis", "transaction": IEEE | {"TransactionID": "?"}}),
        ("/v1/decisions", {"schema": "card_activity", "transaction": CARD | {"Merchant_ID": "?"}}),
        ("/predict", {"transaction_data": IEEE | {"TransactionID": "?"}}),
        ("/predict/batch", {"transactions": [IEEE, IEEE | {"TransactionID": "?"}]}),
        ("/detect", CARD | {"User_ID": "?"}),
        ("/detect/ensemble", CARD | {"Device_ID": "?"}),
    ],
)
def test_an_integer_that_would_be_its_neighbour_is_refused_with_the_bound(
    alice: Api, counted: Count, path: str, body: Any, literal: str
) -> None:
    answer = alice.post(path, written(body, random.Random(0)).replace('"?"', literal).encode())
    assert answer.status_code == 422
    assert "9,007,199,254,740,991" in answer.content.decode()
    assert counted(alice) == 0


def test_a_row_of_a_batch_with_such_an_integer_says_the_bound(alice: Api) -> None:
    body = {"schema": "ieee_cis", "transactions": [IEEE, IEEE | {"TransactionID": "?"}]}
    raw = written(body, random.Random(0)).replace('"?"', "9007199254740993.0").encode()
    rows = alice.post("/v1/decisions/batch", raw).json()["data"]
    assert [row["status"] for row in rows] == ["new", "error"]
    assert "9,007,199,254,740,991" in rows[1]["error"]["detail"]
