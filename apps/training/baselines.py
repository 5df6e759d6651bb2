"""What simpler things reach on the same rows: the numbers a model's metrics are to be read against."""

import lightgbm
import numpy as np

from apps.training import metrics, replay
from apps.training.families.boosted import THREADS
from apps.training.families.fitted import SEED
from apps.training.recipe import Prepared
from apps.training.split import weights

SAMPLE = 2_000  # rows that tell which features look at the past
REPEATABLE = {"deterministic": True, "force_row_wise": True}  # else LightGBM chooses its sums by the clock
ROUNDS = 100  # LightGBM's own default


def compared(prepared: Prepared) -> dict[str, dict[str, float | None]]:
    """name → metrics on the last part of the time."""
    last, rows = prepared.split.last, prepared.rows
    weight = weights(rows, last)
    kept = weight > 0
    if prepared.recipe.sources:
        kept &= rows.frame["source"][last].eq(prepared.recipe.sources[0].name).to_numpy()
    found = {}
    for baseline in prepared.recipe.baselines:
        if baseline.score:
            score = baseline.score(prepared.schema, rows, prepared.split.fit, last)
        elif baseline.features:
            score = _plain(prepared, baseline.features(prepared))
        measured = metrics.measure(rows.label[last][kept], score[kept], weight[kept], 0.5)
        found[baseline.name] = metrics.rounded(
            {name: measured[name] for name in ("auc_roc", "average_precision", "recall_at_1pct_fpr")}
        )
    return found


def _plain(prepared: Prepared, names: tuple[str, ...]) -> np.ndarray:
    """LightGBM's defaults, fitted on the part the models are measured after."""
    fit, last, features = prepared.split.fit, prepared.split.last, prepared.material.measured
    chosen = [prepared.schema.feature_names.index(name) for name in names]
    known = features[fit][:, chosen]
    weight = prepared.recipe.fit_weight(prepared.rows.where(fit))
    data = lightgbm.Dataset(known, prepared.rows.label[fit], weight=weight)
    params = {"objective": "binary", "verbosity": -1, "seed": SEED, "num_threads": THREADS, **REPEATABLE}
    booster = lightgbm.train(params, data, ROUNDS)
    return np.asarray(booster.predict(features[last][:, chosen], num_threads=THREADS))


def all_features(prepared: Prepared) -> tuple[str, ...]:
    return prepared.schema.feature_names


def row_features(prepared: Prepared) -> tuple[str, ...]:
    """Those that don't look at the past: they stay the same whatever it is."""
    schema, few = prepared.schema, prepared.rows.where(np.arange(min(SAMPLE, len(prepared.rows.label))))
    one, other = (
        replay.block(schema, few.frame, few.at_ms, [replay.Always(value, len(few.label))] * len(schema.roles))
        for value in (np.nan, 7.0)
    )
    same = [np.array_equal(a, b, equal_nan=True) for a, b in zip(one.T, other.T, strict=True)]
    return tuple(name for name, unmoved in zip(schema.feature_names, same, strict=True) if unmoved)
