"""A tenant's own rules and thresholds: published, they decide from the next request on, for that tenant alone."""

import random

import pytest
from django.utils import timezone

from apps.api_keys.services import this_gate
from apps.scoring.engine.decide import Policy
from apps.scoring.engine.rules import Condition, Rule
from apps.scoring.policies import publish
from apps.scoring.runtime import this_scoring
from bench.transactions import question
from tests.cast import Api

pytestmark = pytest.mark.django_db(transaction=True)

HOLE = question(random.Random(1))["transaction"] | {
    "type": "TRANSFER",
    "amount": 10.0,
    "oldbalanceOrg": 10.0,
    "newbalanceOrig": 0.0,
    "oldbalanceDest": 5.0,
    "newbalanceDest": 5.0,
}
ASK = {"schema": "paysim", "transaction": HOLE}
TRUSTED = Rule("trusted", "allow", (Condition("nameOrig", "eq", HOLE["nameOrig"]),), "A customer we know.")


@pytest.fixture(autouse=True)
def _nothing_remembered() -> None:
    """Versions never come back but here, where the database is swept after every test."""
    this_scoring.cache_clear()


def _publish(api: Api, policy: Policy) -> int:
    return publish(tenant=api.tenant, policy=policy, gate=this_gate(), now=timezone.now())


def test_a_tenants_allow_rule_goes_before_the_built_in_block(alice: Api, bob: Api) -> None:
    before = alice.post("/v1/decisions", ASK).json()
    version = _publish(alice, Policy(rules=(TRUSTED,)))
    after, others = alice.post("/v1/decisions", ASK).json(), bob.post("/v1/decisions", ASK).json()
    assert (before["decisive"]["id"], before["recommended_action"]) == ("black_hole", "block")
    assert version == 1
    assert (after["decisive"]["id"], after["recommended_action"]) == ("trusted", "approve")
    assert {rule["id"]: rule["outcome"] for rule in after["rules"]} == {"black_hole": "hit", "trusted": "hit"}
    assert after["fraud_probability"] > 0.9  # the model's score is given also when a rule decides
    assert others["decisive"]["id"] == "black_hole"


def test_thresholds_move_level_and_action(alice: Api) -> None:
    honest = {"schema": "paysim", "transaction": HOLE | {"newbalanceOrig": 4.0, "amount": 6.0, "newbalanceDest": 11.0}}
    assert alice.post("/v1/decisions", honest).json()["recommended_action"] == "approve"
    _publish(alice, Policy(medium=0.0, review_at=0.0))
    moved = alice.post("/v1/decisions", honest).json()
    assert (moved["risk_level"], moved["recommended_action"]) == ("medium", "review")


def test_a_later_policy_replaces_an_earlier_one(alice: Api) -> None:
    _publish(alice, Policy(rules=(TRUSTED,)))
    assert alice.post("/v1/decisions", ASK).json()["decisive"]["id"] == "trusted"
    assert _publish(alice, Policy()) == 2
    assert alice.post("/v1/decisions", ASK).json()["decisive"]["id"] == "black_hole"
