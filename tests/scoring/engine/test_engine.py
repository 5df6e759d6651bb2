import math

import msgspec
import numpy as np
import pytest

from apps.scoring.engine.decide import Policy
from apps.scoring.engine.engine import Engine, UnknownModel
from apps.scoring.engine.history import summarise
from apps.scoring.engine.models import ModelRefused, sigmoid
from apps.scoring.engine.parties import Party
from apps.scoring.engine.past_events import event_of
from apps.scoring.engine.rules import Condition, Rule
from apps.scoring.engine.windows import QUIET
from tests.scoring.engine.conftest import BLACK_HOLE, DRAINED, HONEST
from tests.together import together

FRESH = {"nameOrig": QUIET, "nameDest": QUIET}
PAYMENT = {
    "type": "PAYMENT", "amount": 1000.0, "oldbalanceOrg": 5000.0, "newbalanceOrig": 4000.0, "oldbalanceDest": 0.0,
    "newbalanceDest": 0.0, "step": 1, "nameOrig": "C123456789", "nameDest": "M987654321",
}  # fmt: skip
ZERO = {**HONEST, "amount": 0.0, "oldbalanceOrg": 5000.0, "newbalanceDest": 1000.0, "step": 24}
TAMPERED = {
    "type": "CASH_OUT", "amount": 20000.0, "oldbalanceOrg": 50000.0, "newbalanceOrig": 15000.0,
    "oldbalanceDest": 5000.0, "newbalanceDest": 25000.0, "step": 100,
}  # fmt: skip
DOCUMENTED = [
    (DRAINED, True), (HONEST, False), (ZERO, False), (TAMPERED, True), (PAYMENT, False),
    ({**HONEST, "type": "INVALID_TYPE"}, False),
]  # fmt: skip


@pytest.mark.parametrize("activity", [None, {}, FRESH], ids=["history away", "nobody named", "fresh parties"])
@pytest.mark.parametrize(("facts", "fraud"), DOCUMENTED)
def test_the_documented_transactions_come_out(engine, paysim, policy, facts, fraud, activity):
    decision = engine.decide("paysim", paysim(**facts), activity, policy)
    assert (decision.fraud_probability >= 0.5) is fraud
    assert decision.decisive.kind == "model"
    assert {rule.id: rule.outcome for rule in decision.rules}["black_hole"] == "no_hit"
    assert decision.reasons


def test_the_black_hole_decides_and_the_model_speaks_too(engine, paysim, policy):
    decision = engine.decide("paysim", paysim(**BLACK_HOLE), {}, policy)
    assert (decision.decisive.kind, decision.decisive.id) == ("rule", "black_hole")
    assert (decision.risk_level, decision.recommended_action) == ("critical", "block")
    assert decision.fraud_probability is not None
    assert (decision.reasons[0].code, decision.reasons[0].contribution) == ("BLACK_HOLE", None)


def test_nearby_drained_accounts_are_fraud(engine, paysim, policy):
    near = [
        paysim(type=kind, amount=amount, oldbalanceOrg=amount, newbalanceOrig=0.0, oldbalanceDest=held,
               newbalanceDest=held + amount, step=step)
        for kind in ("TRANSFER", "CASH_OUT") for amount in (20000.5, 90000.0, 180000.0, 200000.0, 2e6)
        for held in (0.0, 50000.0) for step in (1, 15, 372, 700)
    ]  # fmt: skip
    assert min(one.fraud_probability for one in decide_all(engine, near, policy)) >= 0.5


def test_nearby_tampered_ledgers_are_fraud(engine, paysim, policy):
    near = [
        paysim(type=kind, amount=amount, oldbalanceOrg=amount * (excess + 1.5), newbalanceOrig=amount * 0.5,
               oldbalanceDest=5000.0, newbalanceDest=5000.0 + amount, step=step)
        for kind in ("TRANSFER", "CASH_OUT") for amount in (500.0, 15000.0, 20000.0, 30000.0, 1e6)
        for excess in (0.2, 0.5, 0.75, 1.0, 4.0) for step in (12, 100, 500)
    ]  # fmt: skip
    assert min(one.fraud_probability for one in decide_all(engine, near, policy)) >= 0.5


def test_nearby_honest_transactions_are_honest(engine, paysim, policy):
    near = [
        paysim(type=kind, amount=amount, oldbalanceOrg=amount + left, newbalanceOrig=left, oldbalanceDest=held,
               newbalanceDest=held + amount, step=step)
        for kind in ("TRANSFER", "CASH_OUT", "INVALID_TYPE", "DEBIT")
        for amount in (0.0, 100.0, 4000.0, 5000.0, 7500.25, 5e5)
        for left in (0.5 * amount + 100.0, amount + 5000.0, amount + 1e6)
        for held in (0.0, 1000.0, 1e6) for step in (1, 15, 24, 500)
    ]  # fmt: skip
    assert max(one.fraud_probability for one in decide_all(engine, near, policy)) < 0.3


def decide_all(engine, parsed, policy):
    return engine.decide_many("paysim", parsed, [FRESH] * len(parsed), policy)


def test_a_burst_is_suspicious(engine, paysim, policy):
    packed = b"".join(
        event_of(Party("nameOrig", "C1", "C2"), 15 * 3_600_000, 5000.0, index + 1) for index in range(300)
    )
    busy = dict.fromkeys(("nameOrig", "nameDest"), summarise(packed, 15 * 3_600_000, 0))
    calm, hurried = (engine.decide("paysim", paysim(), activity, policy) for activity in (FRESH, busy))
    assert calm.fraud_probability < 0.05 < 0.3 <= hurried.fraud_probability
    assert "HIGH_VELOCITY" in [reason.code for reason in hurried.reasons]


def test_one_and_many_agree_to_the_byte(engine, paysim, policy):
    parsed = [paysim(**facts) for facts, _ in DOCUMENTED] + [paysim(**BLACK_HOLE)]
    activities = [None, {}, FRESH, {"nameOrig": QUIET}, FRESH, None, FRESH]
    many = engine.decide_many("paysim", parsed, activities, policy)
    one_by_one = [engine.decide("paysim", one, seen, policy) for one, seen in zip(parsed, activities, strict=True)]
    assert msgspec.json.encode(many) == msgspec.json.encode(one_by_one)
    assert engine.decide_many("paysim", [], [], policy) == []


def test_threads_get_the_same_answers(engine, paysim, policy):
    parsed = [paysim(amount=float(amount)) for amount in range(100, 500)]
    alone = [engine.decide("paysim", one, FRESH, policy).contributions for one in parsed]
    decided = together(8, lambda _: [engine.decide("paysim", one, FRESH, policy).contributions for one in parsed])
    assert decided == [alone] * 8


def test_stored_vectors_sum_to_the_answered_probability(engine, model, paysim, policy):
    for facts, _ in DOCUMENTED:
        decision = engine.decide("paysim", paysim(**facts), FRESH, policy)
        added = float(np.frombuffer(decision.contributions, "<f4").sum(dtype=np.float64))
        assert math.isclose(sigmoid(model.card.base_log_odds + added), decision.fraud_probability, abs_tol=1e-4)


def test_reasons_are_ranked_and_speak(engine, paysim, policy):
    decision = engine.decide("paysim", paysim(**DRAINED), None, policy)
    sizes = [abs(reason.contribution) for reason in decision.reasons]
    assert decision.reasons[0].code == "ACCOUNT_EMPTIED"
    assert 1 <= len(sizes) <= 5
    assert sizes == sorted(sizes, reverse=True)
    assert all(reason.text.endswith(".") and "{" not in reason.text for reason in decision.reasons)
    assert b"NaN" not in msgspec.json.encode(decision.reasons)


def test_history_away_is_said(engine, paysim, policy):
    assert engine.decide("paysim", paysim(), None, policy).degraded == ("history",)
    assert engine.decide("paysim", paysim(), {}, policy).degraded == ()


@pytest.mark.parametrize("models", [{}, {"xgboost": ModelRefused("wrong hash")}], ids=["absent", "refused"])
def test_without_a_model_rules_and_default_decide(models, paysim, policy):
    engine = Engine({"paysim": models})
    honest = engine.decide("paysim", paysim(), FRESH, policy)
    assert honest.decisive.kind == "default"
    assert (honest.fraud_probability, honest.risk_score, honest.model) == (None, None, None)
    assert honest.degraded[0].startswith("model:")
    assert engine.decide("paysim", paysim(**BLACK_HOLE), FRESH, policy).decisive.id == "black_hole"
    assert engine.decide_many("paysim", [paysim()], [FRESH], policy)[0].decisive.kind == "default"


def test_a_model_is_asked_for_by_name_or_version(engine, model, paysim, policy):
    for wanted in ("xgboost", f"xgboost@{model.version}"):
        used = engine.decide("paysim", paysim(), FRESH, policy, wanted).model
        assert (used.name, used.version, used.threshold) == ("xgboost", model.version, 0.5)


@pytest.mark.parametrize("wanted", ["lightgbm", "xgboost@1999.1.1", "@"])
def test_an_unknown_model_is_refused_with_the_available_ones(engine, wanted):
    with pytest.raises(UnknownModel, match="Available models: xgboost"):
        engine.require("paysim", wanted)


def test_a_tenants_rule_decides_over_the_model(engine, paysim):
    friend = Rule("friend", "allow", (Condition("nameDest", "in", ("C7",)),))
    gap = Rule("gap", "review", (Condition("excess_loss", "gt", 0.1),), reason_code="OUR_GAP")
    policy = Policy(rules=(friend, gap))
    allowed = engine.decide("paysim", paysim(**DRAINED, nameDest="C7"), FRESH, policy)
    assert (allowed.recommended_action, allowed.risk_level, allowed.decisive.id) == ("approve", "low", "friend")
    assert allowed.fraud_probability > 0.5
    reviewed = engine.decide("paysim", paysim(**TAMPERED), FRESH, policy)
    assert (reviewed.recommended_action, reviewed.reasons[0].code) == ("review", "OUR_GAP")


def test_risk_scores_rank(engine, paysim, policy):
    scores = [
        engine.decide("paysim", paysim(**facts), FRESH, policy).risk_score for facts in (PAYMENT, HONEST, DRAINED)
    ]
    assert scores == sorted(scores)
    assert scores[0] >= 0
    assert scores[-1] >= 998  # frauds themselves are the top 0.13 %
