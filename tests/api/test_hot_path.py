"""A warm scoring request: no SQL, at most three round trips to Valkey, whatever it is asked."""

import sys
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from apps.batches import duplicates
from apps.scoring.lists import publishing
from apps.scoring.recording import lease
from apps.scoring.serving import filling, own_pasts
from apps.scoring.serving.rehearsal import SCRIPTS, bring_scripts
from apps.valkey import Script, Valkey
from tests.api import dialects
from tests.api.bodies import DRAINED, HONEST, TRANSFER, VANISHED, asking
from tests.cast import Api, Cast, new_key

NAMED = TRANSFER | {"nameOrig": "C1", "nameDest": "C2"}


@pytest.fixture(autouse=True)
def scripts(valkey: Valkey) -> None:
    """What a worker does before its first request."""
    bring_scripts(valkey)


CALLS: dict[str, tuple[str, Any, dict[str, str]]] = {
    "plain": ("/v1/decisions", HONEST, {}),
    "with parties": ("/v1/decisions", asking(NAMED), {}),
    "by a rule": ("/v1/decisions", asking(VANISHED), {}),
    "with an id": ("/v1/decisions", asking(NAMED | {"transaction_id": "t1"}), {}),
    "with an idempotency key": ("/v1/decisions", asking(DRAINED), {"idempotency_key": "k1"}),
    "dry run": ("/v1/decisions", asking(NAMED, dry_run=True), {}),
    "hybrid": ("/predict", {"payload": TRANSFER}, {}),
    "commercial": ("/predict", dialects.COMMERCIAL.body, {}),
    "enterprise": ("/predict", dialects.ENTERPRISE.body, {}),
    "gateway": ("/api/v1/score", dialects.GATEWAY.body, {}),
    "detect": ("/detect", dialects.DETECT.body, {}),
    "ensemble": ("/detect/ensemble", dialects.ENSEMBLE.body, {"idempotency_key": "k2"}),
    "batch of 100": ("/v1/decisions/batch", {"schema": "paysim", "transactions": [NAMED] * 100}, {}),
}


@pytest.mark.parametrize(("path", "body", "headers"), CALLS.values(), ids=CALLS.keys())
@pytest.mark.parametrize("repeated", [False, True])
def test_no_sql_and_three_round_trips_at_most(
    alice: Api,
    valkey: Valkey,
    django_assert_num_queries: DjangoAssertNumQueries,
    path: str,
    body: Any,
    headers: dict[str, str],
    repeated: bool,
) -> None:
    """`repeated`: the very request once before, so that it is a duplicate or a replay where it can be one."""
    alice.post("/v1/decisions", HONEST)  # this process has heard of the key
    if repeated:
        alice.post(path, body, **headers)
    before = valkey.round_trips
    with django_assert_num_queries(0):
        assert alice.post(path, body, **headers).status_code == 200
    assert valkey.round_trips - before <= 3


def test_the_first_request_of_a_key_is_as_warm(
    cast: Cast, valkey: Valkey, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    """The gate is told of a key when it is made; one more round trip asks whether somebody has it."""
    fresh = Api(cast.alice).with_key(new_key(cast.alice.tenant)[1])
    before = valkey.round_trips
    with django_assert_num_queries(0):
        assert fresh.post("/v1/decisions", HONEST).status_code == 200
    assert valkey.round_trips - before <= 3


@pytest.mark.parametrize("body", [b"", b"{", b'{"schema": "x", "transaction": {}}'])
def test_a_refused_body_costs_one_round_trip(
    alice: Api, valkey: Valkey, django_assert_num_queries: DjangoAssertNumQueries, body: bytes
) -> None:
    alice.post("/v1/decisions", HONEST)
    alice.post("/v1/decisions", body)  # its script is known
    before = valkey.round_trips
    with django_assert_num_queries(0):
        alice.post("/v1/decisions", body)
    assert valkey.round_trips - before == 1


def test_a_new_decision_on_named_parties_takes_two_round_trips(alice: Api, valkey: Valkey) -> None:
    """What README and docs/benchmarks.md say; the three that are allowed are for duplicates and replays."""
    alice.post("/v1/decisions", asking(NAMED))  # key and scripts are known
    before = valkey.round_trips
    assert alice.post("/v1/decisions", asking(NAMED)).json()["status"] == "new"
    assert valkey.round_trips - before == 2


def test_every_script_is_brought_before_the_first_request() -> None:
    ours = [vars(module) for name, module in sys.modules.items() if name.startswith("apps.")]
    there = {value.digest for names in ours for value in names.values() if type(value) is Script}
    # batch workers, recorders, whoever changes a list or tells own models of labels
    of_others = (
        *vars(duplicates).values(), *vars(lease).values(), *vars(publishing).values(), own_pasts.MARK, own_pasts.REFILL,
        filling.FILL,
    )  # fmt: skip
    assert there - {value.digest for value in of_others if type(value) is Script} == {
        script.digest for script in SCRIPTS
    }
