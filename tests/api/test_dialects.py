"""The older interfaces: one Decision behind all of them, recorded, billed, replayed and refused as everywhere."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.utils import timezone

from apps.api_keys.services import get_gate
from apps.scoring.engine.decide import Action, Policy
from apps.scoring.engine.engine import Engine
from apps.scoring.engine.models import ModelRefused
from apps.scoring.engine.rules import Condition, Outcome, Rule
from apps.scoring.policies import publish
from apps.scoring.serving.runtime import get_scoring
from tests.api.dialects import (
    ALL,
    BATCHES,
    COMMERCIAL,
    COMMERCIAL_BATCH,
    DETECT,
    ENSEMBLE,
    ENTERPRISE,
    ENTERPRISE_BATCH,
    GATEWAY,
    HYBRID,
    Request,
)
from tests.cast import Api, Cast, new_key

Count = Callable[[Api], int]
each = pytest.mark.parametrize("asked", ALL.values(), ids=ALL.keys())
each_batch = pytest.mark.parametrize("asked", BATCHES.values(), ids=BATCHES.keys())


def told(api: Api, asked: Request, **headers: str) -> dict[str, Any]:
    answer = api.post(asked.path, asked.body, **headers)
    assert answer.status_code == 200, answer.content
    assert answer["Content-Type"] == "application/json"
    return dict(answer.json())


def rows(asked: Request, answer: dict[str, Any]) -> list[dict[str, Any]]:
    return answer[asked.answers] if asked.rows else [answer]


# --- one decision behind each -----------------------------------------------------------------------------------------


@each
def test_every_row_is_a_stored_decision_of_one_unit(alice: Api, stored: Count, counted: Count, asked: Request) -> None:
    answer = told(alice, asked)
    many = len(asked.transactions())
    assert (answer["billed_units"], counted(alice), stored(alice)) == (many, many, many)
    for row in rows(asked, answer):
        decision = alice.get(f"/v1/decisions/{row['id']}").json()
        assert (decision["id"], decision["billed_units"]) == (row["id"], 1)


@each
def test_test_keys_score_really_and_cost_nothing(alice: Api, counted: Count, asked: Request) -> None:
    answer = told(alice.in_test_mode(), asked)
    assert (answer["billed_units"], counted(alice)) == (0, 0)
    assert rows(asked, answer)


@each
def test_a_repeated_key_gets_the_same_bytes_and_costs_nothing(alice: Api, counted: Count, asked: Request) -> None:
    first = alice.post(asked.path, asked.body, idempotency_key="k")
    before = counted(alice)
    again = alice.post(asked.path, asked.body, idempotency_key="k")
    other = alice.post(asked.path, asked.body | {"another": 1}, idempotency_key="k")
    assert (again.content, again["Idempotent-Replayed"]) == (first.content, "true")
    assert (other.status_code, list(other.json())) == (422, ["detail"])
    assert counted(alice) == before


@pytest.mark.parametrize("asked", [ENTERPRISE, ENTERPRISE_BATCH, GATEWAY], ids=["enterprise", "its batch", "gateway"])
def test_the_same_transaction_again_is_told_again_and_costs_nothing(alice: Api, asked: Request) -> None:
    first, again = told(alice, asked), told(alice, asked)
    assert [row["id"] for row in rows(asked, again)] == [row["id"] for row in rows(asked, first)]
    assert (again["billed_units"], [row["billed_units"] for row in rows(asked, again)]) == (
        0,
        [0] * len(asked.transactions()),
    )


def test_one_transaction_over_two_interfaces_is_one_decision(alice: Api) -> None:
    native = alice.post("/v1/decisions", {"schema": "payments", "transaction": ENTERPRISE.body}).json()
    enterprise = told(alice, ENTERPRISE)
    assert (enterprise["id"], enterprise["billed_units"]) == (native["id"], 0)
    assert enterprise["fraud_probability"] == native["fraud_probability"]


@each
def test_a_token_does_as_the_key(alice: Api, asked: Request) -> None:
    token = alice.post("/v1/auth/token", b"").json()["access_token"]
    assert told(Api(alice.player, token), asked)["billed_units"] == len(asked.transactions())


@each
def test_answers_say_what_is_left_of_the_rate(alice: Api, asked: Request) -> None:
    answer = alice.post(asked.path, asked.body)
    assert {"RateLimit", "RateLimit-Policy", "X-RateLimit-Remaining", "X-Request-Id"} <= set(answer.headers)


# --- each in its own words --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("model", "version"), [("v1", "v1"), ("", "v1"), ("random_forest", "random_forest@")])
def test_commercial_names_the_model_as_it_was_asked(alice: Api, model: str | None, version: str) -> None:
    body = {"transaction_data": COMMERCIAL.body["transaction_data"]} | ({"model_version": model} if model else {})
    assert told(alice, Request("/predict", body))["model_version"].startswith(version)


def test_commercial_takes_name_and_version_and_the_ensemble(alice: Api) -> None:
    used = told(alice, COMMERCIAL)["model"]
    exactly = told(alice, Request("/predict", COMMERCIAL.body | {"model_version": used}))
    together = told(alice, Request("/predict", COMMERCIAL.body | {"model_version": "ensemble"}))
    assert exactly["model_version"] == used
    assert together["model_version"].startswith("ensemble@")


def test_commercial_batch_counts_its_frauds(alice: Api) -> None:
    answer = told(alice, COMMERCIAL_BATCH)
    assert answer["fraud_count"] == sum(one["is_fraud"] for one in answer["predictions"])
    assert answer["total"] == len(answer["predictions"]) == 2
    assert answer["processing_time_ms"] > 0


@each_batch
def test_batches_keep_their_order(alice: Api, asked: Request) -> None:
    (first, *_), name = asked.transactions(), "TransactionID" if asked is COMMERCIAL_BATCH else "transaction_id"
    many = [first | {name: i if name == "TransactionID" else f"t{i}"} for i in (5, 3, 9, 1)]
    answer = told(alice, asked._replace(body=asked.body | {"transactions": many}))
    assert [row["transaction_id"].removeprefix("t") for row in rows(asked, answer)] == ["5", "3", "9", "1"]


def test_enterprise_speaks_in_capitals(alice: Api) -> None:
    answer = told(alice, ENTERPRISE)
    assert answer["risk_level"] in {"LOW", "MEDIUM", "HIGH", "CRITICAL"}
    assert answer["recommended_action"] in {"approve", "review", "block"}
    assert set(answer) >= {"transaction_id", "fraud_probability", "fraud_type", "reasons"}


def test_gateway_is_confident_of_its_side(alice: Api) -> None:
    drained = HYBRID.body["payload"]
    answer = told(alice, Request("/api/v1/score", {"transactions": [GATEWAY.body["transactions"][0], drained]}))
    honest, fraud = answer["results"]
    assert (honest["is_fraud"], fraud["is_fraud"]) == (False, True)
    assert honest["confidence"] == pytest.approx(1 - honest["fraud_probability"])
    assert fraud["confidence"] == fraud["fraud_probability"]
    assert answer["model_version"].startswith("xgboost@")


def test_gateway_needs_batches_for_more_than_one_alone(charlie: Api) -> None:
    """The free plan has single scoring."""
    one = GATEWAY.body["transactions"]
    assert charlie.post(GATEWAY.path, {"transactions": one}).status_code == 200
    answer = charlie.post(GATEWAY.path, {"transactions": one * 2})
    assert (answer.status_code, list(answer.json())) == (403, ["detail"])


def test_gateway_asks_for_the_scope_it_needs(cast: Cast) -> None:
    _, text = new_key(cast.alice.tenant, scopes=("predict",))
    single = Api(cast.alice, text)
    assert single.post(GATEWAY.path, GATEWAY.body).status_code == 200
    assert single.post(GATEWAY.path, {"transactions": GATEWAY.body["transactions"] * 2}).status_code == 403


def test_detect_asks_the_champion_when_no_model_is_named(alice: Api) -> None:
    champion = alice.get("/models").json()["default_model"]
    assert told(alice, Request("/detect", DETECT.body))["model_used"] == champion


def test_detect_number_follows_from_the_decision(alice: Api) -> None:
    first, again = (told(alice, DETECT, idempotency_key="k") for _ in range(2))
    assert first["Transaction_ID"] == again["Transaction_ID"] == int(first["id"][-13:], 16)
    assert told(alice, DETECT)["Transaction_ID"] != first["Transaction_ID"] < 2**53


def test_detect_risk_is_never_below_the_probability(alice: Api) -> None:
    for name in alice.get("/models").json()["available_models"]:
        answer = told(alice, Request(f"/detect?model={name}", DETECT.body))
        assert answer["Fraud_Probability"] <= answer["Final_Risk_Score"] <= 1
        assert answer["isFraud_pred"] == (answer["Fraud_Probability"] >= 0.5)


def test_a_first_theft_does_not_vouch_for_the_next(alice: Api) -> None:
    """All documented detections in order, for the same user: none makes the next one usual."""
    for name in (*alice.get("/models").json()["available_models"], *alice.get("/models").json()["available_models"]):
        answer = told(alice, Request(f"/detect?model={name}", DETECT.body))
        assert {"Foreign", "New Device"} <= set(answer["alert_reasons"])


def test_nothing_is_new_or_foreign_of_somebody_new(alice: Api) -> None:
    body = DETECT.body | {"Previous_Transaction_Count": 0}
    assert not {"Foreign", "New Device"} & set(told(alice, Request("/detect", body))["alert_reasons"])


def test_home_country_is_not_foreign(alice: Api) -> None:
    _publish(alice, Policy(home_country="USA"))
    assert "Foreign" not in told(alice, DETECT)["alert_reasons"]


def test_derived_fields_that_disagree_are_warned_of(alice: Api) -> None:
    answer = told(alice, Request("/detect", DETECT.body | {"Log_Transaction_Amount": 3.0}))
    assert any("Log_Transaction_Amount" in warning for warning in answer["warnings"])


def test_ensemble_is_the_majority_of_its_models(alice: Api) -> None:
    answer = told(alice, ENSEMBLE)
    votes = [one["prediction"] for one in answer["model_predictions"].values()]
    agreeing = votes.count(answer["ensemble_prediction"])
    assert (
        set(answer["models_used"])
        == set(answer["model_predictions"])
        == set(alice.get("/models").json()["available_models"])
    )
    assert answer["ensemble_confidence"] == agreeing / len(votes) >= 0.5
    assert (answer["model_used"], answer["billed_units"]) == ("ensemble", 1)


def test_native_ensemble_tells_every_vote(alice: Api) -> None:
    asked = {"schema": "card_activity", "transaction": ENSEMBLE.body, "model": "ensemble"}
    decision = alice.post("/v1/decisions", asked).json()
    assert {vote["label"] for vote in decision["ensemble"]["models"]} <= {"Fraud", "Not Fraud"}
    assert (decision["model"]["name"], decision["decisive"]["id"]) == ("ensemble", "ensemble")
    assert 0.5 <= decision["ensemble"]["agreement"] <= 1


# --- a rule decides ---------------------------------------------------------------------------------------------------


@pytest.fixture
def _nothing_remembered() -> Iterator[None]:
    """Versions never come back but here, where the database is swept after every test."""
    get_scoring.cache_clear()
    yield
    get_scoring.cache_clear()


def _publish(api: Api, policy: Policy) -> None:
    get_scoring().policies._known.clear()  # versions never come back but here, where the database is swept
    publish(tenant=api.tenant, policy=policy, gate=get_gate(), now=timezone.now())


def ruled(api: Api, outcome: Outcome, default: Action = "review") -> None:
    """Every transaction of the tenant is decided by one rule."""
    rule = Rule("house", outcome, (Condition("home_country", "eq", "Nowhere"),), "Because we say so.", "HOUSE")
    _publish(api, Policy(rules=(rule,), home_country="Nowhere", default_action=default))


def test_a_rule_that_blocks_is_fraud_in_every_interface(alice: Api) -> None:
    ruled(alice, "fatal_block")
    commercial, hybrid, enterprise = (told(alice, one) for one in (COMMERCIAL, HYBRID, ENTERPRISE))
    gateway, detect, ensemble = told(alice, GATEWAY)["results"][0], told(alice, DETECT), told(alice, ENSEMBLE)
    assert (commercial["is_fraud"], commercial["risk_level"]) == (True, "critical")
    assert commercial["reasons"][0]["code"] == "HOUSE"
    assert (hybrid["fraud"], hybrid["reason"]) == (True, "house_rule")
    assert (enterprise["recommended_action"], enterprise["risk_level"]) == ("block", "CRITICAL")
    assert (gateway["is_fraud"], gateway["risk_level"]) == (True, "critical")
    for one in (detect, ensemble):
        assert (one["isFraud_pred"], one["alert_triggered"], one["Final_Risk_Score"]) == (1, True, 1.0)
        assert one["alert_reasons"][-1] == "Rule house"


def test_a_rule_that_allows_is_no_fraud_in_any_interface(alice: Api) -> None:
    ruled(alice, "allow")
    drained = Request(GATEWAY.path, {"transactions": [HYBRID.body["payload"]]})
    assert told(alice, drained)["results"][0]["is_fraud"] is False
    assert told(alice, HYBRID)["fraud"] is False
    assert told(alice, COMMERCIAL)["is_fraud"] is False
    assert told(alice, ENTERPRISE)["recommended_action"] == "approve"
    assert told(alice, ENSEMBLE)["isFraud_pred"] == 0


def test_enterprise_never_knew_a_challenge(alice: Api) -> None:
    ruled(alice, "challenge")
    assert told(alice, ENTERPRISE)["recommended_action"] == "review"


# --- a model that can't score -----------------------------------------------------------------------------------------


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let models of a schema be refused, as they are when a file of theirs is not the one the card vouches for."""

    def refuse(schema: str, *names: str) -> None:
        models = get_scoring().engine.models
        left = {name: ModelRefused("for the test") if name in names else one for name, one in models[schema].items()}
        monkeypatch.setattr(get_scoring(), "engine", Engine({**models, schema: left}))

    return refuse


def test_detect_fails_with_its_model_and_leaves_nothing_behind(
    alice: Api, broken: Callable[..., None], stored: Count, counted: Count
) -> None:
    broken("card_activity", "random_forest")
    answer = alice.post(DETECT.path, DETECT.body)
    assert (answer.status_code, answer.json()) == (500, {"detail": "Model inference failed"})
    assert (stored(alice), counted(alice)) == (0, 0)
    assert told(alice, Request("/detect?model=lightgbm", DETECT.body))["model_used"] == "lightgbm"


def test_ensemble_goes_on_without_the_one_that_fails(alice: Api, broken: Callable[..., None]) -> None:
    broken("card_activity", "random_forest")
    answer = told(alice, ENSEMBLE)
    failed = answer["model_predictions"]["random_forest"]
    assert failed == {"probability": None, "prediction": None, "label": "Error"}
    assert "random_forest" not in answer["models_used"]
    assert answer["degraded"] == ["model:random_forest"]


def test_ensemble_fails_when_all_do(alice: Api, broken: Callable[..., None], stored: Count) -> None:
    broken("card_activity", "random_forest", "logistic_regression", "xgboost", "lightgbm")
    answer = alice.post(ENSEMBLE.path, ENSEMBLE.body)
    assert (answer.status_code, answer.json()) == (500, {"detail": "Model inference failed"})
    assert stored(alice) == 0


def test_models_say_who_is_available(alice: Api, broken: Callable[..., None]) -> None:
    broken("card_activity", "lightgbm")
    answer = alice.get("/models").json()
    assert list(answer["available_models"]) == ["random_forest", "logistic_regression", "xgboost", "lightgbm"]
    assert {one["status"] for one in answer["available_models"].values()} == {"available", "unavailable"}
    assert answer["available_models"]["lightgbm"]["status"] == "unavailable"
    assert answer["endpoints"] == {"single_model": "/detect?model={model_name}", "ensemble": "/detect/ensemble"}
    assert set(answer["ensemble_info"]) == {"description", "benefits"}


@pytest.mark.parametrize(
    ("schema", "asked"), [("ieee_cis", COMMERCIAL), ("payments", ENTERPRISE), ("paysim", GATEWAY), ("paysim", HYBRID)]
)
def test_the_others_answer_without_a_model_and_cost_nothing(
    alice: Api, broken: Callable[..., None], schema: str, asked: Request
) -> None:
    broken(schema, *get_scoring().engine.models[schema])
    answer = told(alice, asked)
    assert answer["billed_units"] == 0
    drained = asked is HYBRID  # a rule says so without any model
    assert rows(asked, answer)[0]["recommended_action"] == ("challenge" if drained else "review")
