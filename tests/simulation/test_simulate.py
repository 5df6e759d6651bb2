"""A policy held against a tenant's own decisions: what happened when it is the one that decided, every decision."""

import random
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from django.utils import timezone

from apps.accounts.tenancy import in_tenant
from apps.api_keys.gate import names_of
from apps.batches.models import Batch
from apps.scoring.engine.decide import Policy
from apps.scoring.engine.models import ModelRefused
from apps.scoring.engine.rules import Condition, Rule, Tuning
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.snoozes import Snooze
from apps.scoring.models import Decision
from apps.scoring.serving.runtime import get_scoring
from apps.simulation import reading, services
from apps.simulation.curves import Costs
from apps.simulation.models import Flip, Simulation
from apps.valkey import Valkey
from tests.batches.sent import csv_of, worked
from tests.cast import Api
from tests.simulation.past import POLICIES, as_json, decide_on, publish_to

pytestmark = pytest.mark.django_db(transaction=True)

OUTCOMES = ("fatal_block", "allow", "block", "challenge", "review", "note")


def any_policy(chance: random.Random) -> Policy:
    """Thresholds that may stand anywhere, and rules on whatever a kind has: numbers, texts, features."""
    review_at, block_at = sorted(round(chance.random(), chance.randint(1, 6)) for _ in range(2))
    medium, high, critical = sorted(round(chance.uniform(0.01, 1), 2) for _ in range(3))
    rules = [
        _any_rule(chance, schema, number) for number in range(2) for schema in ("paysim", "payments", "card_activity")
    ]
    return Policy(
        medium=medium, high=high, critical=critical, review_at=review_at, block_at=block_at, rules=tuple(rules),
        default_action=chance.choice(("review", "block", "approve")), home_country=chance.choice(("", "USA")),
    )  # fmt: skip


def _any_rule(chance: random.Random, schema: str, number: int) -> Rule:
    kind = SCHEMAS[schema]
    asked = [(kind.amount_field, "gt", round(chance.expovariate(1 / 300), 2))]
    feature = chance.choice([one for one in kind.feature_names if one not in kind.types])
    asked.append((feature, chance.choice(("lt", "ge")), round(chance.uniform(0, 3), 3)))
    conditions = tuple(Condition(*one) for one in asked[: chance.randint(1, 2)])
    return Rule(f"{schema}{number}", chance.choice(OUTCOMES), conditions, schema=schema)


#: Kind → what its rules ask of a list and of what is counted, and whom a snooze is for.
ASKED = {
    "paysim": ("nameDest in lists.accounts", "origin.count_24h > 0.0", ("type", "transfer")),
    "payments": ("merchant_id in lists.shops", "user.sum_7d < 200.0", ("merchant_category", "gas_transport")),
    "card_activity": ("!(Merchant_ID in lists.shops_by_number)", "user.count_1h >= 1.0", ("Card_Type", "Visa")),
    "ieee_cis": ("card1 in lists.cards", "TransactionAmt > 100.0", ("ProductCD", "W")),
}
#: List → its type, and what it holds.
HELD: dict[str, tuple[str, list[str]]] = {
    "accounts": ("user", [f"C{number}" for number in range(1, 8_000)]),
    "shops": ("merchant", [f"m{number}" for number in range(1, 350)]),
    "shops_by_number": ("merchant", [str(number) for number in range(1, 450)]),
    "cards": ("card", [str(number) for number in range(1_000, 9_500)]),
}


def richer(chance: random.Random) -> Policy:
    """Such a policy with whatever else one may say: lists, counts of parties, shares, shadows, snoozes, tunings."""
    policy = any_policy(chance)
    rules = [*policy.rules]
    for schema, (on_list, counted, _) in ASKED.items():
        for name, when in (("listed", on_list), ("counted", counted), ("both", f"{on_list} && {counted}")):
            state = "live" if name == "listed" else chance.choice(("live", "live", "shadow", "draft"))
            share = chance.choice((100, 100, 60, 15))
            rule = Rule(f"{schema}.{name}", chance.choice(OUTCOMES), when=when, schema=schema, state=state, share=share)
            rules.append(rule)
    until = timezone.now() + timedelta(days=2)
    snoozes = [
        Snooze(chance.choice([rule.id for rule in rules if rule.schema in ("", schema)]), field, value, until)
        for schema, (_, _, (field, value)) in ASKED.items()
    ]
    built_in = [rule for schema in SCHEMAS.values() for rule in schema.rules]
    snoozes.append(Snooze(chance.choice(built_in).id, "type", "CASH_OUT", until))
    tunings = [
        Tuning(rule.id, schema.name, chance.choice(("block", "challenge", "review", "note", "off")))
        for schema in SCHEMAS.values()
        for rule in chance.sample(list(schema.rules), min(2, len(schema.rules)))
    ]
    return msgspec.structs.replace(
        policy, rules=tuple(rules), snoozes=tuple(snoozes), built_in=tuple(tunings), home_country="USA"
    )


def simulated(api: Api, **asked: Any) -> dict[str, Any]:
    answer = api.post("/v1/policies/simulate", {"days": 2, **asked})
    assert answer.status_code == 200, answer.content
    return answer.json()  # type: ignore[no-any-return]  # JSON


def test_the_policy_that_decided_would_have_decided_what_it_did(
    alice: Api, drain: Callable[[], int], send: Callable[..., Batch]
) -> None:
    for seed in range(8):
        chance = random.Random(seed)
        with in_tenant(alice.tenant):
            Decision.objects.all().delete()
        publish_to(alice, any_policy(chance))
        decide_on(alice, chance, 40)
        worked(send(alice, csv_of(60)))
        drain()
        outcome = simulated(alice)["outcome"]
        with in_tenant(alice.tenant):
            happened = Counter(Decision.objects.values_list("recommended_action", flat=True))
        assert outcome["decisions"] == sum(happened.values()) == 4 * 41 + 60
        assert (outcome["flips"], outcome["flipped"], outcome["not_exact"]) == ([], 0, 0), seed
        assert outcome["before"] == outcome["after"]
        assert {name: count for name, count in outcome["after"]["actions"].items() if count} == happened


@pytest.mark.parametrize("seed", range(4))
def test_whatever_it_asks_for_and_whatever_was_away_it_would_have_decided_what_it_did(
    alice: Api, valkey: Valkey, drain: Callable[[], int], send: Callable[..., Batch], monkeypatch: pytest.MonkeyPatch,
    seed: int,
) -> None:  # fmt: skip
    """Every kind, one by one and many at once, by the champion, another model and the ensemble; with lists that change
    meanwhile, a list that is lost, and a model that is away."""
    chance = random.Random(seed)
    for name, (item_type, values) in HELD.items():
        alice.post("/v1/lists", {"name": name, "item_type": item_type})
        added = alice.post(f"/v1/lists/{name}/items", {"items": [{"value": value} for value in values]})
        assert added.status_code == 200
    publish_to(alice, richer(chance))
    decide_on(alice, chance, 25)
    decide_on(alice, chance, 5, ["paysim", "card_activity"], model="ensemble")
    alice.post("/v1/lists/shops/items/remove", {"values": HELD["shops"][1][:200]})
    alice.post("/v1/lists/accounts/items", {"items": [{"value": f"C{number}"} for number in range(8_000, 14_000)]})
    decide_on(alice, chance, 15)
    worked(send(alice, csv_of(30)))
    valkey.command("UNLINK", names_of(alice.tenant.handle, True).list("shops"))
    decide_on(alice, chance, 10, ["payments", "ieee_cis"])
    models = get_scoring().engine.models
    away = {name: ModelRefused("for the test") for name in models["paysim"]}
    with monkeypatch.context() as patched:
        patched.setitem(models, "paysim", away)  # type: ignore[arg-type]  # a mapping that may be changed
        decide_on(alice, chance, 10, ["paysim"])
    drain()
    with in_tenant(alice.tenant):
        decisions = list(Decision.objects.values_list("recommended_action", "answer"))
    degraded = Counter(word for _, answer in decisions for word in ("lists", "model:") if f'"{word}' in answer)
    assert degraded["lists"] >= 10 and degraded["model:"] >= 10
    outcome = simulated(alice)["outcome"]
    assert (outcome["flips"], outcome["flipped"], outcome["not_exact"]) == ([], 0, 0)
    happened = Counter(action for action, _ in decisions)
    assert {name: count for name, count in outcome["after"]["actions"].items() if count} == happened


def test_what_a_draft_would_decide_is_what_it_then_decides(alice: Api, drain: Callable[[], int]) -> None:
    """Simulated over a past, and then published before the same transactions come again from nobody known."""
    for seed in range(3):
        draft = any_policy(random.Random(seed))
        with in_tenant(alice.tenant):
            Decision.objects.all().delete()
        publish_to(alice, Policy(home_country=draft.home_country))
        decide_on(alice, random.Random(seed), 60, ["ieee_cis"])  # a kind whose features know no past
        drain()
        outcome = simulated(alice, policy=as_json(draft))["outcome"]
        with in_tenant(alice.tenant):
            Decision.objects.all().delete()
        publish_to(alice, draft)
        decide_on(alice, random.Random(seed), 60, ["ieee_cis"])
        drain()
        with in_tenant(alice.tenant):
            happened = Counter(Decision.objects.values_list("recommended_action", flat=True))
        assert {name: count for name, count in outcome["after"]["actions"].items() if count} == happened


def test_every_flip_is_counted_and_listed(alice: Api, drain: Callable[[], int]) -> None:
    decide_on(alice, random.Random(2), 50)
    drain()
    made = simulated(alice, thresholds={"review_at": 0.0}, policy={"default_action": "block"})
    outcome, found, cursor = made["outcome"], [], ""
    while True:
        page = alice.get(f"/v1/simulations/{made['id']}/flips?limit=20{cursor}").json()
        found += page["data"]
        if not page["has_more"]:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert outcome["flipped"] == len(found) > 20
    assert Counter((one["before"], one["after"]) for one in found) == {
        (one["before"], one["after"]): one["decisions"] for one in outcome["flips"]
    }
    assert len({one["decision"] for one in found}) == len(found)
    with in_tenant(alice.tenant):
        happened = dict(Decision.objects.values_list("id", "recommended_action"))
    assert all(happened[one["decision"]] == one["before"] != one["after"] for one in found)
    only = alice.get(f"/v1/simulations/{made['id']}/flips?limit=100&before=approve&after=review").json()["data"]
    assert {(one["before"], one["after"]) for one in only} == {("approve", "review")}


def test_labels_judge_and_nothing_learned_later_is_seen(alice: Api, drain: Callable[[], int]) -> None:
    """A label, more payments of the same parties, and rules of later date: the decisions' rows and what a policy makes
    of them stay as they were."""
    publish_to(alice, POLICIES[1])
    decide_on(alice, random.Random(7), 40, ["payments", "paysim"])
    drain()
    until = timezone.now()
    before, rows = _outcome(alice, POLICIES[3], until), _rows(alice, until)
    with in_tenant(alice.tenant):
        ids = list(Decision.objects.order_by("id").values_list("id", flat=True))
    labels = [
        {"decision_id": one, "label": ("fraud", "legitimate")[n % 2], "source": "issuer"} for n, one in enumerate(ids)
    ]
    assert alice.post("/v1/labels", {"labels": labels}).status_code == 200
    publish_to(alice, POLICIES[2])
    decide_on(alice, random.Random(7), 40, ["payments", "paysim"])  # the same parties, the same amounts
    drain()
    after, again = _outcome(alice, POLICIES[3], until), _rows(alice, until)
    assert again == rows
    for name in ("decisions", "flipped"):
        assert after[name] == before[name]
    assert (before["labels"], after["labels"]) == (0, len(ids))
    assert [one["actions"] for one in (before["before"], before["after"])] == [
        one["actions"] for one in (after["before"], after["after"])
    ]
    hits = [[(rule["id"], rule["hits"], rule["decided"]) for rule in one["rules"]] for one in (before, after)]
    assert hits[0] == hits[1]
    assert all(alice.post(f"/v1/decisions/{one}/replay", {}).json()["identical"] for one in ids)


def _outcome(api: Api, policy: Policy, until: datetime) -> dict[str, Any]:
    made = services.start(
        tenant=api.tenant, livemode=True, policy=policy, begin=until - timedelta(days=1), end=until, schema="",
        costs=Costs(), now=timezone.now(), actor="test", later=_never,
    )  # fmt: skip
    assert made.result
    return made.result  # type: ignore[no-any-return]  # JSON


def _never(tenant_id: int, simulation_id: str) -> None:
    raise AssertionError("few decisions are worked through at once")


def _rows(api: Api, until: datetime) -> list[Any]:
    span = reading.Span(api.tenant.schema_name, True, until - timedelta(days=1), until)
    return [
        (
            part.schema,
            part.stored.made.rows.tobytes(),
            part.stored.made.counts.tobytes(),
            part.seen.probability.tobytes(),
        )
        for parts in reading.blocks(span)
        for part in parts
    ]


def test_money_and_quality_are_those_of_the_labels(alice: Api, drain: Callable[[], int]) -> None:
    decide_on(alice, random.Random(2), 30, ["payments"])
    drain()
    with in_tenant(alice.tenant):
        approved = list(Decision.objects.filter(recommended_action="approve").order_by("id")[:10])
    labels = [
        {"decision_id": row.pk, "label": "fraud" if n < 4 else "legitimate", "source": "issuer",
         **({"amount_lost": 100.0} if n == 0 else {})}
        for n, row in enumerate(approved)
    ]  # fmt: skip
    assert alice.post("/v1/labels", {"labels": labels}).status_code == 200
    made = simulated(
        alice, thresholds={"review_at": 0.0, "block_at": 1.0}, costs={"loss": 1, "review": 0, "lost_sale": 0}
    )
    outcome = made["outcome"]
    assert (outcome["labels"], outcome["frauds"]) == (10, 4)
    assert outcome["before"]["quality"]["recall"]["value"] == 0.0
    assert outcome["after"]["quality"]["recall"]["value"] == 1.0
    assert outcome["after"]["quality"]["precision"]["value"] == 0.4
    assert outcome["money"]["saved"]["value"] == pytest.approx(100 + sum(row.amount for row in approved[1:4]), abs=0.01)
    assert outcome["money"]["disturbed"]["value"] == pytest.approx(sum(row.amount for row in approved[4:]), abs=0.01)
    (curve,) = outcome["thresholds"]
    assert curve["best"]["threshold"] == 0.0 and curve["best"]["cost"] == 0.0


def test_rules_that_are_dead_or_redundant_are_told(alice: Api, drain: Callable[[], int]) -> None:
    decide_on(alice, random.Random(2), 30, ["payments"])
    drain()
    asked = {"never": ("block", 1e8), "all": ("block", 0.5), "some": ("block", 9), "noted": ("note", 9)}
    rules = [
        {"id": name, "outcome": outcome, "schema": "payments", "all": [{"field": "amount", "op": "gt", "value": least}]}
        for name, (outcome, least) in asked.items()
    ]
    told = {one["id"]: one["state"] for one in simulated(alice, rules=rules)["outcome"]["rules"]}
    assert [told[name] for name in asked] == ["dead", "live", "redundant", "live"]


def test_many_are_worked_through_in_the_background_and_one_that_stands_still_is_run_again(
    alice: Api, bob: Api, drain: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    decide_on(alice, random.Random(2), 10)
    drain()
    monkeypatch.setattr(services, "AT_ONCE", 5)
    monkeypatch.setattr(reading, "BLOCK", 7)
    asked: list[tuple[int, str]] = []
    now = timezone.now()
    made = services.start(
        tenant=alice.tenant, livemode=True, policy=Policy(review_at=0.0), begin=now - timedelta(days=1), end=now,
        schema="", costs=Costs(), now=now, actor="test", later=lambda *one: asked.append(one),
    )  # fmt: skip
    assert (made.state, asked) == ("queued", [(alice.tenant.pk, made.pk)])
    told = alice.get(f"/v1/simulations/{made.pk}").json()
    assert (told["state"], told["progress"], told["outcome"]) == ("queued", 0, None)
    services.wake(alice.tenant, made, now + timedelta(minutes=2), lambda *one: asked.append(one))
    assert len(asked) == 2
    assert services.run(alice.tenant, made.pk, now) is True
    assert services.run(alice.tenant, made.pk, now) is False
    told = alice.get(f"/v1/simulations/{made.pk}").json()
    assert (told["state"], told["progress"], told["outcome"]["decisions"]) == ("completed", 100, 44)
    assert [one["id"] for one in alice.get("/v1/simulations").json()["data"]] == [made.pk]
    assert bob.get(f"/v1/simulations/{made.pk}").status_code == 404
    assert alice.in_test_mode().get(f"/v1/simulations/{made.pk}").status_code == 404
    with in_tenant(alice.tenant):
        first = Flip.objects.count()
        Simulation.objects.update(state="running", touched_at=now - timedelta(minutes=5))
        assert services.run(alice.tenant, made.pk, now)
        assert Flip.objects.count() == first == told["outcome"]["flipped"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"days": 0}, "days"),
        ({"from": "2026-13-01"}, "from"),
        ({"from": "2026-01-01", "days": 3}, "days"),
        ({"from": "2030-01-01"}, "from"),
        ({"thresholds": {"review_at": 2}}, "thresholds.review_at"),
        ({"thresholds": {"review_at": 0.9}}, "0"),
        ({"rules": [{"id": "x", "outcome": "block", "all": [{"field": "nothing", "op": "gt", "value": 1}]}]}, ""),
        ({"version": 7}, "version"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_what_is_wrong_is_told(alice: Api, body: dict[str, Any], param: str) -> None:
    answer = alice.post("/v1/policies/simulate", body)
    assert (answer.status_code, answer.json()["code"]) == (422, "field_invalid")
    assert param in answer.json()["param"] or answer.json()["param"]
