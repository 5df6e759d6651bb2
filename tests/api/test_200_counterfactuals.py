"""200: what would have turned a decision, and its reasons in the customer's words, before and after it is recorded."""

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from apps import times
from apps.accounts.tenancy import in_tenant
from apps.scoring.engine.adverse_action import SENTENCES
from apps.scoring.engine.aggregates import Aggregate
from apps.scoring.engine.decide import Policy
from apps.scoring.engine.rules import Rule, Tuning
from apps.scoring.models import PublishedPolicy
from bench.transactions import MAKERS
from tests.api.bodies import DRAINED, TRANSFER, asking
from tests.cast import Api
from tests.simulation.past import publish_to

PAYMENT: dict[str, Any] = {
    "amount": 90.0, "user_id": "Ann", "merchant_id": "M1", "card_bin": "424242", "timestamp": "2026-03-01T10:00:00Z",
}  # fmt: skip


def told(api: Api, decision: dict[str, Any], what: str) -> Any:
    return api.get(f"/v1/decisions/{decision['id']}/{what}").json()


@pytest.mark.parametrize("recorded", [False, True])
def test_the_change_sent_instead_is_answered_as_told(
    alice: Api, bob: Api, drain: Callable[[], int], recorded: bool
) -> None:
    decision = alice.post("/v1/decisions", asking(DRAINED | {"nameOrig": "Ann"})).json()
    if recorded:
        drain()
    answer = told(alice, decision, "counterfactuals")
    assert (answer["decision"], answer["why"], answer["detail"]) == (decision["id"], "turned", "")
    first = answer["counterfactuals"][0]
    changes = {change["field"]: change["after"] for change in first["changes"]}
    assert changes.keys() == {"amount", "newbalanceOrig", "newbalanceDest"}
    instead = bob.post("/v1/decisions", asking(DRAINED | {"nameOrig": "Ann"} | changes)).json()
    assert instead["recommended_action"] == first["recommended_action"] != decision["recommended_action"]
    assert instead["fraud_probability"] == pytest.approx(first["fraud_probability"], abs=1e-4)


def test_what_happened_later_has_no_say(alice: Api, drain: Callable[[], int]) -> None:
    decision = alice.post("/v1/decisions", asking(DRAINED | {"nameOrig": "Ann"})).json()
    before = told(alice, decision, "counterfactuals")
    for number in range(20):
        alice.post("/v1/decisions", asking(TRANSFER | {"nameOrig": "Ann", "amount": 1_000.0 + number, "step": 372}))
    drain()
    assert told(alice, decision, "counterfactuals") == before


def test_the_policy_is_the_one_whose_version_the_decision_tells(alice: Api, drain: Callable[[], int]) -> None:
    """Not the one that was in force at its time: a version published while it was being made did not decide it."""
    publish_to(alice, Policy(medium=0.2))
    decision = alice.post("/v1/decisions", asking(DRAINED | {"nameOrig": "Ann"})).json()
    before = {what: told(alice, decision, what) for what in ("counterfactuals", "adverse-action")}
    assert before["counterfactuals"]["why"] == "turned"
    other = Policy(review_at=1.0, block_at=1.0, built_in=(Tuning("drained_account", "paysim", "note"),))
    publish_to(alice, other)
    with in_tenant(alice.tenant):
        early = times.read(decision["created_at"]) - timedelta(seconds=1)
        PublishedPolicy.objects.filter(version=2).update(published_at=early)
    for _ in range(2):
        assert {what: told(alice, decision, what) for what in before} == before
        drain()
    later = alice.post("/v1/decisions", asking(DRAINED | {"nameOrig": "Bob"})).json()
    assert later["policy_version"] == 2 and later["recommended_action"] != decision["recommended_action"]


def test_an_approval_had_nothing_to_turn_and_no_reasons(alice: Api) -> None:
    decision = alice.post("/v1/decisions", asking(TRANSFER)).json()
    answer = told(alice, decision, "counterfactuals")
    assert (answer["why"], answer["counterfactuals"]) == ("approved", []) and answer["detail"]
    notice = told(alice, decision, "adverse-action")
    assert (notice["adverse"], notice["reasons"]) == (False, [])


@pytest.mark.parametrize("recorded", [False, True])
def test_the_reasons_are_told_to_the_customer(alice: Api, drain: Callable[[], int], recorded: bool) -> None:
    decision = alice.post("/v1/decisions", asking(DRAINED)).json()
    if recorded:
        drain()
    notice = told(alice, decision, "adverse-action")
    assert (notice["adverse"], notice["recommended_action"]) == (True, "block")
    assert SENTENCES["ACCOUNT_EMPTIED"] in notice["reasons"]


@pytest.mark.parametrize("what", ["counterfactuals", "adverse-action"])
def test_a_decision_nobody_made_has_none(alice: Api, what: str) -> None:
    assert alice.get(f"/v1/decisions/dec_nothing/{what}").status_code == 404


BY_BIN = Aggregate("spent", "payments", ("card_bin",), "sum", "24h", of="amount")
SPENDING = Rule("spending", "block", when="aggregates.spent >= 100.0 && amount > 60.0", schema="payments")


def test_a_tenant_s_aggregate_stays_what_it_came_to_and_its_rule_is_asked_again(
    alice: Api, bob: Api, drain: Callable[[], int]
) -> None:
    """The present payment is never among those that are counted: its amount moves the rule, not the aggregate."""
    for api in (alice, bob):
        publish_to(api, Policy(rules=(SPENDING,), aggregates=(BY_BIN,), review_at=0.99, block_at=1.0))
        api.post("/v1/decisions", asking(PAYMENT | {"amount": 150.0}, schema="payments"))
    decision = alice.post("/v1/decisions", asking(PAYMENT, schema="payments")).json()
    assert decision["recommended_action"] == "block"
    alice.post("/v1/decisions", asking(PAYMENT | {"amount": 5_000.0}, schema="payments"))
    for _ in range(2):
        (first,) = told(alice, decision, "counterfactuals")["counterfactuals"]
        assert [(change["field"], change["after"]) for change in first["changes"]] == [("amount", 60.0)]
        drain()
    instead = bob.post("/v1/decisions", asking(PAYMENT | {"amount": 60.0}, schema="payments")).json()
    assert instead["recommended_action"] == first["recommended_action"] == "approve"


@pytest.mark.parametrize(("by", "why"), [("Card_Type", "turned"), ("Authentication_Method", "rule_decides")])
def test_what_an_aggregate_says_of_another_is_not_told(alice: Api, by: str, why: str) -> None:
    """Who pays by another method is another to what is counted by it, whose past is not known."""
    counted = Aggregate("tries", "card_activity", (by,), "count", "24h")
    weak = Rule("weak", "block", when='Authentication_Method == "Password"', schema="card_activity")
    often = Rule("often", "block", when="aggregates.tries >= 200", schema="card_activity")
    publish_to(alice, Policy(rules=(weak, often), aggregates=(counted,), review_at=0.99, block_at=1.0))
    sent = MAKERS["card_activity"](random.Random(1)) | {"Authentication_Method": "Password"}
    decision = alice.post("/v1/decisions", asking(sent, schema="card_activity")).json()
    assert decision["decisive"]["id"] == "weak"
    assert told(alice, decision, "counterfactuals")["why"] == why
