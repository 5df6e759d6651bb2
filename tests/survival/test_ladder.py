"""The degradation ladder of the design, each rung with the real server stopped (and started again afterwards)."""

import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from apps.api_keys.services import get_gate, invalidate_pending, revoke_key
from apps.scoring.recording.recorder import Recorder
from apps.scoring.serving import runtime
from apps.usage.metering.journal import Journal
from apps.usage.models import UsageEvent
from apps.valkey import Valkey, server
from bench.transactions import question
from config.local import embedded
from tests.cast import Api

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        "DATABASE_URL" in os.environ or "REDIS_URL" in os.environ,
        reason="stops the servers: only our own embedded ones",
    ),
]
ASK = question(random.Random(5))


@pytest.fixture
def without_valkey(valkey: Valkey) -> Iterator[None]:
    embedded.valkey().stop()
    yield
    _start_valkey()


@pytest.fixture
def without_postgres() -> Iterator[None]:
    connection.close()
    embedded.postgres().stop()
    yield
    embedded.postgres().start()
    connection.close()


def _start_valkey() -> None:
    embedded.valkey().start()
    server(settings.REDIS_URL, settings.REDIS_TIMEOUT)._away_until = 0.0


def _stored(api: Api, decision_id: str) -> tuple[int, int]:
    """Rows of a decision: (decisions, usage events)."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {api.tenant.schema_name}.scoring_decision WHERE id = %s", [decision_id])
        found = cursor.fetchone()[0]
    return found, UsageEvent.objects.filter(pk=decision_id).count()


def test_without_valkey_scoring_goes_on_from_postgres_unbilled_and_says_so(alice: Api, without_valkey: None) -> None:
    answer = alice.post("/v1/decisions", ASK)
    body = answer.json()
    assert answer.status_code == 200
    assert body["degraded"] == ["history", "limits"]
    assert body["billed_units"] == 0
    assert body["reasons"]
    assert _stored(alice, body["id"]) == (1, 1)
    assert UsageEvent.objects.get(pk=body["id"]).units == 0


def test_without_valkey_the_services_say_so(alice: Api, without_valkey: None) -> None:
    told = alice.get("/services/status").json()
    away = {one["name"] for one in told["services"] if one["status"] == "away"}
    assert (told["status"], away) == ("degraded", {"history", "recording"})


def test_without_valkey_an_idempotency_key_still_gets_one_decision(alice: Api, without_valkey: None) -> None:
    first = alice.post("/v1/decisions", ASK, idempotency_key="rung")
    again = alice.post("/v1/decisions", ASK, idempotency_key="rung")
    other = alice.post("/v1/decisions", question(random.Random(6)), idempotency_key="rung")
    assert again.content == first.content
    assert again["Idempotent-Replayed"] == "true"
    assert other.status_code == 422


def test_without_valkey_the_same_facts_are_a_duplicate(alice: Api, without_valkey: None) -> None:
    said = {**ASK, "transaction": {**ASK["transaction"], "transaction_id": "t-1"}}
    first, again = alice.post("/v1/decisions", said).json(), alice.post("/v1/decisions", said).json()
    assert (again["id"], again["status"]) == (first["id"], "duplicate")


def test_without_valkey_each_process_gives_its_share_of_the_rate(charlie: Api, without_valkey: None) -> None:
    answers = [charlie.post("/v1/decisions", ASK).status_code for _ in range(8)]
    share = 10 // settings.API_WORKERS
    assert answers.count(200) == share
    assert answers.count(429) == 8 - share


def test_without_valkey_a_revoked_key_is_refused_and_valkey_is_told_when_it_is_back(
    alice: Api, valkey: Valkey, drain: Callable[[], int]
) -> None:
    assert alice.post("/v1/decisions", ASK).status_code == 200
    drain()
    key = alice.player.live
    embedded.valkey().stop()
    try:
        told = revoke_key(key=key, gate=get_gate(), now=timezone.now())
        refused = alice.post("/v1/decisions", ASK)
    finally:
        _start_valkey()
    assert told is False
    assert refused.status_code == 401
    assert invalidate_pending(get_gate()) == 1
    assert alice.post("/v1/decisions", ASK).json()["code"] == "key_revoked"


def test_without_postgres_scoring_goes_on_from_valkey_and_everything_is_recorded_later(
    alice: Api, valkey: Valkey, drain: Callable[[], int]
) -> None:
    assert alice.post("/v1/decisions", ASK).status_code == 200
    drain()
    connection.close()
    embedded.postgres().stop()
    try:
        recorder = Recorder(Journal(valkey), get_gate())
        rounds = iter([False, True])
        recorder.run(lambda: next(rounds))
        answer = alice.post("/v1/decisions", question(random.Random(9)))
        listed = alice.get("/v1/decisions")
        again = alice.get(f"/v1/decisions/{answer.json()['id']}")
    finally:
        embedded.postgres().start()
    assert answer.status_code == 200
    assert answer.json()["degraded"] == ["storage"]
    assert answer.json()["billed_units"] == 0
    assert listed.status_code == 503
    assert "Retry-After" in listed
    assert again.status_code == 200
    assert drain() == 1
    assert _stored(alice, answer.json()["id"]) == (1, 1)
    assert alice.post("/v1/decisions", question(random.Random(10))).json()["degraded"] == []


def test_without_both_stores_the_answer_is_503_with_retry_after(
    alice: Api, without_valkey: None, without_postgres: None
) -> None:
    answer = alice.post("/v1/decisions", ASK)
    assert answer.status_code == 503
    assert answer.json()["code"] == "stores_away"
    assert int(answer["Retry-After"]) >= 1


@pytest.fixture
def broken_model(tmp_path: Path) -> Iterator[None]:
    """The artifact with one byte changed: its hash is wrong."""
    folder = tmp_path / "ml_artifacts"
    shutil.copytree(settings.ARTIFACTS_DIR, folder)
    model = next(folder.glob("paysim/xgboost/*/model.onnx"))
    model.write_bytes(model.read_bytes()[:-1] + b"\x00")
    whole = settings.ARTIFACTS_DIR
    settings.ARTIFACTS_DIR = folder
    _forget()
    yield
    settings.ARTIFACTS_DIR = whole
    _forget()


def _forget() -> None:
    runtime.models.cache_clear()
    runtime.get_scoring.cache_clear()


def test_without_its_model_the_rules_decide_alone_and_nothing_is_billed(
    alice: Api, broken_model: None, drain: Callable[[], int], valkey: Valkey
) -> None:
    hole: dict[str, Any] = {**ASK["transaction"], "type": "TRANSFER", "amount": 10.0, "oldbalanceOrg": 10.0}
    hole |= {"newbalanceOrig": 0.0, "oldbalanceDest": 5.0, "newbalanceDest": 5.0}
    by_rule = alice.post("/v1/decisions", {"schema": "paysim", "transaction": hole}).json()
    honest = {**hole, "newbalanceDest": 15.0}
    by_default = alice.post("/v1/decisions", {"schema": "paysim", "transaction": honest}).json()
    assert by_rule["degraded"] == by_default["degraded"] == ["model:xgboost"]
    assert (by_rule["recommended_action"], by_rule["fraud_probability"]) == ("block", None)
    assert (by_default["recommended_action"], by_default["decisive"]["kind"]) == ("review", "default")
    assert by_rule["billed_units"] == by_default["billed_units"] == 0
    counters = [int(valkey.command("GET", key)) for key in valkey.command("KEYS", "*:quota:*")]
    assert counters == [0]
    assert drain() == 2


def test_ready_tells_each_dependency(alice: Api, without_valkey: None) -> None:
    body = alice.get("/ready").json()
    assert body["status"] == "degraded"
    assert body["dependencies"]["valkey"] == "away"
    assert body["dependencies"]["postgres"] == "ok"


def test_a_full_journal_refuses_and_changes_nothing(alice: Api, valkey: Valkey, drain: Callable[[], int]) -> None:
    assert alice.post("/v1/decisions", ASK).status_code == 200
    gate = runtime.get_admissions().gate
    limit, gate.journal_limit = gate.journal_limit, 1
    before = valkey.command("DBSIZE")
    try:
        answer = alice.post("/v1/decisions", question(random.Random(3)))
    finally:
        gate.journal_limit = limit
    assert (answer.status_code, answer.json()["code"]) == (503, "journal_full")
    assert valkey.command("DBSIZE") == before + 1  # the failure is counted, for the SLA
    assert drain() == 1
    assert alice.post("/v1/decisions", question(random.Random(4))).status_code == 200
    drain()
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {alice.tenant.schema_name}.scoring_decision")
        assert cursor.fetchone()[0] == 2


def test_an_answer_given_without_valkey_is_replayed_once_it_is_back(
    alice: Api, valkey: Valkey, drain: Callable[[], int]
) -> None:
    named = {**ASK, "transaction": {**ASK["transaction"], "transaction_id": "t-2"}}
    embedded.valkey().stop()
    try:
        first = alice.post("/v1/decisions", ASK, idempotency_key="outage")
        facts = alice.post("/v1/decisions", named).json()
    finally:
        _start_valkey()
    Recorder(Journal(valkey), get_gate()).step()
    again = alice.post("/v1/decisions", ASK, idempotency_key="outage")
    same = alice.post("/v1/decisions", named).json()
    assert (again.content, again["Idempotent-Replayed"]) == (first.content, "true")
    assert (same["id"], same["status"], same["billed_units"]) == (facts["id"], "duplicate", 0)
    assert drain() == 0


def test_without_valkey_lists_and_usage_are_read_all_the_same(alice: Api, without_valkey: None) -> None:
    made = alice.post("/v1/decisions", ASK).json()
    assert [one["id"] for one in alice.get("/v1/decisions").json()["data"]] == [made["id"]]
    assert alice.get("/v1/usage").json()["degraded"] == 1
    assert alice.get("/v1/usage/daily").status_code == 200
    assert alice.get(f"/v1/decisions/{made['id']}/explanation").status_code == 200


def test_what_another_recorder_read_and_left_is_recorded_by_the_one_at_work(
    alice: Api, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lost the lease after it had read; nobody starts anew, whose first look would find it."""
    journal = Journal(valkey)
    recorder = Recorder(journal, get_gate())
    assert recorder.step() == 0
    alice.post("/v1/decisions", ASK)
    assert len(journal.read(10)) == 1
    assert recorder.step() == 0
    assert sum(journal.lengths()) == 1
    monkeypatch.setattr(recorder, "_pending_at", 0.0)  # half a minute later
    recorder.step()
    assert sum(journal.lengths()) == 0
    assert UsageEvent.objects.filter(tenant_id=alice.tenant.pk).count() == 1
