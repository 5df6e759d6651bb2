"""Payments: a public generator's log, a public set of described payments, and our own simulator, one log together.

What each teaches is said in `SOURCES`, and goes into the card: the generator knows people's spending and its thieves'
sprees, and neither device nor chip nor country; the described payments know chip, PIN and distance of strangers; the
simulator knows all of it, with new users and sparse senders, and none of it from anybody's life.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from apps.scoring.engine.transaction import TransactionSchema
from apps.training import data, replay
from apps.training.baselines import all_features, row_features
from apps.training.behaviour import payments as simulated
from apps.training.data import Rows, UnusableData
from apps.training.dataset import Extra
from apps.training.families.fitted import SEED, Say, Settings
from apps.training.recipe import Baseline, Material, Plan, Recipe, Source

LOG, DESCRIBED = "payments_2019-01_2020-06.parquet", "card_transdata_40k.parquet"
LOG_USERS, LOG_HONEST = 240, 0.2  # users of the log, and the share of their honest rows, that are learned from
PEOPLE, PEOPLE_HONEST = 240, 0.25  # the same of the simulator
FRESH, AWAY = 0.20, 0.06  # what the simulator's rows without a past weigh beside those with it
# Kinds of fraud that a payment itself shows, without a past: only these may be forgotten and stay frauds to learn from.
SHOWN = frozenset(
    (
        "remote_purchase",
        "stolen_card",
        "counterfeit",
        "account_takeover",
        "scam_push_payment",
        "friendly_fraud",
        "beyond_measure",
    )
)
# The same where the sender tells the field that shows it. Few do, so these weigh for those who don't.
SHOWN_BY = {"beyond_usual": "ratio_to_median_purchase_price", "device_farm": "device_id"}
RARELY_TOLD = 3.0
SHOWN_BY_USERS = "device_farm"
COPIED = 0.5  # share of the honest rows that are there without a past, too
ABOUT_DEVICES = ("device_users_24h", "email_users_24h")  # known though the user is new
MEDIAN_USD, SPREAD = 30.0, 0.8  # of a described payment, of which only the ratio to the median is known
DAY_MS = 86_400_000

SOURCES = (
    Source("generator", 0.39, 1.0, "People's amounts, categories and rhythm, and thieves' sprees at night, with months "
           "of history: simulated by the public Sparkov generator."),
    Source("simulator", 0.58, 0.5, "Device, country, chip, PIN, online orders, journeys, velocity, bust-outs, scams; "
           "new users and senders that tell little: our own simulator (apps/training/behaviour)."),
    Source("described", 0.03, 0.15, "Strangers described by chip, PIN, distance and ratio to the median: the first "
           "rows of the public card_transdata set."),
)  # fmt: skip


def compose(schema: TransactionSchema, paths: Sequence[Path], say: Say) -> Rows:
    """All sources as one log in time order, each weighing as `SOURCES` says. Raises `UnusableData`."""
    random = np.random.default_rng(SEED)
    by_name = {path.name: path for path in paths}
    logs = [path for name, path in by_name.items() if name != DESCRIBED]
    if not logs:
        raise UnusableData(f"'{schema.name}' needs a log: {LOG}.")
    log = _thinned(_of_some_users(data.read(schema, logs), random), LOG_HONEST, random)
    say(f"read {len(log.label):,} rows of {LOG_USERS} users")
    first_ms, last_ms = log.at_ms[0], log.at_ms[-1]
    parts = {"generator": log, "simulator": _people(schema, first_ms, last_ms, random)}
    say(f"simulated {len(parts['simulator'].label):,} rows")
    if DESCRIBED in by_name:
        parts["described"] = _described(schema, by_name[DESCRIBED], first_ms, last_ms, random)
    return data.together([_weighed(source, parts[source.name]) for source in SOURCES if source.name in parts])


def _of_some_users(rows: Rows, random: np.random.Generator) -> Rows:
    users, of = np.unique(rows.frame["user_id"].to_numpy(str), return_inverse=True)
    chosen = np.zeros(len(users), dtype=bool)
    chosen[random.permutation(len(users))[:LOG_USERS]] = True
    return rows.where(chosen[of])


def _thinned(rows: Rows, honest_kept: float, random: np.random.Generator) -> Rows:
    """The others are remembered and not learned from; those kept weigh for them."""
    kept = random.random(len(rows.label)) < honest_kept
    weight = np.where(rows.label, 1.0, kept / honest_kept)
    return rows._replace(weight=rows.weight * weight, weighted_by="source")


def _people(schema: TransactionSchema, first_ms: float, last_ms: float, random: np.random.Generator) -> Rows:
    """The simulator over the log's own time."""
    days = int((last_ms - first_ms) // DAY_MS) - 60
    frame = simulated(PEOPLE, max(days, 1), SEED, np.datetime64(int(first_ms), "ms"))
    return _thinned(
        data.rows(schema, frame[frame["timestamp"] <= pd.Timestamp(last_ms, unit="ms")]), PEOPLE_HONEST, random
    )


def _described(
    schema: TransactionSchema, path: Path, first_ms: float, last_ms: float, random: np.random.Generator
) -> Rows:
    """The set's rows as payments of strangers, in its order over the log's time."""
    told = pd.read_parquet(path)
    count = len(told)
    at_ms = np.linspace(first_ms, last_ms, count).astype("int64")
    ratio = told["ratio_to_median_purchase_price"]
    frame = pd.DataFrame(
        {
            "amount": (ratio * MEDIAN_USD * random.lognormal(0, SPREAD, count)).round(2).clip(0.01),
            "user_id": [f"described-{number}" for number in range(count)],
            "merchant_id": "described",
            "timestamp": at_ms.astype("datetime64[ms]"),
            "distance_from_home_km": told["distance_from_home"],
            "distance_from_last_transaction": told["distance_from_last_transaction"],
            "ratio_to_median_purchase_price": ratio,
            **{name: told[name].astype(bool) for name in
               ("repeat_retailer", "used_chip", "used_pin_number", "online_order")},
            "is_fraud": told["fraud"].astype(int),
        }
    )  # fmt: skip
    return data.rows(schema, frame)


def _weighed(source: Source, rows: Rows) -> Rows:
    """With the weight a source has in the whole, its frauds weighing what brings their rate down to a plausible one."""
    weight = rows.weight * np.where(rows.label, source.fraud_weight, 1.0)
    weight *= source.share * len(rows.label) / weight.sum()
    return rows._replace(frame=rows.frame.assign(source=source.name), weight=weight, weighted_by="source")


def material(schema: TransactionSchema, rows: Rows, random: np.random.Generator, say: Say) -> Material:
    """Histories replayed, for every purpose."""
    seen = replay.features(schema, rows, say, wanted=rows.weight > 0)
    return Material(seen, seen, seen)


def copied(schema: TransactionSchema, rows: Rows, material: Material, random: np.random.Generator) -> Extra:
    """The simulator's frauds that show themselves and some of its honest rows once more, their pasts forgotten."""
    frame = rows.frame
    kind = frame["typology"]
    told = np.logical_or.reduce([kind.eq(name) & frame[field].notna() for name, field in SHOWN_BY.items()])
    shown = kind.isin(SHOWN).to_numpy() | told
    of = np.flatnonzero(
        (frame["source"] == "simulator").to_numpy()
        & (rows.weight > 0)
        & np.where(rows.label, shown, random.random(len(rows.label)) < COPIED)
    )
    some = rows.where(of)
    heavier = np.where(told[of], RARELY_TOLD, np.where(some.label, 1.0, 1.0 / COPIED))
    some = some._replace(weight=some.weight * heavier)
    block = replay.forgotten(schema, some, material.fitting[of], ABOUT_DEVICES, fresh=FRESH, away=AWAY)
    # A farm shows by its device's users alone: where the history is away, nothing is left of it.
    nothing_left = np.concatenate([np.zeros(len(of), dtype=bool), kind.eq(SHOWN_BY_USERS).to_numpy()[of]])
    block = block._replace(weight=np.where(nothing_left, 0.0, block.weight))
    return Extra(block, np.concatenate([of, of]))


PAYMENTS = Recipe(
    title="Payments of the Sparkov generator (with the public set's settings), of our own behavioural simulator and of "
    "the public card_transdata set: no real person",
    licence="MIT generator; our own; CC0 as stated at its source: free to use and to ship models trained on it",
    files=(LOG, DESCRIBED),
    sources=SOURCES,
    compose=compose,
    material=material,
    copied=copied,
    plans={
        "xgboost": Plan(
            "xgboost",
            Settings(
                {"max_depth": 6, "eta": 0.08, "min_child_weight": 0.5, "lambda": 2.0, "subsample": 0.8,
                 "colsample_bytree": 0.6},
                rounds=300, patience=40, averaged=2,
            ),
        ),
        "lightgbm": Plan(
            "lightgbm",
            Settings(
                {"num_leaves": 31, "learning_rate": 0.08, "min_data_in_leaf": 10, "min_sum_hessian_in_leaf": 0.5,
                 "lambda_l2": 2.0, "bagging_fraction": 0.8, "bagging_freq": 1, "feature_fraction": 0.6},
                rounds=300, patience=40, averaged=2,
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
    notes=(
        "The generator's frauds are far more alike than real ones, and its categories and amounts are its own: a model "
        "without laws finds nearly all of them by that, and nobody should.",
        "What the simulator teaches is what its authors believe. Every figure on its rows speaks of them.",
    ),
)  # fmt: skip
