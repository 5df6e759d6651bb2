"""PaySim: histories drawn at random, rows the log lacks, the drained-account rule to stand beside.

Why histories are drawn: see `sampled_history.py`. Why rows are added, and which: docs/model-quality.md.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer

from apps.scoring.engine.history import HOUR_MS
from apps.scoring.engine.schemas.paysim import PAYSIM as SCHEMA
from apps.scoring.engine.transaction import TransactionSchema
from apps.training import replay, sampled_history, simulate
from apps.training.baselines import all_features
from apps.training.data import Rows, UnusableData
from apps.training.dataset import Dataset, Extra, joined
from apps.training.families.fitted import Say, Settings
from apps.training.recipe import Baseline, Material, Plan, Prepared, Recipe

# Honest rows in the fit: the uniform ones are the representative ones.
UNIFORM_WEIGHT, OTHER_WEIGHT = 5.0, 1.0
# Share of the rows whose type is hidden, so that an unknown type is scored on its numbers.
TYPE_HIDDEN = 0.02
# (maker, how many rows, weight of each in the fit)
SIMULATED: tuple[tuple[Callable[[int, np.random.Generator], pd.DataFrame], int, float], ...] = (
    (simulate.tampered, 6000, 1.0),
    (simulate.drained, 2000, 1.0),
    (simulate.reconciling, 6000, 4.0),
    (simulate.nothing_moved, 1500, 3.0),
    (simulate.paid_in_full, 1500, 3.0),
)
EARLY = 0.6  # of the time, from which the typical row is taken
BURSTS = 1500  # origins in a hurry
BURST_FRAUDS = 0.12  # share of the outgoing ones: a reason to look, not to block

# Where one amount was seen before is told by the sampled log far more often of frauds than of honest transactions:
# a champion that learned it would take every repeated round amount for a fraud.
REPEATED = ("same_amount_count_1h", "same_amount_since_last")
RAW_BALANCES = ("oldbalanceOrg", "newbalanceOrig", "oldbalanceDest", "newbalanceDest")
FROM_BALANCES = (
    *RAW_BALANCES, "account_emptied", "share_of_balance", "origin_gap", "excess_loss", "destination_gap",
    "destination_unmoved",
)  # fmt: skip
RAW = ("type", "amount", *RAW_BALANCES, "hour_of_day")
WITHOUT_BALANCES = ("type", "amount", "hour_of_day")
PARTIES = tuple(name for name in SCHEMA.feature_names if name.startswith(("orig_", "dest_")))


def material(schema: TransactionSchema, rows: Rows, random: np.random.Generator, say: Say) -> Material:
    """Fitted, stopped and calibrated on drawn histories, measured on replayed ones."""
    types = rows.frame["type"].to_numpy(object)
    hidden = rows.frame.assign(type=np.where(random.random(len(types)) < TYPE_HIDDEN, "OTHER", types))
    return Material(
        _drawn(schema, hidden, random), _drawn(schema, rows.frame, random), replay.features(schema, rows, say)
    )


def added(schema: TransactionSchema, rows: Rows, random: np.random.Generator) -> Extra:
    """The simulated rows and the bursts."""
    block = joined(
        *[_simulated(schema, maker(count, random), each, random) for maker, count, each in SIMULATED],
        _bursts(schema, random),
    )
    return Extra(block, np.full(len(block.label), -1))


def fit_weight(rows: Rows) -> np.ndarray:
    if rows.weighted_by != "sample":
        return rows.weight
    uniform = rows.frame["sample"].eq("negative_uniform").to_numpy()
    return np.where(rows.label, 1.0, np.where(uniform, UNIFORM_WEIGHT, OTHER_WEIGHT))


def typical(schema: TransactionSchema, rows: Rows, features: np.ndarray) -> np.ndarray:
    """The honest, reconciling row nearest to the medians of its kind, its parties fresh. float32[F]."""
    early = rows.where(rows.at_ms < rows.at_ms[0] + EARLY * (rows.at_ms[-1] - rows.at_ms[0]))
    features = replay.with_fresh_parties(schema, early)
    column = dict(zip(schema.feature_names, features.T, strict=True))
    sound = (column["origin_gap"] == 0) & (column["destination_gap"] == 0) & (column["newbalanceOrig"] > 0)
    candidates = features[sound & ~early.label & (early.weight > 0)]
    if not len(candidates):
        raise UnusableData("The earliest 60 % of the time need an honest one whose ledgers reconcile.")
    ranks = pd.DataFrame(candidates).rank(pct=True).fillna(0.5).to_numpy()
    return candidates[np.abs(ranks - 0.5).sum(axis=1).argmin()]


def _drawn(schema: TransactionSchema, frame: pd.DataFrame, random: np.random.Generator) -> np.ndarray:
    return _matrix(
        schema, frame, sampled_history.origin(len(frame), random), sampled_history.destination(len(frame), random)
    )


def _matrix(schema: TransactionSchema, frame: pd.DataFrame, *sides: object) -> np.ndarray:
    """float32[n, F]; nothing is known of the amount's past."""
    at_ms = frame["step"].to_numpy(np.float64) * HOUR_MS
    return replay.block(schema, frame, at_ms, [*sides, replay.Always(np.nan, len(frame))])


def _simulated(schema: TransactionSchema, frame: pd.DataFrame, weight: float, random: np.random.Generator) -> Dataset:
    return Dataset(_drawn(schema, frame, random), frame["isFraud"].to_numpy(bool), np.full(len(frame), weight))


def _bursts(schema: TransactionSchema, random: np.random.Generator) -> Dataset:
    """Reconciling transactions of origins in a hurry."""
    frame = simulate.reconciling(BURSTS, random)
    features = _matrix(
        schema, frame, sampled_history.burst(BURSTS, random), sampled_history.destination(BURSTS, random)
    )
    outgoing = frame["type"].isin(["TRANSFER", "CASH_OUT"]).to_numpy()
    return Dataset(features, outgoing & (random.random(BURSTS) < BURST_FRAUDS), np.ones(BURSTS))


def drained_rule(schema: TransactionSchema, rows: Rows, known: np.ndarray, last: np.ndarray) -> np.ndarray:
    frame = rows.frame[last]
    outgoing = frame["type"].isin(["TRANSFER", "CASH_OUT"])
    emptied = (frame["amount"] == frame["oldbalanceOrg"]) & (frame["newbalanceOrig"] == 0)
    return (outgoing & emptied).to_numpy(float)


def logistic(schema: TransactionSchema, rows: Rows, known: np.ndarray, last: np.ndarray) -> np.ndarray:
    inputs = replay.without_history(schema, rows)[:, [schema.feature_names.index(name) for name in RAW]]
    model = make_pipeline(QuantileTransformer(n_quantiles=200, random_state=0), LogisticRegression(max_iter=500))
    model.fit(inputs[known], rows.label[known], logisticregression__sample_weight=fit_weight(rows)[known])
    return model.predict_proba(inputs[last])[:, 1]


def _some(names: Sequence[str]) -> Callable[[Prepared], tuple[str, ...]]:
    return lambda prepared: tuple(names)


PAYSIM = Recipe(
    title="The PaySim log: simulated mobile money (Lopez-Rojas, Elmir and Axelsson, EMSS 2016)",
    licence="CC BY-SA 4.0; cite Lopez-Rojas, Elmir and Axelsson, PaySim: a financial mobile money simulator, EMSS 2016",
    files=("paysim_steps_1-400.parquet",),
    plans={
        "xgboost": Plan(
            "xgboost",
            Settings(
                {"max_depth": 5, "eta": 0.2, "min_child_weight": 10.0, "lambda": 2.0, "gamma": 0.1, "subsample": 0.8,
                 "colsample_bytree": 0.8, "max_bin": 512},
                rounds=150, patience=20,
            ),
            masked=REPEATED,
        ),
        "lightgbm": Plan(
            "lightgbm",
            Settings(
                {"num_leaves": 24, "learning_rate": 0.1, "min_sum_hessian_in_leaf": 10.0, "lambda_l2": 2.0,
                 "bagging_fraction": 0.8, "bagging_freq": 1, "feature_fraction": 0.8, "max_bin": 511},
                rounds=200, patience=20,
            ),
            masked=REPEATED,
        ),
        "random_forest": Plan(
            "random_forest",
            Settings({"num_leaves": 255, "min_data_in_leaf": 8, "feature_fraction_bynode": 0.3}, rounds=100),
            masked=REPEATED,
        ),
        "logistic_regression": Plan("logistic_regression", Settings(rounds=500), masked=REPEATED),
        "without_balances": Plan(
            "lightgbm",
            Settings(
                {"num_leaves": 16, "learning_rate": 0.05, "min_data_in_leaf": 10, "lambda_l2": 5.0,
                 "bagging_fraction": 0.8, "bagging_freq": 1, "feature_fraction": 0.8},
                rounds=300, patience=40,
            ),
            masked=(*FROM_BALANCES, *PARTIES),
            on_measured=True,
            active=False,
        ),
    },
    baselines=(
        Baseline("rule: amount == oldbalanceOrg and newbalanceOrig == 0", score=drained_rule),
        Baseline("logistic regression, raw fields", score=logistic),
        Baseline("plain LightGBM, all features", all_features),
        Baseline("plain LightGBM, raw fields", _some(RAW)),
        Baseline("plain LightGBM, without balances", _some(WITHOUT_BALANCES)),
    ),
    notes=("PaySim is easy: its frauds were cancelled, so the balances give them away; one `if` finds 98 %.",),
    material=material,
    added=added,
    fit_weight=fit_weight,
    typical=typical,
    tick_ms=HOUR_MS,
    moment=lambda at_ms: int(at_ms // HOUR_MS),
    made_up={**{maker.__name__: count for maker, count, _ in SIMULATED}, "bursts": BURSTS},
)  # fmt: skip
