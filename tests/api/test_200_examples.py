"""The documented requests (tests/examples.json), each with what its answer must contain."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cast import Api

EXAMPLES: list[dict[str, Any]] = json.loads((Path(__file__).parent.parent / "examples.json").read_text())


def foreign_and_new_device(told: dict[str, Any]) -> bool:
    return {"Foreign", "New Device"} <= set(told["alert_reasons"])


def honest_merchant(told: dict[str, Any]) -> bool:
    (result,) = told["results"]
    has = {"transaction_id", "fraud_probability", "is_fraud", "risk_level", "confidence", "reasons"}
    codes = {reason["code"] for reason in result["reasons"]}
    return (
        has <= set(result)
        and (result["transaction_id"], result["is_fraud"]) == ("test_123", False)
        and "BLACK_HOLE" not in codes
    )


def available_models_are_named(told: dict[str, Any]) -> bool:
    begin = "Model 'invalid_model' not available. Available models: random_forest, logistic_regression, "
    return str(told["detail"]).startswith(begin)


#: What a note of the documentation says, as a check.
NOTES: dict[str, Callable[[dict[str, Any]], bool]] = {
    "gateway_score": honest_merchant,
    "multimodel_detect_random_forest": foreign_and_new_device,
    "multimodel_detect_logistic_regression": foreign_and_new_device,
    "multimodel_detect_xgboost": foreign_and_new_device,
    "multimodel_detect_lightgbm": foreign_and_new_device,
    "multimodel_unknown_model": available_models_are_named,
}


@pytest.mark.parametrize("slash", ["", "/"], ids=["", "slash"])
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["id"])
def test_documented_request_is_answered_as_documented(alice: Api, example: dict[str, Any], slash: str) -> None:
    path, mark, query = example["path"].partition("?")
    body, address = example.get("body"), f"{path}{slash}{mark}{query}"
    answer = alice.get(address) if body is None else alice.post(address, body)
    told = answer.json()
    assert answer.status_code == example["status"]
    assert {name: told.get(name) for name in example.get("equals", {})} == example.get("equals", {})
    assert set(example.get("has", [])) <= set(told)
    assert "note" not in example or NOTES[example["id"]](told)


@pytest.mark.parametrize("kind", ["PAYMENT", "CASH_IN", "DEBIT"])
def test_merchants_never_hit_the_black_hole_rule(alice: Api, kind: str) -> None:
    payload = {"type": kind, "amount": 100.0, "oldbalanceOrg": 500.0, "newbalanceOrig": 400.0, "step": 1}
    told = alice.post("/predict", {"payload": payload | {"oldbalanceDest": 0.0, "newbalanceDest": 0.0}}).json()
    assert told["model_used"] is True


def test_hybrid_answers_carry_id_and_units_and_are_stored(alice: Api) -> None:
    payload = next(example for example in EXAMPLES if example["id"] == "hybrid_account_drained")["body"]
    told = alice.post("/predict", payload).json()
    decision = alice.get(f"/v1/decisions/{told['id']}").json()
    assert (told["billed_units"], decision["fraud_probability"]) == (1, told["model_prob"])
    assert decision["recommended_action"] == "block"
