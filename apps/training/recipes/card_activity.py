"""Card activity: our own simulator, histories replayed, some of them then forgotten."""

import numpy as np

from apps.scoring.engine.transaction import TransactionSchema
from apps.training import replay
from apps.training.baselines import all_features, row_features
from apps.training.card_activity import simulate
from apps.training.data import Rows
from apps.training.families.fitted import Say, Settings
from apps.training.recipe import Baseline, Material, Plan, Recipe

# Share of the rows whose parties are new here, or whose history is away: a fresh tenant's users begin so.
FRESH, AWAY = 0.10, 0.05


def material(schema: TransactionSchema, rows: Rows, random: np.random.Generator, say: Say) -> Material:
    """Fitted, stopped and calibrated on pasts of which some are forgotten, measured on the replayed ones."""
    seen = replay.features(schema, rows, say)
    drawn = random.random((len(seen), 1))
    forgotten = np.where(drawn < FRESH, replay.with_fresh_parties(schema, rows), replay.without_history(schema, rows))
    some = np.where(drawn < FRESH + AWAY, forgotten, seen)
    return Material(some, some, seen)


CARD_ACTIVITY = Recipe(
    title="A seeded simulator of card users and fraudsters (apps/training/card_activity.py)",
    licence="our own; free to use and to ship models trained on it",
    files=(),
    simulate=simulate,
    notes=(
        "Trained on simulated behaviour only: no valid public labels exist for this schema. Every figure speaks of the "
        "simulator, none of real cards.",
    ),
    plans={
        "xgboost": Plan(
            "xgboost",
            Settings(
                {"max_depth": 6, "eta": 0.05, "min_child_weight": 10.0, "lambda": 5.0, "subsample": 0.8,
                 "colsample_bytree": 0.7},
                rounds=700, patience=50,
            ),
        ),
        "lightgbm": Plan(
            "lightgbm",
            Settings(
                {"num_leaves": 31, "learning_rate": 0.05, "min_data_in_leaf": 100, "lambda_l2": 5.0,
                 "bagging_fraction": 0.8, "bagging_freq": 1, "feature_fraction": 0.7},
                rounds=600, patience=50,
            ),
        ),
        "random_forest": Plan(
            "random_forest",
            Settings({"num_leaves": 255, "min_data_in_leaf": 20, "feature_fraction_bynode": 0.4},
                     rounds=100, honest_kept=0.5),
        ),
        "logistic_regression": Plan("logistic_regression", Settings(rounds=500)),
    },
    baselines=(
        Baseline("plain LightGBM, all features", all_features),
        Baseline("plain LightGBM, the row alone", row_features),
    ),
    material=material,
)  # fmt: skip
