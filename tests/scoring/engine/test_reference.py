"""A model's reference: it is of that model, its own rows are no drift, others are."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from django.conf import settings

from apps.scoring.engine import shelf
from apps.scoring.engine.models import ModelRefused, read_card
from apps.scoring.engine.reference import (
    BINS,
    DRIFTED,
    FILE,
    UNKNOWN,
    WATCHED,
    by_chance,
    counts,
    histogram,
    load_reference,
    psi,
)
from apps.scoring.engine.schemas import SCHEMAS

SHIPPED = [(schema, entry) for schema in SCHEMAS for entry in shelf.versions(settings.ARTIFACTS_DIR, schema)]


@pytest.mark.parametrize(("schema", "entry"), SHIPPED)
def test_every_shipped_model_has_a_reference_of_its_features_and_score(schema: str, entry: str) -> None:
    directory = settings.ARTIFACTS_DIR / schema / entry
    found = load_reference(directory, read_card(directory))
    assert found is not None
    assert found.bounds.shape == (len(SCHEMAS[schema].features) + 1, BINS - 1)
    assert np.allclose(found.shares.sum(axis=1), 1, atol=1e-3)


def test_a_reference_of_another_model_is_refused(tmp_path: Path) -> None:
    kept = settings.ARTIFACTS_DIR / "paysim" / "xgboost" / "2026.11.2"
    for name in ("card.json", FILE):
        shutil.copy(kept / name, tmp_path / name)
    told = json.loads((kept / FILE).read_text()) | {"model": "0" * 64}
    (tmp_path / FILE).write_text(json.dumps(told))
    with pytest.raises(ModelRefused, match="not of the model"):
        load_reference(tmp_path, read_card(tmp_path))


def test_the_same_population_is_stable_and_a_shifted_one_is_not() -> None:
    chance = np.random.default_rng(1)
    reference = histogram(chance.normal(size=20_000).astype("<f4"))
    bounds, shares = np.array([reference.bounds]), np.array([reference.shares])
    same, shifted = (counts(bounds, chance.normal(shift, size=(5_000, 1))) for shift in (0.0, 1.0))
    assert psi(shares, same)[0] < 3 * by_chance(shares, 5_000)[0] < WATCHED
    assert psi(shares, shifted)[0] > DRIFTED


def test_values_fall_at_or_below_their_bound_and_unknown_ones_apart() -> None:
    reference = histogram(np.array([0.0] * 8 + [1.0, np.nan]))
    assert reference.bounds == (0.0, 1.0)
    padded = np.full((1, BINS - 1), np.inf)
    padded[0, :2] = reference.bounds
    found = counts(padded, np.array([[0.0], [0.5], [1.0], [np.nan], [7.0]]))[0]
    assert (found[:3].tolist(), found[UNKNOWN]) == ([1, 2, 1], 1)
