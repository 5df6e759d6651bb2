"""A tenant's own rules and thresholds: published, they decide from the next request on, for that tenant alone."""

import random

import msgspec
import pytest
from django.utils import timezone

from apps.accounts.models import Tenant
from apps.accounts.tenancy import in_tenant
from apps.api_keys.services import get_gate, invalidate_pending, mark_changed
from apps.scoring.engine.decide import Policy
from apps.scoring.engine.rules import Condition, InvalidRules, Rule
from apps.scoring.models import PublishedPolicy
from apps.scoring.policies import publish
from apps.scoring.serving.runtime import get_scoring
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
    get_scoring.cache_clear()


def _publish(api: Api, policy: Policy) -> int:
    return publish(tenant=api.tenant, policy=policy, gate=get_gate(), now=timezone.now())


def test_a_tenants_allow_rule_goes_before_the_built_in_block(alice: Api, bob: Api) -> None:
    before = alice.post("/v1/decisions", ASK).json()
    version = _publish(alice, Policy(rules=(TRUSTED,)))
    after, others = alice.post("/v1/decisions", ASK).json(), bob.post("/v1/decisions", ASK).json()
    assert (before["decisive"]["id"], before["recommended_action"]) == ("black_hole", "block")
    assert version == 1
    assert (after["decisive"]["id"], after["recommended_action"]) == ("trusted", "approve")
    outcomes = {rule["id"]: rule["outcome"] for rule in after["rules"]}
    assert (outcomes["black_hole"], outcomes["trusted"]) == ("hit", "hit")
    assert after["fraud_probability"] > 0.0  # the model's score is given also when a rule decides
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


# --- rules that err, and rules of other kinds ---

PAYMENT = {"schema": "payments", "transaction": {"amount": 9000.0, "user_id": "u", "merchant_id": "17"}}
DECIDED_NOTHING = "Rules that could not be evaluated decided nothing: {}."


def _published_before(api: Api, *rules: Rule) -> None:
    """Under what was checked then: nothing."""
    document = msgspec.to_builtins(Policy(version=1, rules=rules))
    with in_tenant(api.tenant):
        PublishedPolicy.objects.create(version=1, document=document, published_at=timezone.now())
    Tenant.objects.filter(pk=api.tenant.pk).update(policy_version=1)
    mark_changed(Tenant.objects.get(pk=api.tenant.pk))
    invalidate_pending(get_gate())


def test_rules_published_before_still_decide_and_those_that_err_are_told(alice: Api) -> None:
    quoted = Rule("quoted", "block", (Condition("amount", "gt", "5000"),))
    gone = Rule("gone", "block", (Condition("no_such_field", "gt", 1),))
    numbers = Rule("numbers", "fatal_block", (Condition("merchant_id", "in", (17,)),))
    good = Rule("good", "challenge", (Condition("amount", "gt", 5000),))
    _published_before(alice, quoted, gone, numbers, good)
    answer = alice.post("/v1/decisions", PAYMENT)
    told = answer.json()
    outcomes = {rule["id"]: rule["outcome"] for rule in told["rules"]}
    assert answer.status_code == 200
    assert told["decisive"]["id"] == "good"
    assert [outcomes[one] for one in ("quoted", "gone", "numbers", "good")] == ["error", "error", "error", "hit"]
    assert [one for one in told["warnings"] if one.startswith(DECIDED_NOTHING.format("quoted, gone, numbers"))]
    assert told["degraded"] == [] and told["billed_units"] == 1
    (row,) = alice.post("/v1/decisions/batch", {"schema": "payments", "transactions": [PAYMENT["transaction"]]}).json()[
        "data"
    ]
    assert row["warnings"] == told["warnings"]


def test_such_rules_are_not_published_again(alice: Api) -> None:
    with pytest.raises(InvalidRules, match="'amount' is a number"):
        _publish(alice, Policy(rules=(Rule("quoted", "block", (Condition("amount", "gt", "5000"),)),)))


def test_a_rule_is_asked_of_the_kinds_that_have_its_fields(alice: Api) -> None:
    """Elsewhere it is not there, and errs nowhere."""
    abroad = Rule("abroad", "review", (Condition("country", "ne", other="home_country"), Condition("amount", "gt", 50)))
    _publish(alice, Policy(rules=(abroad,), home_country="Kenya"))
    there, here = alice.post("/v1/decisions", PAYMENT).json(), alice.post("/v1/decisions", ASK).json()
    assert [rule["outcome"] for rule in there["rules"] if rule["id"] == "abroad"] == ["no_hit"]
    assert "abroad" not in {rule["id"] for rule in here["rules"]}
    assert there["warnings"] == here["warnings"] == []


def test_a_rule_may_ask_for_a_time(alice: Api) -> None:
    late = Rule("late", "challenge", (Condition("timestamp", "ge", "2026-01-15T10:00:00Z"),), schema="payments")
    _publish(alice, Policy(rules=(late,)))
    for said, hit in (("2026-01-15T09:59:59", False), ("2026-01-15T11:00:00+01:00", True), (None, False)):
        transaction = PAYMENT["transaction"] | ({"timestamp": said} if said else {})
        told = alice.post("/v1/decisions", PAYMENT | {"transaction": transaction}).json()
        assert (told["decisive"]["id"] == "late") == hit


# --- versions, over the API ---

LARGE = {"id": "large", "outcome": "review", "all": [{"field": "amount", "op": "gt", "value": 5000}]}


def test_versions_are_published_read_compared_and_taken_up_again(alice: Api, bob: Api) -> None:
    first = alice.post("/v1/policies", {"policy": {"review_at": 0.2}, "note": "Fewer misses."}).json()
    second = alice.post("/v1/policies", {"policy": {"rules": [LARGE]}, "based_on": first["version"]}).json()
    assert [(one["member"], one["before"], one["after"]) for one in first["changes"]] == [("review_at", 0.3, 0.2)]
    assert [one["member"] for one in second["changes"]] == ["rules.large"]
    assert (second["policy"]["review_at"], second["policy"]["version"]) == (0.2, 2)
    page = alice.get("/v1/policies?limit=1").json()
    assert [(one["version"], one["in_force"], one["note"]) for one in page["data"]] == [(2, True, "")]
    rest = alice.get(f"/v1/policies?cursor={page['next_cursor']}").json()
    assert [(one["version"], one["in_force"], one["note"]) for one in rest["data"]] == [(1, False, "Fewer misses.")]
    assert rest["data"][0]["published_by"].startswith("key:")
    assert alice.get("/v1/policies/2/diff").json()["changes"] == second["changes"]
    against = alice.get("/v1/policies/1/diff?against=2").json()
    assert [(one["member"], one["after"]) for one in against["changes"]] == [("rules.large", None)]
    assert bob.get("/v1/policies/2").status_code == 404
    back = alice.post("/v1/policies/1/rollback", {}).json()
    assert (back["version"], [one["member"] for one in back["changes"]]) == (3, ["rules.large"])
    assert alice.get("/v1/policies/3").json()["note"] == "Back to version 1."
    default = alice.post("/v1/policies/0/rollback", {"note": "As everybody."}).json()
    assert default["policy"]["review_at"] == 0.3
    assert alice.get("/v1/policies/0").json()["published_at"] is None


def test_a_policy_that_decides_is_told_by_its_decisions(alice: Api) -> None:
    any_transfer = {**LARGE, "id": "any", "all": [{"field": "type", "op": "eq", "value": "TRANSFER"}]}
    version = alice.post("/v1/policies", {"policy": {"rules": [any_transfer]}}).json()["version"]
    told = alice.post("/v1/decisions", ASK).json()
    assert told["policy_version"] == version
    assert {"id": "any", "outcome": "hit"} in told["rules"]


def test_a_dry_run_publishes_nothing_and_an_outdated_one_is_refused(alice: Api) -> None:
    dry = alice.post("/v1/policies", {"policy": {"rules": [LARGE]}, "dry_run": True}).json()
    assert (dry["version"], dry["dry_run"], [one["member"] for one in dry["changes"]]) == (None, True, ["rules.large"])
    assert alice.get("/v1/policies").json()["data"] == []
    alice.post("/v1/policies", {"policy": {"review_at": 0.2}})
    late = alice.post("/v1/policies", {"policy": {"review_at": 0.1}, "based_on": 0})
    assert (late.status_code, late.json()["code"]) == (409, "policy_outdated")


@pytest.mark.parametrize(
    ("policy", "param"),
    [
        ({"review_at": 0.9}, "policy"),
        ({"rules": [{**LARGE, "all": [{"field": "amont", "op": "gt", "value": 1}]}]}, "policy"),
        (
            {"rules": [{**LARGE, "all": [{"field": "amount", "op": "gt", "value": "1"}]}]},
            "policy.rules[0].all[0].value",
        ),
        ({"reviewat": 0.9}, "policy"),
    ],
)
def test_what_is_wrong_with_a_policy_is_told_with_its_place(alice: Api, policy: dict, param: str) -> None:
    answer = alice.post("/v1/policies", {"policy": policy})
    assert (answer.status_code, answer.json()["code"]) == (422, "field_invalid")
    assert answer.json()["param"].startswith(param)
