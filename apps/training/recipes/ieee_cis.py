"""IEEE-CIS: real payments, no histories of ours. Recent rows count more; some rows are taught with fields unknown."""

from dataclasses import replace
from functools import partial

import numpy as np

from apps.scoring.engine.operations import BLOCK
from apps.scoring.engine.schemas.card_counts import COUNTED_BY, Counted, counts_of
from apps.scoring.engine.schemas.ieee_cis import FEATURES, IDENTITY, UNKNOWN_AS, VESTA, build
from apps.scoring.engine.transaction import TransactionSchema
from apps.training import data, replay
from apps.training.baselines import all_features
from apps.training.data import Rows
from apps.training.dataset import Dataset, Extra, joined
from apps.training.families.fitted import Say, Settings
from apps.training.recipe import Baseline, Material, Plan, Recipe

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
# What clients of the Commercial interface send: the documented requests, and an amount alone.
SEVEN = ("TransactionAmt", "ProductCD", "card1", "card2", "card3", "addr1", "addr2")
MINIMAL = ("TransactionAmt", "ProductCD", "card1")
SPARSE = {"seven fields": SEVEN, "amount, product and card1": MINIMAL, "amount alone": ("TransactionAmt",)}
WORTH = {
    "C1 to C14": GROUPS[4][0], "the V columns": VESTA,
    "the identity fields and DeviceInfo": (*IDENTITY, "id_16", "DeviceInfo"),
    "card1, card2, card3 and card5": GROUPS[0][0], "addr1 and addr2": GROUPS[1][0], "ProductCD": GROUPS[3][0],
    "R_emaildomain": GROUPS[2][0],
}  # fmt: skip
TAUGHT_TWICE, AS_DOCUMENTED, WEIGHT_TWICE = 0.4, 0.4, 0.4  # share of the rows, of those with a documented mask; weight
# Nobody pays tens of thousands here: the file has nothing to say of them, and a model left alone takes them for 5,000.
# So some honest rows are taught once more with amounts beyond it all, a share of them frauds: ours, no measurement's.
ENORMOUS_ROWS, ENORMOUS_USD, ENORMOUS_FRAUDS, ENORMOUS_WEIGHT = 1_500, (8_000.0, 1e7), 0.15, 0.3
# card1 is a name written as a number: its values are told apart one by one.
BINS = [1_000 if feature.name == "card1" else 255 for feature in FEATURES]


def material(schema: TransactionSchema, rows: Rows, random: np.random.Generator, say: Say) -> Material:
    features = replay.without_history(schema, rows)
    return Material(features, features, features)


def added(schema: TransactionSchema, rows: Rows, random: np.random.Generator) -> Extra:
    """Rows once more with fields unknown, and some with enormous amounts."""
    sparse, enormous = _told_sparsely(schema, rows, random), _enormous(schema, rows, random)
    return Extra(joined(sparse.block, enormous.block), np.concatenate([sparse.of, enormous.of]))


def _told_sparsely(schema: TransactionSchema, rows: Rows, random: np.random.Generator) -> Extra:
    """Some rows with groups of fields unknown, or all but those of a documented request."""
    of = np.flatnonzero(random.random(len(rows.label)) < TAUGHT_TWICE)
    some = rows.where(of)
    frame = some.frame.copy()
    for fields, known in GROUPS:
        hidden = random.random(len(of)) >= known
        frame.loc[hidden, [name for name in fields if name in frame]] = None
    documented = random.random(len(of)) < AS_DOCUMENTED
    masks = random.integers(0, len(SPARSE), len(of))
    for number, kept in enumerate(SPARSE.values()):
        frame.loc[documented & (masks == number), [name for name in frame if name not in kept]] = None
    features = replay.block(schema, frame, some.at_ms, [])
    return Extra(Dataset(features, some.label, WEIGHT_TWICE * recent(rows)[of]), of)


def _enormous(schema: TransactionSchema, rows: Rows, random: np.random.Generator) -> Extra:
    """Honest rows as if they were of amounts that nobody pays, a share of them frauds."""
    honest = np.flatnonzero(~rows.label)
    of = random.choice(honest, min(ENORMOUS_ROWS, len(honest)), replace=False)
    some = rows.where(of)
    least, most = np.log(ENORMOUS_USD)
    amounts = np.exp(random.uniform(least, most, len(of))).round(2)
    features = replay.block(schema, some.frame.assign(TransactionAmt=amounts), some.at_ms, [])
    return Extra(Dataset(features, random.random(len(of)) < ENORMOUS_FRAUDS, ENORMOUS_WEIGHT * recent(rows)[of]), of)


def keys_of(schema: TransactionSchema, rows: Rows) -> dict[str, np.ndarray]:
    """feature → float64[n]: what the rows are counted by, those that have the first field alone."""
    columns, keyed = data.columns(schema, rows.frame), Counted({}, UNKNOWN_AS)
    keys = {
        name: (keyed.key(columns, fields, BLOCK), getattr(columns, fields[0])) for name, fields in COUNTED_BY.items()
    }
    return {name: key[first == first] for name, (key, first) in keys.items()}


def as_of(schema: TransactionSchema, rows: Rows) -> TransactionSchema:
    """With the counts of these rows in place of those of the whole file."""
    return replace(schema, build=partial(build, counts=Counted(counts_of(keys_of(schema, rows)), UNKNOWN_AS)))


def recent(rows: Rows) -> np.ndarray:
    """A row weighs half as much as one 60 days later."""
    return rows.weight * 0.5 ** ((rows.at_ms[-1] - rows.at_ms) / DAY_MS / HALF_LIFE_DAYS)


IEEE_CIS = Recipe(
    title="IEEE-CIS Fraud Detection: card-not-present payments of Vesta",
    licence="Kaggle competition rules: internal research and evaluation only, never to be redistributed",
    research_only=True,
    files=("ieee_cis_train80.parquet",),
    plans={
        "lightgbm": Plan(
            "lightgbm",
            Settings(
                {"num_leaves": 63, "learning_rate": 0.12, "min_data_in_leaf": 50, "feature_fraction": 0.3,
                 "bagging_fraction": 0.8, "bagging_freq": 1, "max_bin_by_feature": BINS},
                rounds=165, patience=40, averaged=3, honest_kept=0.4,
            ),
        ),
        "xgboost": Plan(
            "xgboost",
            Settings(
                {"max_leaves": 64, "max_depth": 0, "grow_policy": "lossguide", "eta": 0.08, "min_child_weight": 5.0,
                 "lambda": 2.0, "subsample": 0.8, "colsample_bytree": 0.3, "max_bin": 512},
                rounds=220, patience=40, averaged=3, honest_kept=0.3,
            ),
        ),
        "random_forest": Plan(
            "random_forest",
            Settings({"num_leaves": 500, "min_data_in_leaf": 5, "feature_fraction_bynode": 0.15},
                     rounds=60, honest_kept=0.3),
        ),
        "logistic_regression": Plan("logistic_regression", Settings({"bins": 16}, rounds=150, honest_kept=0.2)),
    },
    baselines=(
        Baseline("plain LightGBM, the columns as they are", all_features),
    ),
    notes=(
        "The file lacks card4, card6, P_emaildomain, dist1, dist2, D1 to D15, M1 to M9 and most V and id columns: the "
        "model takes no notice of them.",
        "baseline and example are medians of each feature, no row of the data.",
    ),
    made_up={"enormous amounts": ENORMOUS_ROWS},
    sparse=SPARSE,
    groups=WORTH,
    material=material,
    added=added,
    fit_weight=recent,
    as_of=as_of,
    moment=lambda at_ms: int(at_ms // 1000),
)  # fmt: skip
