"""Rules through the API: written, checked, a shadow that is counted, live for a share, live, retired."""

import json
import time
from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from django.utils import timezone

from apps.accounts.tenancy import in_tenant
from apps.scoring.models import Decision, RuleDay
from tests.api.bodies import asking
from tests.cast import Api, new_key
from tests.scoring.engine.expressions.test_grammar import text_of

PAYMENT: dict[str, Any] = {"amount": 6000.0, "user_id": "Ann", "merchant_id": "M1", "country": "US"}
LARGE = {"id": "large", "outcome": "review", "schema": "payments", "when": "amount > 5000.0 && country == 'US'"}


def decide(api: Api, **changed: Any) -> dict[str, Any]:
    answer = api.post("/v1/decisions", asking({**PAYMENT, **changed}, schema="payments"))
    assert answer.status_code == 200, answer.content
    return dict(answer.json())


def outcome(api: Api, rule: str = "large", **changed: Any) -> str | None:
    return {one["id"]: one["outcome"] for one in decide(api, **changed)["rules"]}.get(rule)


def move(api: Api, **what: Any) -> dict[str, Any]:
    answer = api.call("PATCH", "/v1/rules/large", json.dumps(what).encode())
    assert answer.status_code == 200, answer.content
    return dict(answer.json())


def test_a_rules_life(alice: Api, drain: Callable[[], int]) -> None:
    made = alice.post("/v1/rules", {**LARGE, "reason": "A gang."}).json()
    assert (made["state"], made["share"], made["schemas"]) == ("draft", 100, ["payments"])
    assert outcome(alice) is None
    move(alice, state="shadow", reason="Count first.")
    assert outcome(alice) is None
    move(alice, state="live")
    told = decide(alice)
    assert told["decisive"] == {"kind": "rule", "id": "large"} and told["recommended_action"] == "review"
    assert outcome(alice, amount=10.0) == outcome(alice, country=None) == "no_hit"
    move(alice, state="retired")
    assert outcome(alice) is None
    steps = alice.get("/v1/rules/large/history").json()["data"]
    assert [(one["rule"]["state"], one["reason"]) for one in steps[::-1]] == [
        ("draft", "A gang."), ("shadow", "Count first."), ("live", ""), ("retired", ""),
    ]  # fmt: skip
    assert {one["by"] for one in steps} == {f"key:{alice.player.live.pk}"}
    drain()
    with in_tenant(alice.tenant):
        days = {row.rule: row.decisions for row in RuleDay.objects.filter(other="", rule__contains="large")}
        assert days == {"shadow:large": 1, "large": 1}
        assert Decision.objects.filter(rules_hit__contains=["shadow:large"]).count() == 1


def test_a_share_decides_for_the_same_ones_and_counts_the_others(alice: Api, drain: Callable[[], int]) -> None:
    alice.post("/v1/rules", {**LARGE, "state": "live", "share": 50})
    users = [f"user-{number}" for number in range(30)]
    half = {user for user in users if outcome(alice, user_id=user) == "hit"}
    assert 5 < len(half) < 25
    assert {user for user in users if outcome(alice, user_id=user) == "hit"} == half
    move(alice, share=100)
    assert all(outcome(alice, user_id=user) == "hit" for user in users)
    drain()
    with in_tenant(alice.tenant):
        assert RuleDay.objects.get(rule="shadow:large", other="").decisions == 2 * (30 - len(half))


def test_what_is_wrong_has_its_place(alice: Api) -> None:
    said = {"when": "amount > 5000 && contry == 'KE'", "schema": "payments"}
    for answer in (alice.post("/v1/rules/validate", said), alice.post("/v1/rules", {**LARGE, **said})):
        problem = answer.json()
        assert (answer.status_code, problem["code"], problem["param"]) == (422, "field_invalid", "when")
        assert (problem["line"], problem["column"], problem["offset"]) == (1, 18, 17)
        assert problem["suggestions"][0] == "country"
    assert alice.get("/v1/rules").json()["data"] == []


def test_what_a_condition_asks_for_is_told(alice: Api) -> None:
    alice.post("/v1/lists", {"name": "mules", "item_type": "merchant"})
    told = alice.post("/v1/rules/validate", {"when": "user.count_1h >= 3 && merchant_id in lists.mules"}).json()
    assert told["valid"] and told["lists"] == ["mules"] and told["schemas"] == ["payments"]
    assert told["names"] == ["merchant_id", "user.count_1h"]


def test_a_rule_asks_a_list_and_only_one_there_is(alice: Api) -> None:
    asking_list = {**LARGE, "outcome": "block", "when": "merchant_id in lists.mules", "state": "live"}
    refused = alice.post("/v1/rules", asking_list).json()
    assert (refused["param"], refused["offset"]) == ("when", 15)
    alice.post("/v1/lists", {"name": "mules", "item_type": "merchant"})
    alice.post("/v1/rules", asking_list)
    assert outcome(alice) == "no_hit"
    alice.post("/v1/lists/mules/items", {"items": [{"value": "M1"}]})
    assert outcome(alice) == "hit"


@pytest.mark.parametrize(
    ("what", "param"),
    [
        ({"state": "draft"}, "state"), ({"share": 0}, "share"), ({"when": "amount >"}, "when"), ({"when": ""}, "when"),
        ({"outcome": "explode"}, "outcome"), ({"schema": "nothing"}, "rule"), ({"id": "other"}, "id"),
        ({"all": []}, "all"),
    ],
)  # fmt: skip
def test_a_change_that_can_not_be_is_refused(alice: Api, what: dict[str, Any], param: str) -> None:
    alice.post("/v1/rules", {**LARGE, "state": "live"})
    before = alice.get("/v1/rules/large").json()
    answer = alice.call("PATCH", "/v1/rules/large", json.dumps(what).encode())
    assert (answer.status_code, answer.json()["param"]) == (422, param)
    assert alice.get("/v1/rules/large").json() == before


def test_a_rule_of_conditions_becomes_one_of_text_and_back(alice: Api) -> None:
    listed = [{"field": "amount", "op": "gt", "value": 5000}]
    made = alice.post("/v1/rules", {**{k: v for k, v in LARGE.items() if k != "when"}, "all": listed}).json()
    assert (made["when"], made["all"][0]["field"]) == ("", "amount")
    assert (move(alice, when="amount > 1")["all"], move(alice, all=listed)["when"]) == ([], "")


def test_the_same_name_twice_is_refused_and_nothing_new_publishes_nothing(alice: Api) -> None:
    version = alice.post("/v1/rules", LARGE).json()["policy_version"]
    assert alice.post("/v1/rules", LARGE).json()["param"] == "id"
    assert move(alice, description="")["policy_version"] == version
    assert move(alice, description="Large.")["policy_version"] == version + 1


def test_only_who_may_change_the_account_changes_rules(alice: Api) -> None:
    reader = alice.with_key(new_key(alice.tenant, scopes=["read"])[1])
    assert reader.post("/v1/rules/validate", {"when": "amount > 5"}).status_code == 200
    assert reader.get("/v1/rules").status_code == 200
    assert reader.post("/v1/rules", LARGE).json()["code"] == "scope_missing"


def test_a_snoozed_entity_is_left_alone_until_its_time(alice: Api, drain: Callable[[], int]) -> None:
    alice.post("/v1/rules", {**LARGE, "state": "live"})
    until = timezone.now() + timedelta(seconds=2)
    snooze = {"field": "user_id", "value": " ANN ", "until": until.isoformat(), "reason": "On a journey."}
    (told,) = alice.post("/v1/rules/large/snoozes", snooze).json()["data"]
    assert (told["rule"], told["field"], told["value"]) == ("large", "user_id", " ANN ")
    assert (outcome(alice), outcome(alice, user_id="Ben")) == ("no_hit", "hit")
    while timezone.now() < until:
        time.sleep(0.05)
    assert outcome(alice) == "hit"
    assert alice.get("/v1/rules/large/snoozes").json()["data"] == []
    drain()
    with in_tenant(alice.tenant):
        assert RuleDay.objects.get(rule="shadow:large", other="").decisions == 1


def test_a_snooze_ends_before_its_time_and_may_be_of_a_built_in_rule(alice: Api) -> None:
    far = {"amount": 60_000.0, "user_id": "Ann"}
    assert outcome(alice, "enormous_amount", **far) == "hit"
    until = (timezone.now() + timedelta(days=1)).isoformat()
    alice.post("/v1/rules/enormous_amount/snoozes", {"field": "user_id", "value": "Ann", "until": until})
    assert outcome(alice, "enormous_amount", **far) == "no_hit"
    rows = [{**PAYMENT, **far, "transaction_id": str(number)} for number in range(2)]
    (one, _) = alice.post("/v1/decisions/batch", {"schema": "payments", "transactions": rows}).json()["data"]
    assert {rule["id"]: rule["outcome"] for rule in one["rules"]}["enormous_amount"] == "no_hit"
    ended = alice.post("/v1/rules/enormous_amount/snoozes/end", {"field": "user_id", "value": "ann"})
    assert (ended.status_code, ended.json()["data"]) == (200, [])
    assert outcome(alice, "enormous_amount", **far) == "hit"


@pytest.mark.parametrize(
    ("what", "param"),
    [
        ({"until": "2020-01-01T00:00:00Z"}, "until"),
        ({"field": "shoe"}, "field"),
        ({"until": "2999-01-01T00:00:00Z"}, "until"),
    ],
)
def test_a_snooze_that_can_not_be_is_refused(alice: Api, what: dict[str, Any], param: str) -> None:
    alice.post("/v1/rules", LARGE)
    until = (timezone.now() + timedelta(days=1)).isoformat()
    answer = alice.post("/v1/rules/large/snoozes", {"field": "user_id", "value": "Ann", "until": until} | what)
    assert (answer.status_code, answer.json()["param"]) == (422, param)


def test_whatever_is_typed_is_answered(alice: Api) -> None:
    random = Random("typed")
    for _ in range(200):
        answer = alice.post("/v1/rules/validate", {"when": text_of(random), "schema": "payments"})
        assert answer.status_code in (200, 400, 422), answer.content
    assert alice.post("/v1/rules/validate", {"when": "amount > 5"}).status_code == 200
