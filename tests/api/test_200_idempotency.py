"""Idempotency-Key: a request can be repeated for 24 hours and is answered, stored and billed once."""

from collections.abc import Callable
from typing import Any

import pytest

from apps.api_keys.gate import Names
from apps.scoring.serving import ids
from apps.valkey import Valkey
from tests.api.bodies import DRAINED, HONEST, TRANSFER, asking
from tests.cast import Api

Count = Callable[[Api], int]
HYBRID = {"payload": TRANSFER}
BATCH = {"schema": "paysim", "transactions": [TRANSFER, DRAINED, TRANSFER | {"amount": -1}]}


@pytest.mark.parametrize(
    ("path", "body"), [("/v1/decisions", HONEST), ("/v1/decisions/batch", BATCH), ("/predict", HYBRID)]
)
@pytest.mark.parametrize("recorded", [False, True])
def test_a_repeated_request_gets_the_same_bytes(
    alice: Api, counted: Count, drain: Callable[[], int], path: str, body: Any, recorded: bool
) -> None:
    first = alice.post(path, body, idempotency_key="k1")
    assert "Idempotent-Replayed" not in first
    units = counted(alice)
    if recorded:
        drain()
    again = alice.post(path, body, idempotency_key="k1")
    assert (again.status_code, again.content) == (200, first.content)
    assert again["Idempotent-Replayed"] == "true"
    assert counted(alice) == units


def test_a_replay_is_stored_once(alice: Api, stored: Count) -> None:
    for _ in range(3):
        alice.post("/v1/decisions", HONEST, idempotency_key="k1")
    assert stored(alice) == 1


def test_another_body_under_the_same_key_is_refused(alice: Api, counted: Count) -> None:
    alice.post("/v1/decisions", HONEST, idempotency_key="k1")
    answer = alice.post("/v1/decisions", asking(DRAINED), idempotency_key="k1")
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_mismatch")
    assert counted(alice) == 1


def test_another_address_under_the_same_key_is_refused(alice: Api) -> None:
    alice.post("/v1/decisions", HONEST, idempotency_key="k1")
    assert alice.post("/predict", HYBRID, idempotency_key="k1").status_code == 422


def test_keys_of_tenants_and_modes_are_apart(alice: Api, bob: Api, stored: Count) -> None:
    for caller in (alice, alice.in_test_mode(), bob):
        assert "Idempotent-Replayed" not in caller.post("/v1/decisions", HONEST, idempotency_key="k1")
    assert (stored(alice), stored(bob)) == (2, 1)


@pytest.mark.parametrize("said", ["", "x" * 256, "a b", "é", "tab\there", "\x7f"])
def test_a_header_that_is_no_key(alice: Api, said: str, nothing_happened: Callable[[Api], bool]) -> None:
    answer = alice.post("/v1/decisions", HONEST, idempotency_key=said)
    assert (answer.status_code, answer.json()["code"]) == (400, "header_invalid")
    assert nothing_happened(alice)


def test_a_request_still_running_is_told_so(alice: Api, valkey: Valkey, counted: Count) -> None:
    claim = Names(alice.tenant.handle, True).claim(ids.text_hash("k1"))
    alice.post("/v1/decisions", HONEST, idempotency_key="k1")
    settled = valkey.command("GET", claim).decode()
    valkey.command("SET", claim, "P" + settled[1:33] + "0" * 16)  # as another process holds it
    answer = alice.post("/v1/decisions", HONEST, idempotency_key="k1")
    assert (answer.status_code, answer.json()["code"], answer["Retry-After"]) == (409, "idempotency_in_progress", "1")
    assert counted(alice) == 1


def test_a_refused_request_leaves_its_key_free(alice: Api) -> None:
    assert alice.post("/v1/decisions", asking(TRANSFER | {"amount": -1}), idempotency_key="k1").status_code == 422
    assert alice.post("/v1/decisions", HONEST, idempotency_key="k1").status_code == 200


def test_a_duplicate_under_a_key_is_replayed_as_the_duplicate_it_was(alice: Api, counted: Count) -> None:
    named = asking(TRANSFER | {"transaction_id": "txn_1"})
    alice.post("/v1/decisions", named)
    first = alice.post("/v1/decisions", named, idempotency_key="k1")
    again = alice.post("/v1/decisions", named, idempotency_key="k1")
    assert first.json()["status"] == "duplicate"
    assert (again.content, again["Idempotent-Replayed"]) == (first.content, "true")
    assert counted(alice) == 1


def test_dry_runs_know_no_keys(alice: Api) -> None:
    for _ in range(2):
        assert "Idempotent-Replayed" not in alice.post("/v1/decisions", asking(dry_run=True), idempotency_key="k1")
    assert alice.post("/v1/decisions", HONEST, idempotency_key="k1").status_code == 200
