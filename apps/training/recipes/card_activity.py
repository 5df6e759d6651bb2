"""Card activity: our own simulator, histories replayed, some of them then forgotten."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from apps.scoring.engine.transaction import TransactionSchema
from apps.training import data, replay
from apps.training.baselines import all_features, row_features
from apps.training.behaviour import card_activity as simulated
from apps.training.data import Rows
from apps.training.dataset import Extra
from apps.training.families.fitted import SEED, Say, Settings
from apps.training.recipe import Baseline, Material, Plan, Recipe, Source

USERS, DAYS, HONEST = 400, 120, 0.4  # of the simulator, and the share of the honest rows that are learned from
FRESH, AWAY = 0.40, 0.06  # what rows without a past weigh beside those with it
# Kinds of fraud that a payment itself shows, without a past: only these may be forgotten and stay frauds to learn from.
SHOWN = frozenset(
    (
        "remote_purchase",
        "card_testing",
        "stolen_card",
        "counterfeit",
        "account_takeover",
        "scam_push_payment",
        "friendly_fraud",
        "beyond_measure",
        "impossible_journey",
        "automated",
    )
)
COPIED = 0.5  # share of the honest rows that are there without a past, too
ABOUT_DEVICES = ("device_users_24h",)  # known though the user is new

SOURCES = (
    Source("simulator", 1.0, 0.5, "Everything: no public rows with these fields have labels worth learning from. "
           "Our own simulator (apps/training/behaviour)."),
)  # fmt: skip


def compose(schema: TransactionSchema, paths: Sequence[Path], say: Say) -> Rows:
    """The simulator's rows, or a file's with the same columns; of the honest ones a share is learned from."""
    random = np.random.default_rng(SEED)
    rows = data.read(schema, paths) if paths else data.rows(schema, simulated(USERS, DAYS, SEED))
    kept = random.random(len(rows.label)) < HONEST
    weight = rows.weight * np.where(rows.label, SOURCES[0].fraud_weight, kept / HONEST)
    return rows._replace(frame=rows.frame.assign(source=SOURCES[0].name), weight=weight, weighted_by="source")


def material(schema: TransactionSchema, rows: Rows, random: np.random.Generator, say: Say) -> Material:
    """Histories replayed, for every purpose."""
    seen = replay.features(schema, rows, say, wanted=rows.weight > 0)
    return Material(seen, seen, seen)


def copied(schema: TransactionSchema, rows: Rows, material: Material, random: np.random.Generator) -> Extra:
    """The frauds that show themselves and some honest rows once more, their pasts forgotten."""
    shown = rows.frame["typology"].isin(SHOWN).to_numpy()
    of = np.flatnonzero((rows.weight > 0) & np.where(rows.label, shown, random.random(len(rows.label)) < COPIED))
    some = rows.where(of)
    some = some._replace(weight=np.where(some.label, some.weight, some.weight / COPIED))
    block = replay.forgotten(schema, some, material.fitting[of], ABOUT_DEVICES, fresh=FRESH, away=AWAY)
    return Extra(block, np.concatenate([of, of]))


CARD_ACTIVITY = Recipe(
    title="A seeded simulator of people who pay and of thieves (apps/training/behaviour)",
    licence="our own; free to use and to ship models trained on it",
    files=(),
    sources=SOURCES,
    compose=compose,
    simulate=simulated,
    notes=(
        "Trained on simulated behaviour only: no valid public labels exist for this schema. Every figure speaks of the "
        "simulator, none of real cards.",
        "On public rows it never saw, told as card activity (manage.py simulator_transfer; without devices, places and "
        "journeys, which they lack): ROC AUC 0.82 on payments of the Sparkov generator, where a model trained there "
        "makes 0.98 (7,783 rows, 287 frauds); 0.64 on the Fraud Detection Handbook's stream, where one trained there "
        "makes 0.66 (1,928 rows, 77 frauds).",
    ),
    plans={
        "lightgbm": Plan(
            "lightgbm",
            Settings(
                {"num_leaves": 31, "learning_rate": 0.08, "min_data_in_leaf": 10, "min_sum_hessian_in_leaf": 0.5,
                 "lambda_l2": 2.0, "bagging_fraction": 0.8, "bagging_freq": 1, "feature_fraction": 0.6},
                rounds=250, patience=40, averaged=2,
            ),
        ),
        "xgboost": Plan(
            "xgboost",
            Settings(
                {"max_depth": 6, "eta": 0.08, "min_child_weight": 0.5, "lambda": 2.0, "subsample": 0.8,
                 "colsample_bytree": 0.6},
                rounds=250, patience=40, averaged=2,
            ),
        ),
        "random_forest": Plan(
            "random_forest",
            Settings({"num_leaves": 255, "min_data_in_leaf": 10, "feature_fraction_bynode": 0.4}, rounds=80),
        ),
        "logistic_regression": Plan("logistic_regression", Settings(rounds=300)),
    },
    baselines=(
        Baseline("plain LightGBM, all features", all_features),
        Baseline("plain LightGBM, the row alone", row_features),
    ),
    material=material,
    copied=copied,
)  # fmt: skip
