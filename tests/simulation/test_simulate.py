"""A policy held against a tenant's own decisions: what happened when it is the one that decided, every decision."""

import random
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.accounts.tenancy import in_tenant
from apps.batches.models import Batch
from apps.scoring.engine.decide import Policy
from apps.scoring.engine.rules import Condition, Rule
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.models import Decision
from apps.simulation import reading, services
from apps.simulation.curves import Costs
from apps.simulation.models import Flip, Simulation
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
