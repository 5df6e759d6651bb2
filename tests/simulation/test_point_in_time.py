"""Nothing of later date reaches an earlier decision: later knowledge of every kind is planted, and is found nowhere."""

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from django.utils import timezone

from apps.accounts.tenancy import in_tenant
from apps.own_models.reading import read
from apps.scoring.engine.decide import Policy
from apps.scoring.engine.own_past import Doings, Frauds, counted_columns
from apps.scoring.engine.rules import Rule
from apps.scoring.lists import reads, services
from apps.scoring.lists.given import NewItem
from apps.scoring.lists.item_types import item_of
from apps.scoring.lists.tokens import token_of
from apps.scoring.models import Decision
from apps.simulation import services as simulations
from apps.simulation.curves import Costs
from apps.times import instant_us
from apps.valkey import Valkey
from tests.cast import Api
from tests.simulation.past import models_of_our_own, new_version, publish_to

pytestmark = pytest.mark.django_db(transaction=True)

CARD, OTHER_CARD = "4111111111111111", "5555555555554444"
#: What is in lists, and what payments name, however it is spelled; cards stand where a merchant should.
USERS = ("Ann", "bob ", "CARL", "dora")
SHOPS = ("4111 1111-1111 1111", CARD, "4111-1111-1111-1111", OTHER_CARD, "5555 5555 5555 4444", "m-1", "M-2")
ADDRESSES = ("10.1.2.3", "10.1.9.9", "10.7.0.1", "::ffff:10.1.2.4")
#: List → type, the field rules ask for, the items that come and go.
LISTS = {
    "people": ("user", "user_id", ("ann", "BOB", "carl", "Dora")),
    "shops": ("merchant", "merchant_id", ("M-1", "m-2", "4111-1111-1111-1111")),
    "cards": ("card", "merchant_id", (CARD, "5555-5555-5555-4444")),
    "bins": ("bin", "merchant_id", ("411111", "555555")),
    "nets": ("ip", "ip_address", ("10.1.0.0/16", "10.1.2.3", "10.7.0.0/24")),
}
ASKED = Policy(
    rules=tuple(
        Rule(f"in_{name}", "block", when=f"{field} in lists.{name}", schema="payments")
        for name, (_, field, _) in LISTS.items()
        if name in ("people", "cards")
    )
)
#: Asks for every list, beside what the policy that decided asked for.
DRAFT = Policy(
    rules=tuple(
        Rule(f"draft_{name}", "review", when=f"{field} in lists.{name}", schema="payments")
        for name, (_, field, _) in LISTS.items()
    )
)


class Lists(NamedTuple):
    """A tenant's lists, changed at times of the test's own."""

    api: Api
    valkey: Valkey

    def create(self, name: str, now: datetime) -> None:
        services.create(
            tenant=self.api.tenant, livemode=True, name=name, item_type=LISTS[name][0], description="",
            valkey=self.valkey, now=now, actor="test",
        )  # fmt: skip

    def add(self, name: str, value: str, now: datetime, expires_at: datetime | None = None) -> None:
        row = reads.find(self.api.tenant.schema_name, True, name)
        assert row is not None
        services.add_items(
            tenant=self.api.tenant, row=row, items=[NewItem(item_of(row.item_type, value), expires_at)],
            valkey=self.valkey, now=now, actor="test",
        )  # fmt: skip

    def remove(self, name: str, value: str, now: datetime) -> None:
        row = reads.find(self.api.tenant.schema_name, True, name)
        assert row is not None
        tokens = [token_of(item_of(row.item_type, value).name)]
        services.remove_items(tenant=self.api.tenant, row=row, tokens=tokens, valkey=self.valkey, now=now, actor="test")

    def change(self, chance: random.Random) -> None:
        """Add, add for a moment, or remove something."""
        name = chance.choice(list(LISTS))
        value, now = chance.choice(LISTS[name][2]), timezone.now()
        how = chance.choice(("add", "add", "expire", "remove"))
        if how == "remove":
            self.remove(name, value, now)
        else:
            self.add(name, value, now, now + timedelta(milliseconds=30) if how == "expire" else None)


@pytest.fixture
def lists(alice: Api, valkey: Valkey) -> Lists:
    return Lists(alice, valkey)


def paid(api: Api, chance: random.Random) -> dict[str, Any]:
    """A payment of few people, cards and addresses, and what was decided."""
    said = {
        "amount": round(chance.uniform(1, 900), 2), "user_id": chance.choice(USERS),
        "merchant_id": chance.choice(SHOPS), "ip_address": chance.choice(ADDRESSES),
    }  # fmt: skip
    answer = api.post("/v1/decisions", {"schema": "payments", "transaction": said})
    assert answer.status_code == 200, answer.content
    return answer.json()


def outcome(api: Api, policy: Policy, until: datetime) -> dict[str, Any]:
    made = simulations.start(
        tenant=api.tenant, livemode=True, policy=policy, begin=until - timedelta(days=1), end=until, schema="",
        costs=Costs(), now=timezone.now(), actor="test", later=lambda *one: pytest.fail("few are simulated at once"),
    )  # fmt: skip
    assert made.result
    judged = ("labels", "frauds", "immature", "money", "thresholds")
    found = {name: value for name, value in made.result.items() if name not in judged}
    for side in ("before", "after"):
        found[side] = made.result[side]["actions"]
    found["rules"] = [(one["id"], one["hits"], one["decided"]) for one in made.result["rules"]]
    found["flips"] = [(one["before"], one["after"], one["decisions"]) for one in made.result["flips"]]
    return found


def trained_on(api: Api, until: datetime) -> list[bytes]:
    """What an own model would be trained on: the decisions' features, and what was known of their parties then."""
    known = read(api.tenant, "payments", True).decisions
    then = known.at_ms < instant_us(until) // 1000
    row, since, ended = known.frauds.T
    columns = [
        counted_columns(
            Doings(known.parties[:, place], known.at_ms, known.hundredths),
            Frauds(known.parties[row, place], since, ended),
        )[then]
        for place in range(known.parties.shape[1])
    ]
    return [known.features[then].tobytes(), np.column_stack(columns).tobytes()]


def seen(api: Api, ids: list[str], until: datetime) -> dict[str, Any]:
    """All that looks back at these decisions."""
    return {
        "replays": [api.post(f"/v1/decisions/{one}/replay", {}).json()["differences"] for one in ids],
        "simulations": [outcome(api, policy, until) for policy in (ASKED, DRAFT, Policy())],
        "training": trained_on(api, until),
        "counterfactuals": [api.get(f"/v1/decisions/{one}/counterfactuals").json() for one in ids],
    }


@pytest.mark.parametrize("seed", range(2))
def test_later_knowledge_is_found_nowhere(
    alice: Api, lists: Lists, drain: Callable[[], int], tmp_path: Path, seed: int
) -> None:
    """Items that come, go and expire later, later lists, labels, policies and models, and the same people again."""
    chance = random.Random(seed)
    with models_of_our_own(tmp_path, ["payments"]) as folder:
        for name in ("people", "cards", "nets"):
            lists.create(name, timezone.now())
            lists.add(name, chance.choice(LISTS[name][2]), timezone.now())
        lists.add("nets", "10.7.0.0/24", timezone.now(), timezone.now() + timedelta(minutes=5))
        publish_to(alice, ASKED)
        ids = [paid(alice, chance)["id"] for _ in range(25)]
        drain()
        until = timezone.now()
        before = seen(alice, ids, until)
        assert before["replays"] == [[]] * len(ids)

        for name in ("shops", "bins"):
            lists.create(name, timezone.now())
        for name, (_, _, items) in LISTS.items():
            for value in items:
                lists.add(name, value, timezone.now())
        for name in ("people", "cards"):
            lists.remove(name, LISTS[name][2][0], timezone.now())
        lists.add("nets", "10.7.0.0/24", timezone.now(), timezone.now() + timedelta(days=9))
        labels = [
            {"decision_id": one, "label": chance.choice(("fraud", "legitimate")), "source": "issuer"} for one in ids
        ]
        assert alice.post("/v1/labels", {"labels": labels}).status_code == 200
        new_version(folder, "payments", "2027.9.1", 1.7)
        publish_to(alice, DRAFT)
        for _ in range(10):
            paid(alice, chance)
        drain()
        assert seen(alice, ids, until) == before


@pytest.mark.parametrize("seed", range(2))
def test_a_draft_sees_lists_as_they_were_at_each_decision(
    alice: Api, lists: Lists, drain: Callable[[], int], seed: int
) -> None:
    """Decided by a policy that asks for every list as a shadow would, and held against one that asks by other names:
    what was told then and what the lists' history says are the same, masked cards included."""
    chance = random.Random(seed)
    for name in LISTS:
        lists.create(name, timezone.now())
    publish_to(alice, DRAFT)
    told: dict[str, int] = dict.fromkeys(LISTS, 0)
    for _ in range(40):
        lists.change(chance)
        for one in paid(alice, chance)["rules"]:
            name = one["id"].removeprefix("draft_")
            told[name] = told.get(name, 0) + (one["outcome"] == "hit")
    drain()
    until = timezone.now()
    with in_tenant(alice.tenant):
        happened = {"approve": 0, "review": 0, "challenge": 0, "block": 0}
        for action in Decision.objects.values_list("recommended_action", flat=True):
            happened[action] += 1
    as_told = outcome(alice, DRAFT, until)
    assert (as_told["after"], as_told["flipped"]) == (happened, 0)
    with in_tenant(alice.tenant):
        Decision.objects.update(policy_version=0)  # as if nobody had asked: the lists' history alone is left
    by_history = outcome(alice, DRAFT, until)
    assert by_history["rules"] == as_told["rules"]
    hits = {rule.removeprefix("draft_"): hits for rule, hits, _ in as_told["rules"] if rule.startswith("draft_")}
    assert hits == {name: told[name] for name in LISTS} and sum(hits.values()) > 20
