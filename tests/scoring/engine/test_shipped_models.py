"""Every model that is shipped: it loads, says what it said, explains itself, is small and tells its origin."""

import json

import numpy as np
import pytest

from apps.scoring.engine import shelf
from apps.scoring.engine.models import active
from apps.scoring.engine.schemas import SCHEMAS
from tests.scoring.engine.conftest import ARTIFACTS

SHIPPED = [(schema, entry) for schema in SCHEMAS for entry in shelf.versions(ARTIFACTS, schema)]
FAMILIES = {"xgboost", "lightgbm", "random_forest", "logistic_regression"}
METRICS = {"auc_roc", "average_precision", "recall_at_1pct_fpr", "brier", "calibration_error", "precision", "recall"}


@pytest.fixture(params=SHIPPED, ids="/".join)
def shipped(request):
    return request.param


def test_it_loads_and_says_of_its_example_what_it_said(shipped):
    model = shelf.loaded(ARTIFACTS, *shipped)
    assert 0.0 <= model.probability(model.example.margin) < 0.5


def test_it_explains_any_row(shipped):
    model, width = shelf.loaded(ARTIFACTS, *shipped), len(SCHEMAS[shipped[0]].features)
    random = np.random.default_rng(1)
    rows = np.exp(random.normal(0, 4, (200, width))) * random.choice([-1, 0, 1], (200, width))
    rows[random.random(rows.shape) < 0.3] = np.nan
    rows = rows.astype(np.float32)
    added = model.contributions(rows).sum(axis=1)
    expected = model.card.calibration.a * (np.asarray(model.score_block(rows)) - model.card.base_margin)
    assert np.abs(added - expected).max() < 1e-3


def test_it_is_small(shipped):
    assert shelf.size(ARTIFACTS, *shipped) <= 10_000_000


def test_its_card_is_complete(shipped):
    card = shelf.card(ARTIFACTS, *shipped)
    measured = card["quality"]["out_of_time"]
    assert set(measured["metrics"]) == METRICS == set(measured["intervals_95"])
    assert measured["metrics"]["calibration_error"] <= 0.01
    assert card["proof"]["rows"] == 10_000
    assert card["proof"]["score"] <= 1e-5
    assert card["proof"]["contributions"] <= 1e-3
    assert card["quality"]["baselines"]
    assert card["data"]["licence"]
    assert card["data"]["files"] or card["data"]["title"].startswith("A seeded simulator")
    assert card["research_only"] is (shipped[0] == "ieee_cis")
    json.dumps(card, allow_nan=False)


def test_all_together_are_small():
    assert sum(shelf.size(ARTIFACTS, schema, entry) for schema, entry in SHIPPED) <= 60_000_000


@pytest.mark.parametrize("schema", SCHEMAS)
def test_four_families_are_active(schema):
    named = [entry.partition("/")[0] for entry in active(ARTIFACTS, schema)]
    assert set(named) == FAMILIES
    assert len(named) == len(FAMILIES)
