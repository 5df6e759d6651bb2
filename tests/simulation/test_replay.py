"""A decision made again is the one that was made, to the byte; where it can't be, it is said what is not the same."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from apps.accounts.tenancy import in_tenant
from apps.batches.models import Batch
from apps.scoring.models import Decision, PublishedPolicy
from apps.scoring.policies import get_policies
from apps.scoring.serving.replay import replay
from apps.scoring.serving.runtime import get_scoring
from bench.transactions import MAKERS
from tests.api.bodies import DRAINED, asking
from tests.batches.sent import csv_of, worked
from tests.cast import Api
from tests.simulation.past import POLICIES, decide_on, models_of_our_own, new_version, publish_to

pytestmark = pytest.mark.django_db(transaction=True)

KINDS = ("paysim", "payments")
#: A card number where a merchant's is asked for, unknown fields and words: all of it is told in warnings.
REMARKED = {
    "amount": 12,
    "merchant_id": "4111111111111111",
    "user_id": "u",
    "colour": "red",
    "merchant_category": "odd",
}


def stored(api: Api) -> list[Decision]:
    with in_tenant(api.tenant):
        return list(Decision.objects.order_by("created_at", "row"))


def replayed(api: Api, row: Decision) -> Any:
    scoring = get_scoring()
    return replay(row, api.tenant.schema_name, scoring.policies, scoring.engine)


def test_after_three_model_versions_and_five_policies_every_decision_comes_out_the_same(
    alice: Api, drain: Callable[[], int], tmp_path: Path, send: Callable[..., Batch]
) -> None:
    chance = random.Random(11)
    with models_of_our_own(tmp_path) as folder:
        for number, policy in enumerate(POLICIES):
            publish_to(alice, policy)
            if number in (1, 3):
                for schema in KINDS:
                    new_version(folder, schema, f"2027.1.{number}", 1.0 + number / 10)
            decide_on(alice, chance, 12, KINDS)
            decide_on(alice, chance, 3, KINDS, model="ensemble")
            for explain in ("none", "flagged", "all"):
                worked(send(alice, csv_of(4), explain=explain))
        alice.post("/v1/decisions", {"schema": "payments", "transaction": REMARKED})
        alice.in_test_mode().post("/v1/decisions", {"schema": "payments", "transaction": REMARKED})
        drain()
        get_policies().forget()
        rows = stored(alice)
        differing = {row.pk: found.differences for row in rows if not (found := replayed(alice, row)).identical}
    assert differing == {}
    assert len(rows) == len(POLICIES) * (2 * (13 + 4) + 12) + 2
    assert {row.policy_version for row in rows} == {1, 2, 3, 4, 5}
    assert len({row.model_version for row in rows if row.model_name == "xgboost"}) >= 3


@pytest.mark.parametrize("schema", MAKERS)
def test_every_kind_of_transaction(alice: Api, drain: Callable[[], int], schema: str) -> None:
    decide_on(alice, random.Random(3), 20, [schema])
    on_its_way = alice.post("/v1/decisions", {"schema": schema, "transaction": MAKERS[schema](random.Random(5))}).json()
    told = alice.post(f"/v1/decisions/{on_its_way['id']}/replay", {})
    assert told.status_code == 200, told.content
    drain()
    for row in stored(alice):
        answer = alice.post(f"/v1/decisions/{row.pk}/replay", {}).json()
        assert answer == {
            "object": "replay", "decision": row.pk, "identical": True, "policy_version": 0, "differences": [],
        }  # fmt: skip
    assert told.json()["identical"] is True


def test_a_decision_tells_its_policy(alice: Api, drain: Callable[[], int]) -> None:
    before = alice.post("/v1/decisions", asking(DRAINED)).json()
    version = publish_to(alice, POLICIES[1])
    after = alice.post("/v1/decisions", asking(DRAINED | {"step": 9})).json()
    drain()
    assert (before["policy_version"], after["policy_version"]) == (0, version)
    assert {row.pk: row.policy_version for row in stored(alice)} == {before["id"]: 0, after["id"]: version}
    assert alice.get(f"/v1/decisions/{after['id']}").json() == after


def test_a_model_that_is_gone_is_said(alice: Api, drain: Callable[[], int], tmp_path: Path) -> None:
    with models_of_our_own(tmp_path) as folder:
        new_version(folder, "paysim", "2027.1.1", 1.1)
        decision = alice.post("/v1/decisions", asking(DRAINED)).json()
        drain()
        new_version(folder, "paysim", "2027.1.2", 1.1)
        shutil.rmtree(folder / "paysim" / decision["model"]["name"] / "2027.1.1")
        told = alice.post(f"/v1/decisions/{decision['id']}/replay", {}).json()
    assert told["identical"] is False
    assert [one["member"] for one in told["differences"]] == ["model"]
    assert "2027.1.1" in told["differences"][0]["detail"]


def differences(api: Api, decision_id: str) -> dict[str, Any]:
    told = api.post(f"/v1/decisions/{decision_id}/replay", {}).json()
    assert told["identical"] is (told["differences"] == [])
    return {one["member"]: (one["stored"], one["replayed"]) for one in told["differences"]}


def test_what_was_changed_afterwards_is_said(alice: Api, drain: Callable[[], int]) -> None:
    version = publish_to(alice, POLICIES[1])
    decision = alice.post("/v1/decisions", asking(DRAINED)).json()
    drain()
    assert differences(alice, decision["id"]) == {}
    with in_tenant(alice.tenant):
        answer = Decision.objects.get().answer
        Decision.objects.update(answer=answer.replace('"risk_level":"', '"risk_level":"not '))
        assert list(differences(alice, decision["id"])) == ["risk_level"]
        Decision.objects.update(answer=answer)
        document = msgspec.to_builtins(POLICIES[2]) | {"version": version}
        PublishedPolicy.objects.filter(pk=version).update(document=document)
        get_policies().forget()
        assert "rules" in differences(alice, decision["id"])
        PublishedPolicy.objects.all().delete()
        get_policies().forget()
        assert list(differences(alice, decision["id"])) == ["policy_version"]
        Decision.objects.update(policy_version=None, made_on=None)
    assert list(differences(alice, decision["id"])) == ["policy_version"]
