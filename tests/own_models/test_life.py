"""A model of the tenant's own, from the request to train it to the day it decides, and back: by the product's calls."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.accounts.models import Tenant
from apps.accounts.tenancy import in_tenant
from apps.api_keys.gate import names_of
from apps.api_keys.services import get_gate
from apps.batches import chunks, planning
from apps.batches.receipted import WAYS
from apps.own_models import refill, services, tasks
from apps.own_models.reading import read
from apps.scoring import receipt_check
from apps.scoring.models import Decision, OwnModelFiles
from apps.scoring.serving import own_pasts, own_shelf
from apps.simulation import services as simulations
from apps.simulation.curves import Costs
from apps.valkey import Valkey
from tests.cast import Api
from tests.own_models.made_up import DAYS, payments, store

BEGIN = datetime.now(UTC) - timedelta(days=DAYS)


def paid(api: Api, merchant: str, number: int, at: datetime, amount: float = 40.0, user: str = "u1") -> dict[str, Any]:
    said = {"transaction_id": f"new-{number}", "timestamp": at.isoformat(), "amount": amount, "user_id": user,
            "merchant_id": merchant}  # fmt: skip
    return dict(api.post("/v1/decisions", {"schema": "payments", "transaction": said}).json())


def scored_as_file(api: Api, merchants: list[str]) -> list[Decision]:
    """Payments to these merchants as a file, in its order."""
    lines = [f"f{number},{datetime.now(UTC).isoformat()},40.0,u1,{one}" for number, one in enumerate(merchants)]
    body = "\n".join(["transaction_id,timestamp,amount,user_id,merchant_id", *lines]).encode()
    made = api.call("POST", "/v1/batches?schema=payments", body, "text/csv").json()["id"]
    planning.plan(made)
    chunks.score_next(made, timezone.now())
    with in_tenant(api.tenant):
        return list(Decision.objects.filter(fingerprint=made).order_by("transaction_id"))


def simulated(api: Api, begin: datetime) -> dict[str, Any]:
    """What the policy in force would have decided on what own models decided, and beside them in shadow."""
    made = simulations.start(
        tenant=api.tenant, livemode=True, policy=services.policy_of(Tenant.objects.get(pk=api.tenant.pk)),
        begin=begin, end=timezone.now(), schema="", costs=Costs(), now=timezone.now(),
        actor="test", later=lambda *one: simulations.run(api.tenant, one[1], timezone.now()),
    )  # fmt: skip
    with in_tenant(api.tenant):
        made.refresh_from_db()
    return {name: made.result[name] for name in ("decisions", "flipped", "not_exact")}


def turned_by_an_amount(api: Api) -> None:
    """What an own model decided is scored again with another amount, as sending that comes out."""
    rule = {"id": "dear", "outcome": "block", "when": "amount > 500.0", "schema": "payments", "state": "live"}
    assert api.post("/v1/rules", rule).status_code == 200
    at = datetime.now(UTC)
    dear = paid(api, "m2", 15, at, 900.0, "somebody new")
    found = api.get(f"/v1/decisions/{dear['id']}/counterfactuals").json()
    first = found["counterfactuals"][0]
    assert (dear["model"]["name"], found["why"]) == ("own", "turned")
    assert [(one["field"], one["after"]) for one in first["changes"]] == [("amount", 500.0)]
    instead = paid(api, "m2", 16, at, 500.0, "somebody else")
    assert instead["recommended_action"] == first["recommended_action"] != dear["recommended_action"]
    assert instead["fraud_probability"] == pytest.approx(first["fraud_probability"], abs=1e-4)


@pytest.mark.django_db(transaction=True)
def test_a_model_is_trained_shadows_decides_and_goes_back(
    alice: Api, bob: Api, drain: Callable[[], int], valkey: Valkey
) -> None:
    log = payments(BEGIN)
    store(alice.tenant, log)
    asked = alice.post("/v1/models/train", {"schema": "payments", "families": ["lightgbm"]})
    assert (asked.status_code, asked.json()["state"]) == (202, "training")
    name = asked.json()["id"]
    assert alice.post("/v1/models/train", {"schema": "payments"}).json()["code"] == "model_not_ready"
    assert tasks.go_on() == 1

    model = alice.get(f"/v1/models/{name}").json()
    assert (model["state"], model["failure"]) == ("candidate", "")
    compared = model["comparison"]
    assert compared["own"]["average_precision"] > 0.4 and compared["better_beyond_interval"]
    assert model["card"]["data"]["maturity_days"] == pytest.approx(3.0, abs=0.1)
    report = alice.get(f"/v1/models/{name}/stability").json()["report"]
    assert max(abs(one["moved"]) for one in report["risk_score"]) < 0.1
    with in_tenant(alice.tenant):
        assert "model.onnx" in own_shelf.opened(*OwnModelFiles.objects.values_list("content", "sha256").get())

    bad = next(one.merchant for one in reversed(log) if one.is_fraud)
    begin = timezone.now()
    assert alice.post(f"/v1/models/{name}/shadow", {}).json()["state"] == "shadow"
    shadowed = paid(alice, "m1", 1, datetime.now(UTC))
    assert shadowed["model"]["name"] != "own" and "shadows" not in shadowed
    drain()
    with in_tenant(alice.tenant):
        kept = Decision.objects.get(pk=shadowed["id"])
    assert [one["model"] for one in kept.shadows] == [name]

    by_file = scored_as_file(alice, [bad, "m2"])
    assert {one.model_name for one in by_file} == {shadowed["model"]["name"]}
    assert [[one["model"] for one in row.shadows] for row in by_file] == [[name], [name]]
    assert by_file[0].shadows[0]["fraud_probability"] > 10 * by_file[1].shadows[0]["fraud_probability"]
    faults = " ".join(map(str, receipt_check.faults(alice.tenant.schema_name, WAYS)))
    assert [row.pk for row in by_file if row.pk in faults] == []

    assert alice.post(f"/v1/models/{name}/promote", {}).json()["state"] == "champion"
    decided = paid(alice, "m2", 2, datetime.now(UTC))
    assert (decided["model"]["name"], decided["model"]["version"]) == ("own", name)
    assert decided["decisive"]["id"] == "own" and not decided["degraded"]
    before = valkey.round_trips
    assert paid(alice, "m2", 5, datetime.now(UTC))["model"]["name"] == "own"
    assert valkey.round_trips - before == 2  # as everybody's: what is known of the parties rides in the gate's call
    many = [{"transaction_id": f"b{number}", "timestamp": datetime.now(UTC).isoformat(), "amount": 40.0,
             "user_id": "u1", "merchant_id": merchant} for number, merchant in enumerate((bad, "m2"))]  # fmt: skip
    told = alice.post("/v1/decisions/batch", {"schema": "payments", "transactions": many}).json()["data"]
    assert told[0]["fraud_probability"] > 10 * told[1]["fraud_probability"]
    assert any("FRAUD" in reason["code"] for reason in told[0]["reasons"])
    drain()
    explained = alice.get(f"/v1/decisions/{told[0]['id']}/explanation").json()
    assert any(item["feature"].startswith("merchant_fraud") for item in explained["contributions"])
    assert alice.get(f"/v1/decisions/{told[0]['id']}/explanation.svg").status_code == 200

    for one in (shadowed, decided, *told):
        assert alice.post(f"/v1/decisions/{one['id']}/replay", {}).json()["differences"] == []

    by_file = scored_as_file(alice, [bad, "m2"])
    assert alice.post(f"/v1/decisions/{by_file[0].id}/replay", {}).json()["differences"] == []
    assert [one.model_version for one in by_file] == [name, name]
    assert by_file[0].fraud_probability > 10 * by_file[1].fraud_probability

    assert simulated(alice, begin) == {"decisions": 9, "flipped": 0, "not_exact": 0}

    turned_by_an_amount(alice)

    assert bob.get(f"/v1/models/{name}").status_code == 404
    assert paid(bob, bad, 3, datetime.now(UTC))["model"]["name"] != "own"
    assert alice.in_test_mode().get(f"/v1/models/{name}").status_code == 404

    assert alice.post(f"/v1/models/{name}/retire", {}).json()["state"] == "retired"
    assert paid(alice, bad, 4, datetime.now(UTC))["model"]["name"] != "own"
    assert alice.call("DELETE", f"/v1/models/{name}").json()["deleted"]
    own_shelf.get_own_shelf().forget()
    gone = alice.post(f"/v1/decisions/{decided['id']}/replay", {}).json()
    assert not gone["identical"] and [one["member"] for one in gone["differences"]] == ["model"]
    with in_tenant(alice.tenant):
        assert not OwnModelFiles.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_too_few_labels_and_a_smaller_plan_are_refused(alice: Api, bob: Api) -> None:
    store(alice.tenant, payments(BEGIN)[:200])
    refused = alice.post("/v1/models/train", {"schema": "payments"})
    assert (refused.status_code, refused.json()["code"]) == (422, "too_few_labels")
    refused = bob.post("/v1/models/train", {"schema": "payments"})
    assert (refused.status_code, refused.json()["code"]) == (403, "plan_lacks_feature")


@pytest.mark.django_db(transaction=True)
def test_what_valkey_lost_of_the_parties_is_read_from_postgres_again(alice: Api, valkey: Valkey) -> None:
    log = payments(BEGIN)[-1500:]
    store(alice.tenant, log)
    known = read(alice.tenant, "payments", True)
    assert len(known.decisions.at_ms) == len(log) and known.left_out == 0
    assert int(known.decisions.is_fraud.sum()) == sum(one.is_fraud for one in log)
    assert refill.refill_lost(alice.tenant, valkey) == 0  # it has no model of its own
    services.begin_keeping(
        tenant=alice.tenant, schema="payments", livemode=True, gate=get_gate(), now=datetime.now(UTC), actor="test"
    )
    alice.tenant.refresh_from_db()
    names = names_of(alice.tenant.handle, True)
    for _ in range(2):
        assert refill.refill_lost(alice.tenant, valkey) == 1
        assert refill.refill_lost(alice.tenant, valkey) == 0
        for (field, party), past in refill.pasts_of("payments", known):
            assert own_pasts.pasts_of(valkey, names, "payments", field, [party]) == [past]
        valkey.command("FLUSHDB")
