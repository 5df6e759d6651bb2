"""IEEE-CIS: real payments, no histories of ours. Recent rows count more; some rows are taught with fields unknown."""

import numpy as np

from apps.scoring.engine.schemas.ieee_cis import FEATURES, PLAIN, TEXTS
from apps.scoring.engine.transaction import TransactionSchema
from apps.training import replay
from apps.training.baselines import all_features
from apps.training.data import Rows
from apps.training.dataset import Dataset, Extra
from apps.training.families.fitted import Say, Settings
from apps.training.recipe import Baseline, Material, Plan, Prepared, Recipe

HALF_LIFE_DAYS = 60.0
DAY_MS = 86_400_000.0
# A request of a few fields must not look like a fraud for what it leaves out: a share of the rows is taught a second
# time with some groups of fields unknown. (group's fields, how often it is known)
GROUPS: tuple[tuple[tuple[str, ...], float], ...] = (
    (("card1", "card2", "card3", "card5"), 0.76),
    (("addr1", "addr2"), 0.64),
    (("R_emaildomain",), 0.4),
    (("ProductCD",), 0.76),
    (tuple(f"C{index}" for index in range(1, 15)), 0.4),
    (tuple(f"V{index}" for index in range(1, 340)), 0.4),
    (("TransactionDT",), 0.4),
    ((*(f"id_{index:02d}" for index in range(1, 39)), "DeviceInfo"), 0.4),
)
TAUGHT_TWICE, WEIGHT_TWICE = 0.25, 0.4
MOST_BINS = 4_000  # of the features that are names written as numbers
NAMES = ("card1", "card_and_region", "card_and_provider", "card2_and_region")
BINS = [MOST_BINS if feature.name in NAMES else 255 for feature in FEATURES]


def material(schema: TransactionSchema, rows: Rows, random: np.random.Generator, say: Say) -> Material:
    features = replay.without_history(schema, rows)
    return Material(features, features, features)


def added(schema: TransactionSchema, rows: Rows, random: np.random.Generator) -> Extra:
    """Some rows once more, each with groups of fields unknown."""
    of = np.flatnonzero(random.random(len(rows.label)) < TAUGHT_TWICE)
    some = rows.where(of)
    frame = some.frame.copy()
    for fields, known in GROUPS:
        hidden = random.random(len(of)) >= known
        there = [name for name in fields if name in frame]
        frame.loc[hidden, there] = None
    features = replay.block(schema, frame, some.at_ms, [])
    return Extra(Dataset(features, some.label, WEIGHT_TWICE * recent(rows)[of]), of)


def recent(rows: Rows) -> np.ndarray:
    """A row weighs half as much as one 60 days later."""
    return rows.weight * 0.5 ** ((rows.at_ms[-1] - rows.at_ms) / DAY_MS / HALF_LIFE_DAYS)


def as_they_are(prepared: Prepared) -> tuple[str, ...]:
    return (*PLAIN, *(name for name, _, _ in TEXTS), "hour_of_day")


IEEE_CIS = Recipe(
    title="IEEE-CIS Fraud Detection: card-not-present payments of Vesta",
    licence="Kaggle competition rules: internal research and evaluation only, never to be redistributed",
    research_only=True,
    files=("ieee_cis_train80.parquet",),
    plans={
        "lightgbm": Plan(
            "lightgbm",
            Settings(
                {"num_leaves": 63, "learning_rate": 0.04, "min_data_in_leaf": 50, "feature_fraction": 0.3,
                 "bagging_fraction": 0.8, "bagging_freq": 1, "max_bin_by_feature": BINS},
                rounds=650, patience=60, longer=1.3,
            ),
        ),
        "xgboost": Plan(
            "xgboost",
            Settings(
                {"max_leaves": 80, "max_depth": 0, "grow_policy": "lossguide", "eta": 0.06, "min_child_weight": 5.0,
                 "lambda": 2.0, "subsample": 0.8, "colsample_bytree": 0.3, "max_bin": 1024},
                rounds=350, patience=50, honest_kept=0.35,
            ),
        ),
        "random_forest": Plan(
            "random_forest",
            Settings({"num_leaves": 500, "min_data_in_leaf": 5, "feature_fraction_bynode": 0.15},
                     rounds=60, honest_kept=0.3),
        ),
        "logistic_regression": Plan("logistic_regression", Settings({"bins": 16}, rounds=300, honest_kept=0.3)),
    },
    baselines=(
        Baseline("plain LightGBM, the columns as they are", as_they_are),
        Baseline("plain LightGBM, all features", all_features),
    ),
    notes=(
        "The file lacks card4, card6, P_emaildomain, dist1, dist2, D1 to D15, M1 to M9 and most V and id columns: the "
        "model takes no notice of them.",
        "baseline and example are medians of each feature, no row of the data.",
    ),
    material=material,
    added=added,
    fit_weight=recent,
    moment=lambda at_ms: int(at_ms // 1000),
)  # fmt: skip
