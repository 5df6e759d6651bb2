"""The documented requests (tests/examples.json), each with what its answer must contain."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cast import Api

EXAMPLES: list[dict[str, Any]] = json.loads((Path(__file__).parent.parent / "examples.json").read_text())
#: Interfaces that are not built yet; a dialect leaves this list with the change that builds it.
DUE_LATER = {"commercial", "gateway", "enterprise", "multimodel"}
NOW = [example for example in EXAMPLES if example["dialect"] not in DUE_LATER]


@pytest.mark.parametrize("example", NOW, ids=lambda example: example["id"])
def test_documented_request_is_answered_as_documented(alice: Api, example: dict[str, Any]) -> None:
    body = example.get("body")
    answer = alice.get(example["path"]) if body is None else alice.post(example["path"], body)
    told = answer.json()
    assert answer.status_code == example["status"]
    assert {name: told.get(name) for name in example.get("equals", {})} == example.get("equals", {})
    assert set(example.get("has", [])) <= set(told)


def test_every_interface_is_either_tried_or_listed_as_due() -> None:
    assert {example["dialect"] for example in EXAMPLES} == DUE_LATER | {"all", "hybrid"}
    assert len(NOW) == 8


@pytest.mark.parametrize("kind", ["PAYMENT", "CASH_IN", "DEBIT"])
def test_merchants_never_hit_the_black_hole_rule(alice: Api, kind: str) -> None:
    payload = {"type": kind, "amount": 100.0, "oldbalanceOrg": 500.0, "newbalanceOrig": 400.0, "step": 1}
    told = alice.post("/predict", {"payload": payload | {"oldbalanceDest": 0.0, "newbalanceDest": 0.0}}).json()
    assert told["model_used"] is True


def test_hybrid_answers_carry_id_and_units_and_are_stored(alice: Api) -> None:
    payload = next(example for example in NOW if example["id"] == "hybrid_account_drained")["body"]
    told = alice.post("/predict", payload).json()
    decision = alice.get(f"/v1/decisions/{told['id']}").json()
    assert (told["billed_units"], decision["fraud_probability"]) == (1, told["model_prob"])
    assert decision["recommended_action"] == "block"
