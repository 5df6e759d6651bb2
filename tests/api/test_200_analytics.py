"""Analytics say what the decisions say, in the key's mode and over the days asked for; labels decide what models are
worth."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from apps.accounts.tenancy import in_tenant
from apps.analytics.asked import last_days
from apps.analytics.drift import drift
from apps.analytics.intervals import average_precision, bootstrap_precision, wilson
from apps.analytics.performance import RIPE_DAYS, performance
from apps.review.models import Label
from apps.scoring.models import FeatureDay, OutcomeHour
from apps.scoring.tallies import reference_of
from tests.api.bodies import DRAINED, TRANSFER, asking
from tests.cast import Api, Cast

pytestmark = pytest.mark.django_db(transaction=True)
PATHS = ("trends", "patterns", "risk-distribution", "model-performance", "rules", "entities", "drift")
GATEWAY = ("/fraud-trends", "/transaction-patterns", "/risk-distribution", "/model-performance")


@pytest.fixture
def decided(alice: Api, drain: Callable[[], int]) -> list[dict]:
    """Three decisions of alice's, two of which are drained accounts of one origin."""
    bodies = [TRANSFER, *(DRAINED | {"nameOrig": "C-Thief", "nameDest": f"C{number}"} for number in range(2))]
    answers = [alice.post("/v1/decisions", asking(body)).json() for body in bodies]
    drain()
    return answers


def test_every_answer_adds_up_to_the_decisions(alice: Api, decided: list[dict]) -> None:
    fraud = sum(one["risk_level"] in ("high", "critical") for one in decided)
    actions = Counter(one["recommended_action"] for one in decided)
    told = {path: alice.get(f"/v1/analytics/{path}?schema=paysim").json() for path in PATHS}
    for interval in ("day", "hour"):
        trends = alice.get(f"/v1/analytics/trends?days=2&interval={interval}").json()
        assert (trends["decisions"], trends["fraud"]) == (3, fraud)
        assert {action: count for action, count in trends["actions"].items() if count} == actions
        assert sum(point["decisions"] for point in trends["data"]) == 3
    patterns = told["patterns"]
    assert [(one["value"], one["decisions"]) for one in patterns["by_category"]] == [("TRANSFER", 3)]
    for name in ("by_hour", "by_amount", "by_model"):
        assert (sum(one["decisions"] for one in patterns[name]), sum(one["fraud"] for one in patterns[name])) == (
            3,
            fraud,
        )
    spread = told["risk-distribution"]
    assert sum(one["decisions"] for one in spread["levels"]) == sum(spread["scores"]["histogram"]) == 3
    hits = Counter(rule["id"] for one in decided for rule in one["rules"] if rule["outcome"] == "hit")
    assert {one["rule"]: one["decisions"] for one in told["rules"]["data"]} == hits
    origins = next(one for one in told["entities"]["fields"] if one["field"] == "nameOrig")
    assert (origins["missed"], origins["data"][0]["value"], origins["data"][0]["fraud"]) == (0, "c-thief", 2)
    (model,) = told["drift"]["data"]
    assert (model["decisions"], model["status"], len(model["features"])) == (3, "unknown", 28)


def test_models_are_measured_by_labels_where_there_are_any(alice: Api, decided: list[dict]) -> None:
    before = alice.get("/v1/analytics/model-performance").json()
    assert (before["basis"], before["overall"], before["scores"]["decisions"]) == ("scores", None, 3)
    labels = [
        {"decision_id": one["id"], "label": kind, "source": "analyst"}
        for one, kind in zip(decided, ("legitimate", "fraud", "fraud"), strict=True)
    ]
    assert alice.post("/v1/labels", {"labels": labels}).status_code == 200
    after = alice.get("/v1/analytics/model-performance").json()
    assert (after["basis"], after["labelled"]["labels"], after["labelled"]["share"]) == ("labels", 3, 1.0)
    overall = after["overall"]
    assert (overall["frauds"], overall["recall"]["value"], overall["average_precision"]["value"]) == (2, 1.0, 1.0)
    assert overall["money"] == {"saved": 2 * DRAINED["amount"], "lost": 0.0, "false_alarms": 0.0}
    rule = next(one for one in alice.get("/v1/analytics/rules").json()["data"] if one["rule"] == "drained_account")
    assert (rule["labelled"], rule["precision"]) == (2, 1.0)
    assert alice.get("/v1/analytics/model-performance?model=lightgbm").json()["basis"] == "scores"


def test_modes_and_days_are_apart(cast: Cast, alice: Api, decided: list[dict]) -> None:
    test_mode = Api(cast.alice, cast.alice.test_text)
    assert test_mode.get("/v1/analytics/trends").json()["decisions"] == 0
    yesterday = datetime.now(UTC).date()
    for path in PATHS:
        told = alice.get(f"/v1/analytics/{path}?end={yesterday}&days=3").json()
        assert (told.get("decisions", 0), told["end"]) == (0, str(yesterday))


@pytest.mark.parametrize(
    ("path", "param"),
    [
        ("trends?interval=week", "interval"),
        ("trends?interval=hour&days=40", "start"),
        ("patterns?days=0", "days"),
        ("entities?days=60", "start"),
        ("patterns?schema=none", "schema"),
        ("rules?start=2026-02-01&end=2026-01-01", "start"),
        ("entities?field=amount", "field"),
        ("drift?modell=x", "modell"),
    ],
)
def test_what_can_not_be_asked_is_named(alice: Api, path: str, param: str) -> None:
    answer = alice.get(f"/v1/analytics/{path}")
    assert (answer.status_code, answer.json()["param"]) == (422, param)


@pytest.mark.parametrize("path", GATEWAY)
def test_gateway_names_answer_over_the_days_asked_for(alice: Api, decided: list[dict], path: str) -> None:
    told = alice.get(f"{path}?days=7").json()
    assert told["days"] == 7
    counts = {
        "/fraud-trends": lambda: sum(one["transactions"] for one in told["trends"]),
        "/transaction-patterns": lambda: sum(one["decisions"] for one in told["by_type"]),
        "/risk-distribution": lambda: told["total"],
        "/model-performance": lambda: sum(one["decisions"] for one in told["models"]),
    }
    assert counts[path]() == 3
    assert "detail" in alice.get(f"{path}?days=none").json()


@pytest.mark.parametrize("end", ["0001-01-02", "9999-12-31"])
def test_the_first_days_there_are_can_be_asked_for_and_the_last(alice: Api, end: str) -> None:
    for path in PATHS:
        assert alice.get(f"/v1/analytics/{path}?end={end}&days=31").status_code == 200


def test_drift_says_since_when(cast: Cast) -> None:
    """A feature that moved five days ago, under a reference that is the model's own."""
    schema, model = cast.alice.tenant.schema_name, "xgboost@2026.11.2"
    reference = reference_of("paysim", model)
    assert reference is not None
    usual = np.round(1_000 * reference.shares).astype("<i8")
    moved = usual.copy()
    moved[0] = 0
    moved[0, 0] = 1_000
    today = datetime.now(UTC)
    with in_tenant(schema):
        for back in range(20):
            FeatureDay.objects.create(
                day=today.date() - timedelta(days=back), livemode=True, schema="paysim", model=model,
                reference=reference.digest, counts=(moved if back < 5 else usual).tobytes(), decisions=1_000,
            )  # fmt: skip
    (found,) = drift(last_days(schema, True, 3, today)).data
    assert (found.status, found.score.status) == ("drifted", "stable")
    assert [(one.status, one.since) for one in found.features[:2]] == [
        ("drifted", str(today.date() - timedelta(days=4))), ("stable", None),
    ]  # fmt: skip
    assert sum(one.share for one in found.features[0].bins) == pytest.approx(1)


def test_labels_still_to_come_follow_how_long_ripe_ones_took(cast: Cast) -> None:
    """Half of the ripe labels took 10 days: of a span whose decisions are 5 days old half are still to come."""
    schema, now = cast.alice.tenant.schema_name, datetime.now(UTC)

    def label(number: int, age: int, took: int) -> Label:
        decided_at = now - timedelta(days=age)
        return Label(
            id=f"lbl_{number}", livemode=True, decision_id=f"dec_{number}", transaction_id="t", schema="paysim",
            label="fraud", source="issuer", known_at=decided_at + timedelta(days=took), recorded_at=now,
            recorded_by="", holds=True, decided_at=decided_at, recommended_action="approve",
        )  # fmt: skip

    with in_tenant(schema):
        Label.objects.bulk_create(label(n, RIPE_DAYS + 10, 10 * (n % 2)) for n in range(40))
        Label.objects.bulk_create([label(99, 5, 0)])
        hour = (now - timedelta(days=5)).replace(minute=0, second=0, microsecond=0)
        OutcomeHour.objects.create(
            hour=hour, livemode=True, schema="paysim", recommended_action="approve", decisions=10, fraud=0
        )
    assert performance(last_days(schema, True, 10, now)).labelled.still_to_come == 0.5


def test_intervals_are_those_of_the_books() -> None:
    low, high = wilson(8, 10) or (0, 0)
    assert (round(low, 4), round(high, 4)) == (0.4902, 0.9433)  # Wilson 1927; R's binom.wilson(8, 10)
    frauds, honest = np.array([0, 0, 2]), np.array([5, 1, 0])
    assert average_precision(frauds, honest) == 1.0
    assert average_precision(np.array([1, 0]), np.array([0, 1])) == 0.5
    assert bootstrap_precision(frauds, honest) == bootstrap_precision(frauds, honest)
    assert bootstrap_precision(frauds, np.zeros(3, dtype=int)) is None
