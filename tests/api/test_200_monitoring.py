"""200: Gateway's monitoring tells each part as it is, and what was decided."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.api.monitoring import PROBED
from apps.scoring.engine.models import ModelRefused
from apps.scoring.serving.runtime import get_scoring
from apps.sla import status
from apps.sla.models import Incident, PartState, ProbedSpan
from tests.api.bodies import DRAINED, asking
from tests.cast import Api

ASKED = ("api", "models", "storage", "history", "recording")


def by_name(told: Any) -> dict[str, str]:
    return {one["name"]: one["status"] for one in told.json()["services"]}


def test_each_part_is_told_and_the_worst_is_the_verdict(alice: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    told = alice.get("/services/status")
    assert by_name(told) == {**dict.fromkeys(ASKED, "ok"), **dict.fromkeys(PROBED.keys() - set(ASKED), "unknown")}
    assert told.json()["status"] == "ok"
    models = get_scoring().engine.models
    monkeypatch.setitem(models, "paysim", {**models["paysim"], "xgboost": ModelRefused("another hash")})
    told = alice.get("/services/status")
    assert (by_name(told)["models"], told.json()["status"]) == ("degraded", "degraded")
    assert "another hash" not in told.content.decode()  # operators are told why


@pytest.mark.parametrize("name", PROBED)
def test_an_open_incident_of_each_part_is_told(alice: Api, name: str) -> None:
    now = timezone.now()
    PartState.objects.bulk_create(PartState(part=part, up=True, since=now, checked_at=now) for part in PROBED.values())
    ProbedSpan.objects.create(started_at=now - timedelta(hours=1), ended_at=now)
    incident = Incident.objects.create(pk="inc_1", part=PROBED[name], started_at=now, opened_at=now)
    status.publish(status.read(now))
    told = alice.get("/services/status").json()
    (part,) = [one for one in told["services"] if one["incident"]]
    assert (part["name"], part["status"]) == (name, "degraded" if name in ASKED else "away")
    assert (part["incident"], told["status"]) == (incident.pk, "degraded")
    assert {one["status"] for one in told["services"] if not one["incident"]} == {"ok"}
    assert {one["availability_percent"] for one in told["services"] if one["name"] != "models"} == {"100"}


def test_the_overview_counts_the_last_day_by_action(alice: Api, bob: Api, drain: Callable[[], int]) -> None:
    alice.post("/v1/decisions", asking(DRAINED))
    alice.post("/v1/decisions", asking())
    drain()
    told = alice.get("/overview").json()
    assert told["last_24_hours"] == {
        "decisions": 2, "fraud": 1, "fraud_rate": 0.5, "by_action": {"approve": 1, "block": 1},
    }  # fmt: skip
    assert bob.get("/overview").json()["last_24_hours"]["fraud_rate"] is None
