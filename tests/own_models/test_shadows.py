"""A model in shadow is held against what decided by what became known, and becomes champion where that was stated."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from apps.accounts.models import AuditEntry
from apps.accounts.tenancy import in_tenant
from apps.api_keys.services import get_gate
from apps.notifications.models import Event
from apps.own_models import services, shadows
from apps.own_models.services import PromoteWhen
from apps.review.models import Label
from apps.scoring.models import Decision, OwnModel
from tests.cast import Api
from tests.own_models.kept import an_own_model

pytestmark = pytest.mark.django_db(transaction=True)
NOW = datetime(2026, 11, 20, 4, 20, tzinfo=UTC)
SINCE = NOW - timedelta(days=40)
MATURITY = 10.0
COUNT = 600


def in_shadow(api: Api, promote_when: PromoteWhen | None = None) -> OwnModel:
    """A model that went into shadow at the beginning."""
    name = an_own_model(api)
    with in_tenant(api.tenant):
        OwnModel.objects.filter(pk=name).update(maturity_days=MATURITY)
        model = OwnModel.objects.get(pk=name)
    return services.put_in_shadow(
        tenant=api.tenant, model=model, gate=get_gate(), now=SINCE, actor="test", promote_when=promote_when
    )


def decisions(api: Api, model: OwnModel, better: float) -> dict[str, np.ndarray]:
    """Decisions of those days with both scores, the shadow's better by so much, and labels of some: what is known."""
    chance = np.random.default_rng(5)
    at = [SINCE + timedelta(days=40) * float(part) for part in np.sort(chance.random(COUNT))]
    fraud = chance.random(COUNT) < 0.2
    champion = 1 / (1 + np.exp(-(chance.normal(size=COUNT) + 1.0 * fraud - 2)))
    shadow = 1 / (1 + np.exp(-(chance.normal(size=COUNT) + (1.0 + better) * fraud - 2)))
    champion, shadow = np.round(champion, 6), np.round(shadow, 6)
    labelled = fraud & (chance.random(COUNT) < 0.9)
    common: dict[str, Any] = {"livemode": True, "schema": "payments"}
    rows = [
        Decision(
            id=f"dec_{number}", created_at=at[number], transaction_id=f"t{number}", body_hash="", status="new",
            fraud_probability=float(champion[number]), risk_score=1, risk_level="low", recommended_action="approve",
            decisive="model:xgboost", model_name="xgboost", model_version="1", facts={}, answer="{}", features=b"",
            contributions=b"", amount=1.0, row=number,
            shadows=[{"model": model.pk, "fraud_probability": float(shadow[number]), "risk_score": 1},
                     {"model": "mdl_other", "fraud_probability": 0.5, "risk_score": 1}], **common,
        )
        for number in range(COUNT)
    ]  # fmt: skip
    labels = [
        Label(
            id=f"lbl_{number}", decision_id=f"dec_{number}", transaction_id=f"t{number}", label="fraud",
            source="chargeback", known_at=at[number], recorded_at=NOW, recorded_by="test", holds=True, marked_at=NOW,
            decided_at=at[number], recommended_action="approve", **common,
        )
        for number in np.flatnonzero(labelled).tolist()
    ]  # fmt: skip
    with in_tenant(api.tenant):
        Decision.objects.bulk_create([*rows, *_strangers(rows[0])])
        Label.objects.bulk_create(labels)
    mature = np.array([one < NOW - timedelta(days=MATURITY) for one in at])
    return {"champion": champion, "shadow": shadow, "fraud": labelled, "known": labelled | mature}


def _strangers(row: Decision) -> list[Decision]:
    """What is no part of the comparison: before it went into shadow, of test mode, without its score, or any score."""
    others = (
        {"created_at": SINCE - timedelta(hours=1)}, {"livemode": False}, {"shadows": None}, {"fraud_probability": None},
        {"shadows": [{"model": "mdl_other", "fraud_probability": 0.9, "risk_score": 1}]}, {"schema": "paysim"},
        {"created_at": NOW + timedelta(seconds=1)},
    )  # fmt: skip
    fields = {field.attname: getattr(row, field.attname) for field in Decision._meta.concrete_fields}
    return [Decision(**fields | other | {"id": f"dec_other{number}"}) for number, other in enumerate(others)]


def test_the_report_is_what_the_decisions_say(alice: Api) -> None:
    model = in_shadow(alice)
    made = decisions(alice, model, better=1.5)
    found = shadows.compare(alice.tenant, model, NOW)
    assert found is not None
    known, fraud = made["known"], made["fraud"]
    assert (found.decisions, found.known, found.frauds) == (COUNT, known.sum(), fraud.sum())
    assert found.immature == pytest.approx(1 - known.mean(), abs=1e-6)
    for name, quality in (("champion", found.champion), ("shadow", found.shadow)):
        expected = average_precision_score(fraud[known], made[name][known])
        assert quality.average_precision == pytest.approx(expected, abs=0.01)
        flagged = known & (made[name] >= 0.3)
        assert (quality.flagged, quality.precision) == (flagged.sum(), pytest.approx(fraud[flagged].mean(), abs=1e-6))
        assert quality.recall == pytest.approx((fraud & flagged).sum() / fraud.sum(), abs=1e-6)
        low, high = quality.intervals_95["average_precision"] or (1, 0)
        assert low < expected < high
    assert found.difference is not None and found.better_beyond_interval
    low, high = found.difference.interval_95
    assert 0 < low < found.difference.average_precision < high
    told = alice.get(f"/v1/models/{model.pk}").json()
    assert told["shadow_report"]["shadow"]["average_precision"] == found.shadow.average_precision
    assert alice.get(f"/v1/models/{model.pk}").json()["promote_when"] is None


@pytest.mark.parametrize(
    ("asked", "better", "promoted"),
    [
        (PromoteWhen(frauds=50, days=30), 1.5, True),
        (PromoteWhen(frauds=50, days=60), 1.5, False),
        (PromoteWhen(frauds=5_000, days=30), 1.5, False),
        (PromoteWhen(frauds=50, days=30), 0.0, False),
        (None, 1.5, False),
    ],
)
def test_it_becomes_champion_where_all_that_was_stated_is_so(
    alice: Api, asked: PromoteWhen | None, better: float, promoted: bool
) -> None:
    model = in_shadow(alice, asked)
    decisions(alice, model, better)
    assert shadows.compare_all(NOW, get_gate()) == promoted
    told = alice.get(f"/v1/models/{model.pk}").json()
    assert told["state"] == ("champion" if promoted else "shadow")
    steps = AuditEntry.objects.filter(tenant=alice.tenant, action="model.promote", actor=shadows.ACTOR)
    with in_tenant(alice.tenant):
        notified = Event.objects.filter(kind="model.promoted").count() if promoted else 0
    assert (steps.count(), notified) == (promoted, promoted)
    assert shadows.compare_all(NOW + timedelta(days=1), get_gate()) == 0


def test_conditions_are_stated_changed_and_ended_by_the_call(alice: Api) -> None:
    model, path = an_own_model(alice), "/v1/models/{}/shadow"
    stated = {"frauds": 100, "days": 14}
    first = alice.post(path.format(model), {"promote_when": stated}).json()
    assert (first["state"], first["promote_when"]) == ("shadow", stated)
    changed = alice.post(path.format(model), {"promote_when": stated | {"days": 7}}).json()
    assert (changed["state"], changed["promote_when"]["days"]) == ("shadow", 7)
    assert alice.post(path.format(model), {}).json()["promote_when"] is None
    refused = alice.post(path.format(model), {"promote_when": {"frauds": 1, "days": 0}})
    assert refused.status_code == 422
    alice.post(path.format(model), {"promote_when": stated})
    assert alice.post(f"/v1/models/{model}/retire", {}).json()["promote_when"] is None
