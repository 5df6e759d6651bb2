"""200: Gateway's monitoring tells each part as it is, and what was decided."""

from collections.abc import Callable
from typing import Any

import pytest

from apps.scoring.engine.models import ModelRefused
from apps.scoring.serving.runtime import get_scoring
from tests.api.bodies import DRAINED, asking
from tests.cast import Api


def by_name(told: Any) -> dict[str, str]:
    return {one["name"]: one["status"] for one in told.json()["services"]}


def test_each_part_is_told_and_the_worst_is_the_verdict(alice: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    told = alice.get("/services/status")
    assert by_name(told) == dict.fromkeys(("api", "models", "storage", "history", "recording"), "ok")
    assert told.json()["status"] == "ok"
    models = get_scoring().engine.models
    monkeypatch.setitem(models, "paysim", {**models["paysim"], "xgboost": ModelRefused("another hash")})
    told = alice.get("/services/status")
    assert (by_name(told)["models"], told.json()["status"]) == ("degraded", "degraded")
    assert "another hash" not in told.content.decode()  # operators are told why


def test_the_overview_counts_the_last_day_by_action(alice: Api, bob: Api, drain: Callable[[], int]) -> None:
    alice.post("/v1/decisions", asking(DRAINED))
    alice.post("/v1/decisions", asking())
    drain()
    told = alice.get("/overview").json()
    assert told["last_24_hours"] == {
        "decisions": 2, "fraud": 1, "fraud_rate": 0.5, "by_action": {"approve": 1, "block": 1},
    }  # fmt: skip
    assert bob.get("/overview").json()["last_24_hours"]["fraud_rate"] is None
