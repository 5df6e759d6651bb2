"""Payments: the Sparkov generator's log, histories replayed, some rows once more as if no past were known."""

import numpy as np

from apps.scoring.engine.transaction import TransactionSchema
from apps.training import replay
from apps.training.baselines import all_features, row_features
from apps.training.data import Rows
from apps.training.dataset import Dataset, Extra
from apps.training.families.fitted import Settings
from apps.training.recipe import Baseline, Plan, Recipe

# A user without a known past must be scored on the payment alone: a share of the rows is taught so a second time.
WITHOUT_HISTORY, WEIGHT_WITHOUT = 0.4, 0.2


def added(schema: TransactionSchema, rows: Rows, random: np.random.Generator) -> Extra:
    """Some rows once more, half of them of users whose history is away, half of users who are new."""
    of = np.flatnonzero(random.random(len(rows.label)) < WITHOUT_HISTORY)
    some = rows.where(of)
    away = random.random((len(of), 1)) < 0.5
    features = np.where(away, replay.without_history(schema, some), replay.with_fresh_parties(schema, some))
    return Extra(Dataset(features, some.label, some.weight * WEIGHT_WITHOUT), of)


PAYMENTS = Recipe(
    title="Card payments simulated with the Sparkov generator (no real person), with the public set's settings",
    licence="MIT generator; free to use and to ship models trained on it",
    files=("payments_2019-01_2020-06.parquet",),
    plans={
        "lightgbm": Plan(
            "lightgbm",
            Settings(
                {"num_leaves": 31, "learning_rate": 0.08, "min_data_in_leaf": 60, "lambda_l2": 5.0,
                 "bagging_fraction": 0.8, "bagging_freq": 1, "feature_fraction": 0.6},
                rounds=300, patience=40, honest_kept=0.5,
            ),
        ),
        "xgboost": Plan(
            "xgboost",
            Settings(
                {"max_depth": 6, "eta": 0.08, "min_child_weight": 10.0, "lambda": 5.0, "subsample": 0.8,
                 "colsample_bytree": 0.6},
                rounds=300, patience=40, honest_kept=0.5,
            ),
        ),
        "random_forest": Plan(
            "random_forest",
            Settings({"num_leaves": 255, "min_data_in_leaf": 20, "feature_fraction_bynode": 0.4},
                     rounds=100, honest_kept=0.3),
        ),
        "logistic_regression": Plan("logistic_regression", Settings(rounds=300, honest_kept=0.3)),
    },
    baselines=(
        Baseline("plain LightGBM, all features", all_features),
        Baseline("plain LightGBM, the row alone", row_features),
    ),
    notes=("The generator's frauds are far more alike than real ones: read the figures as what history adds.",),
    added=added,
)  # fmt: skip
