"""Aggregates through the API: defined, counted, asked by rules on every path, stored, made again, archived, erased."""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pytest_django import DjangoAssertNumQueries

from apps.accounts.models import Tenant
from apps.accounts.tenancy import in_tenant
from apps.batches.models import Batch
from apps.scoring import aggregate_changes, policies
from apps.scoring.engine import made_on
from apps.scoring.models import Decision, PublishedPolicy
from apps.scoring.serving.rehearsal import bring_scripts
from apps.valkey import Valkey
from tests.api.bodies import asking
from tests.batches.conftest import send
from tests.batches.sent import worked
from tests.cast import Api

__all__ = ["send"]

BY_BIN = {"name": "bin_count_1h", "schema": "payments", "by": ["card_bin"], "function": "count", "window": "1h"}
SPENT = {**BY_BIN, "name": "bin_spent_24h", "function": "sum", "of": "amount", "window": "24h"}
RULE = {
    "id": "tried",
    "outcome": "review",
    "schema": "payments",
    "state": "live",
    "when": "aggregates.bin_count_1h >= 2",
}
PAYMENT: dict[str, Any] = {
    "amount": 20.0, "user_id": "Ann", "merchant_id": "M1", "card_bin": "424242", "timestamp": "2026-03-01T10:00:00Z",
}  # fmt: skip


def define(api: Api, *aggregates: Mapping[str, Any], rules: Sequence[Mapping[str, Any]] = (RULE,)) -> None:
    for path, all_of_them in (("/v1/aggregates", aggregates), ("/v1/rules", rules)):
        for one in all_of_them:
            answer = api.post(path, one)
            assert answer.status_code == 200, answer.content


def pay(api: Api, **changed: Any) -> dict[str, Any]:
    dry_run = changed.pop("dry_run", False)
    said = {name: value for name, value in {**PAYMENT, **changed}.items() if value is not None}
    answer = api.post("/v1/decisions", asking(said, schema="payments", dry_run=dry_run))
    assert answer.status_code == 200, answer.content
    return dict(answer.json())


def hit(decision: Mapping[str, Any], rule: str = "tried") -> str:
    return str({one["id"]: one["outcome"] for one in decision["rules"]}[rule])


def kept(api: Api) -> list[dict[str, float]]:
    """What each stored decision's aggregates came to, in the order of deciding."""
    found = []
    with in_tenant(api.tenant):
        rows = list(Decision.objects.order_by("created_at", "row"))
    for row in rows:
        policy = policies.get_policies().get(api.tenant.schema_name, row.policy_version or 0)
        made = bytes(row.made_on or b"")
        size = 8 * len(policy.aggregates)
        found.append(made_on.known_aggregates(policy.aggregates, 0, made[len(made) - size :]))
    return found


def test_a_rule_asks_what_was_counted_before_the_transaction(alice: Api, drain: Callable[[], int]) -> None:
    define(alice, BY_BIN, SPENT)
    assert [hit(pay(alice)) for _ in range(4)] == ["no_hit", "no_hit", "hit", "hit"]
    assert hit(pay(alice, card_bin="555555")) == "no_hit"
    assert hit(pay(alice, card_bin=None)) == "no_hit"  # null: nobody is counted by
    decisive = pay(alice)
    assert decisive["decisive"] == {"kind": "rule", "id": "tried"}
    assert decisive["reasons"][0]["value"] == 4.0
    drain()
    told = [(one["aggregates.bin_count_1h"], one["aggregates.bin_spent_24h"]) for one in kept(alice)]
    assert told[:5] == [(0, 0), (1, 20), (2, 40), (3, 60), (0, 0)] and told[6] == (4, 80)


def test_by_event_time_late_and_ahead(alice: Api) -> None:
    define(alice, BY_BIN)
    pay(alice, timestamp="2026-03-01T10:00:00Z")
    pay(alice, timestamp="2026-03-01T10:30:00Z")
    assert hit(pay(alice, timestamp="2026-03-01T09:59:59Z")) == "no_hit"  # late: nothing was before it
    assert hit(pay(alice, timestamp="2026-03-01T11:00:00Z")) == "no_hit"  # 10:00 is no longer inside
    assert hit(pay(alice, timestamp="2026-03-01T10:45:00Z")) == "hit"
    pay(alice, timestamp="2999-01-01T00:00:00Z", card_bin="777777")
    pay(alice, timestamp="2999-01-01T00:00:00Z", card_bin="777777")
    assert hit(pay(alice, timestamp=None, card_bin="777777")) == "no_hit"


def test_a_transaction_counts_once_and_a_dry_run_never(alice: Api) -> None:
    define(alice, BY_BIN)
    for _ in range(3):
        pay(alice, dry_run=True)
    pay(alice, transaction_id="t1")
    pay(alice, transaction_id="t1")  # a duplicate
    pay(alice, transaction_id="t1", amount=21.0)  # new facts
    assert hit(pay(alice, dry_run=True)) == "no_hit"
    pay(alice)
    assert hit(pay(alice, dry_run=True)) == "hit"
    assert hit(pay(alice, transaction_id="t1", amount=22.0)) == "no_hit"  # it is not its own past


def test_a_condition_chooses_what_is_counted(alice: Api) -> None:
    define(alice, {**BY_BIN, "where": "amount > 100.0 && country == 'FR'"})
    for amount, country in ((150.0, "US"), (50.0, "FR"), (150.0, None), (150.0, "FR")):
        pay(alice, amount=amount, country=country)
    assert hit(pay(alice)) == "no_hit"
    pay(alice, amount=500.0, country="FR")
    assert hit(pay(alice)) == "hit"  # asked of every payment, also one that is not counted itself


def test_each_function_and_two_fields(alice: Api, drain: Callable[[], int]) -> None:
    two = {"schema": "payments", "by": ["card_bin", "merchant_id"], "window": "1h"}
    of = {"sum": "amount", "max": "amount", "average": "amount", "distinct": "user_id"}
    names = ("count", "sum", "max", "average", "distinct", "since_last")
    define(alice, *({**two, "name": name, "function": name, "of": of.get(name, "")} for name in names), rules=())
    for minute, amount, user in ((0, 10.0, "Ann"), (5, 40.0, " ANN"), (20, 10.0, "Bob")):
        pay(alice, timestamp=f"2026-03-01T10:{minute:02d}:00Z", amount=amount, user_id=user)
    pay(alice, timestamp="2026-03-01T10:30:00Z", merchant_id="m1 ")
    pay(alice, timestamp="2026-03-01T10:30:00Z", merchant_id="M2")
    drain()
    *_, last, other = kept(alice)
    assert [last[f"aggregates.{name}"] for name in names] == [3, 60, 40, 20, 2, 600]
    assert [other[f"aggregates.{name}"] for name in names[:2]] == [0, 0]
    assert all(other[f"aggregates.{name}"] != other[f"aggregates.{name}"] for name in ("max", "average", "since_last"))


def test_many_at_once_count_one_another_in_their_order(alice: Api) -> None:
    define(alice, BY_BIN)
    pay(alice)
    body = {"schema": "payments", "transactions": [PAYMENT, PAYMENT, {**PAYMENT, "card_bin": "5"}, PAYMENT]}
    told = alice.post("/v1/decisions/batch", body).json()["data"]
    assert [hit(one) for one in told] == ["no_hit", "hit", "no_hit", "hit"]
    assert hit(pay(alice)) == "hit"


def test_a_file_is_counted_as_its_rows_would_be_alone(
    alice: Api, bob: Api, send: Callable[..., Batch], drain: Callable[[], int]
) -> None:
    """The same payments by file and one by one, some of them twice, behind what single calls left."""
    rows = [
        {"amount": str(10 + number), "user_id": "U1", "merchant_id": "M1", "card_bin": str(4 + number % 2),
         "transaction_id": f"t{number % 9}-{number // 11}", "timestamp": f"2026-03-01T10:{number:02d}:00Z"}
        for number in range(24)
    ]  # fmt: skip
    for api in (alice, bob):
        define(api, BY_BIN, SPENT)
        pay(api, card_bin="4", timestamp="2026-03-01T09:59:00Z")
    drain()
    names = list(rows[0])
    content = "\n".join([",".join(names), *(",".join(row[name] for name in names) for row in rows)]).encode()
    worked(send(alice, content, "payments"))
    for row in rows:
        pay(bob, **{**row, "amount": float(row["amount"])})
    drain()
    by_file, alone = kept(alice), kept(bob)
    assert by_file == alone and len(alone) == 25
    assert max(one["aggregates.bin_count_1h"] for one in alone) > 5


def test_a_warm_request_asks_no_sql_and_nothing_more_of_valkey(
    alice: Api, valkey: Valkey, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    many = [{**BY_BIN, "name": f"a{number}", "window": "24h", "by": [field], "where": f"amount > {number}.5"}
            for number, field in enumerate(["card_bin", "user_id", "merchant_id", "country"] * 5)]  # fmt: skip
    bring_scripts(valkey)
    pay(alice)
    before = valkey.round_trips
    pay(alice)
    without = valkey.round_trips - before
    define(alice, *many, rules=[{**RULE, "when": "aggregates.a0 >= 2 && aggregates.a19 == null"}])
    pay(alice)
    before = valkey.round_trips
    with django_assert_num_queries(0):
        assert hit(pay(alice, country=None)) == "no_hit"
    assert valkey.round_trips - before == without


def test_a_decision_is_made_again_with_what_was_counted_then(alice: Api, drain: Callable[[], int]) -> None:
    define(alice, BY_BIN)
    made = [pay(alice)["id"] for _ in range(4)]
    drain()
    for decision in made:
        assert alice.post(f"/v1/decisions/{decision}/replay", {}).json()["differences"] == []


def test_a_draft_is_simulated_with_what_was_counted_then(alice: Api, drain: Callable[[], int]) -> None:
    define(alice, BY_BIN)
    for _ in range(5):
        pay(alice)
    drain()
    told = alice.post("/v1/policies/simulate", {"days": 2}).json()["outcome"]
    assert (told["flipped"], told["recounted"]) == (0, {})
    stricter = [{**RULE, "outcome": "block", "when": "aggregates.again >= 4"}]
    again, new = {**BY_BIN, "name": "again"}, {**BY_BIN, "name": "other", "window": "24h"}
    body = {"days": 2, "rules": stricter, "policy": {"aggregates": [again, new]}}
    told = alice.post("/v1/policies/simulate", body).json()
    assert told["outcome"]["after"]["actions"]["block"] == 1, told
    assert told["outcome"]["recounted"] == {"other": 5}


def test_what_was_not_counted_then_is_counted_anew_as_of_then(alice: Api, drain: Callable[[], int]) -> None:
    """Late ones, repeated ones and cards in place of names: what a draft would have known is what was counted live."""
    live = [{**BY_BIN, "where": "amount > 15.0"}, {**BY_BIN, "name": "users", "function": "distinct", "of": "user_id"},
            {**BY_BIN, "name": "by_user", "by": ["user_id"], "window": "30m"}]  # fmt: skip
    define(alice, *live, rules=())
    chance = random.Random(3)
    for number in range(60):
        minute = max(0, min(59, number + chance.choice([0, 0, -9, -30])))
        pay(
            alice, amount=chance.choice([10.0, 20.0]), card_bin=chance.choice(["4", "5", None]),
            user_id=chance.choice(["Ann", "4242424242424242", "5555555555554444"]),
            timestamp=f"2026-03-01T10:{minute:02d}:00Z", transaction_id=f"t{number - chance.choice([0, 0, 0, 2])}",
        )  # fmt: skip
    drain()
    draft = [{**one, "name": f"new_{one['name']}"} for one in live]
    rules = [
        {"id": f"{one['name']}_{limit}", "outcome": "note", "schema": "payments",
         "when": f"aggregates.new_{one['name']} == {limit}"}
        for one in live for limit in range(8)
    ]  # fmt: skip
    body = {"days": 2, "rules": rules, "policy": {"aggregates": draft}}
    kept_then = alice.post("/v1/policies/simulate", body).json()["outcome"]
    assert kept_then["recounted"] == {}
    with in_tenant(alice.tenant):  # as if nothing had been counted
        PublishedPolicy.objects.all().delete()
        Decision.objects.update(policy_version=0)
    policies.get_policies().forget()
    Tenant.objects.filter(pk=alice.tenant.pk).update(policy_version=0)
    anew = alice.post("/v1/policies/simulate", body).json()["outcome"]
    assert set(anew["recounted"]) == {one["name"] for one in draft}
    assert [one["hits"] for one in anew["rules"]] == [one["hits"] for one in kept_then["rules"]]
    assert sum(one["hits"] for one in anew["rules"]) > 60


def test_defined_listed_read_archived(alice: Api) -> None:
    made = alice.post("/v1/aggregates", {**BY_BIN, "reason": "Cards are tried."}).json()
    assert made | {"policy_version": 1} == {
        **BY_BIN, "object": "aggregate", "asked_as": "aggregates.bin_count_1h", "of": "", "where": "",
        "description": "", "archived": False, "used_by": [], "policy_version": 1,
    }  # fmt: skip
    assert alice.get("/v1/aggregates/bin_count_1h").json() == made
    assert alice.post("/v1/aggregates", BY_BIN).json()["code"] == "name_taken"
    define(alice, rules=[RULE])
    assert alice.get("/v1/aggregates").json()["data"][0]["used_by"] == ["tried"]
    used = alice.post("/v1/aggregates/bin_count_1h/archive", {})
    assert (used.status_code, used.json()["code"]) == (409, "aggregate_in_use") and "tried" in used.json()["detail"]
    alice.call("PATCH", "/v1/rules/tried", b'{"state": "retired"}')
    archived = alice.post("/v1/aggregates/bin_count_1h/archive", {"reason": "Over."}).json()
    assert archived["archived"] is True
    assert alice.post("/v1/aggregates/bin_count_1h/archive", {}).json() == archived  # harmless when repeated
    wrong = alice.call("PATCH", "/v1/rules/tried", b'{"state": "shadow"}')
    assert wrong.status_code == 422 and "You have no aggregate" in wrong.json()["detail"]
    assert alice.post("/v1/aggregates", BY_BIN).json()["code"] == "name_taken"
    diff = alice.get(f"/v1/policies/{archived['policy_version']}/diff").json()["changes"]
    assert [one["member"] for one in diff] == ["aggregates.bin_count_1h"]
    assert alice.get("/v1/aggregates/nothing").status_code == 404


def test_a_mistake_is_told_with_its_place(alice: Api) -> None:
    answer = alice.post("/v1/aggregates", {**BY_BIN, "where": "country == 'FR' && amout > 5.0"})
    told = answer.json()
    assert (answer.status_code, told["param"], told["line"], told["column"]) == (422, "where", 1, 20)
    assert told["suggestions"][0] == "amount"
    assert alice.post("/v1/aggregates", {**BY_BIN, "by": ["card_bim"]}).json()["suggestions"] == ["card_bin"]
    assert alice.get("/v1/aggregates").json()["data"] == []


def test_a_person_is_forgotten_and_so_is_what_was_counted_of_them(
    alice: Api, valkey: Valkey, drain: Callable[[], int]
) -> None:
    by_user = {**BY_BIN, "name": "user_count", "by": ["user_id"]}
    define(alice, BY_BIN, by_user)
    learn(alice, valkey)
    pay(alice, user_id="Quatermain-77")
    pay(alice)
    drain()
    assert len(counted(valkey)) == 3  # the card's, and each user's
    alice.call("DELETE", "/v1/entities/user/Quatermain-77")  # nothing of them is on its way: it is done at once
    found = counted(valkey)
    assert [len(valkey.command("GET", key)) // 48 for key in found] == [1, 1]
    assert aggregate_changes.ever(alice.tenant).aggregates


def learn(api: Api, valkey: Valkey) -> None:
    """Let this process meet the policy: what it knew before of a tenant of this name is asked once more."""
    pay(api)
    valkey.command("UNLINK", *counted(valkey))


def counted(valkey: Valkey) -> list[bytes]:
    return sorted(valkey.command("KEYS", "*:agg1:*"))


def test_no_name_stands_in_valkey(alice: Api, valkey: Valkey) -> None:
    define(alice, {**BY_BIN, "by": ["card_bin", "user_id"], "function": "distinct", "of": "merchant_id"}, rules=())
    learn(alice, valkey)
    pay(alice, user_id="4242424242424242", merchant_id="Quatermain-77")
    for key in counted(valkey):
        held = repr((key, valkey.command("GET", key))).lower()
        assert not any(name in held for name in ("4242", "quatermain"))
    assert len(counted(valkey)) == 1
