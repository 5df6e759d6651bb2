"""PaySim: histories drawn at random, rows the log lacks, the drained-account rule to stand beside.

Why histories are drawn: see `sampled_history.py`. Why rows are added, and which: docs/model-quality.md.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer

from apps.scoring.engine.past_events import HOUR_MS
from apps.scoring.engine.schemas.paysim import PAYSIM as SCHEMA
from apps.scoring.engine.transaction import TransactionSchema
from apps.training import replay, sampled_history, simulate
from apps.training.baselines import all_features
from apps.training.data import Rows, UnusableData
from apps.training.dataset import Dataset, Extra, joined
from apps.training.families.fitted import Say, Settings
from apps.training.recipe import Baseline, Material, Plan, Prepared, Recipe

# Honest rows in the fit: the uniform ones are the representative ones.
UNIFORM_WEIGHT, OTHER_WEIGHT = 25.0, 25.0
# Share of the rows whose type is hidden, so that an unknown type is scored on its numbers.
TYPE_HIDDEN = 0.02
# (maker, how many rows, what they weigh together, in frauds of the log)
SIMULATED: tuple[tuple[Callable[[int, np.random.Generator], pd.DataFrame], int, float], ...] = (
    (simulate.tampered, 3000, 0.6),
    (simulate.thieves_who_leave_some, 6000, 5.5),
    (simulate.closers, 5000, 2.5),
    (simulate.fees, 2000, 0.15),
    (simulate.reconciling, 6000, 4.0),
    (simulate.nothing_moved, 1500, 0.5),
    (simulate.paid_in_full, 1500, 0.5),
)
EARLY = 0.6  # of the time, from which the typical row is taken
BURSTS, BURSTS_WEIGHT = 3000, 1.0  # origins in a hurry, and destinations that many pay at once
BURST_TELLS = 15.0  # transactions in an hour: of outgoing ones after so many two in three are frauds

RAW_BALANCES = ("oldbalanceOrg", "newbalanceOrig", "oldbalanceDest", "newbalanceDest")
FROM_BALANCES = (
    *RAW_BALANCES, "share_left", "share_of_balance", "origin_gap", "excess_loss", "destination_gap",
    "destination_unmoved",
)  # fmt: skip
# Rules may ask for these and no model sees them: a raw balance, a gap or an hour is the generator's hand, a destination
# that does not move is a rule's to judge, and what a party did when is not to be learned from a sample of a log.
FOR_RULES = (
    *RAW_BALANCES, "hour_of_day", "share_of_balance", "origin_gap", "destination_gap", "destination_unmoved",
    "orig_since_last", "dest_count_1h", "dest_count_24h", "dest_count_7d", "dest_sum_24h", "dest_since_last",
    "same_amount_since_last",
)  # fmt: skip
# Where one amount was seen before is told by the sampled log far more often of frauds than of honest transactions:
# a champion that learned it would take every repeated amount for a fraud.
UNSEEN = (*FOR_RULES, "same_amount_count_1h")
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
    """The simulated rows and the bursts; they weigh so many frauds of the log."""
    block = joined(
        *[_simulated(schema, maker(count, random), weight, random) for maker, count, weight in SIMULATED],
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
    each = np.full(len(frame), weight / len(frame))
    return Dataset(_drawn(schema, frame, random), frame["isFraud"].to_numpy(bool), each)


def _bursts(schema: TransactionSchema, random: np.random.Generator) -> Dataset:
    """Reconciling transactions of origins in a hurry, and of ones to a destination that many pay at once."""
    frame, burst = simulate.reconciling(BURSTS, random), sampled_history.burst(BURSTS, random)
    hurried = _matrix(schema, frame, burst, sampled_history.destination(BURSTS, random))
    collecting = _matrix(schema, frame, sampled_history.origin(BURSTS, random), burst)
    features = np.where(random.random((BURSTS, 1)) < 0.5, hurried, collecting)
    outgoing = frame["type"].isin(["TRANSFER", "CASH_OUT"]).to_numpy()
    fraud = outgoing & (random.random(BURSTS) < 1.0 - np.exp(-burst.count_1h / BURST_TELLS))
    return Dataset(features, fraud, np.full(BURSTS, BURSTS_WEIGHT / BURSTS))


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
                {"max_depth": 6, "eta": 0.2, "min_child_weight": 10.0, "lambda": 2.0, "gamma": 0.1, "subsample": 0.8,
                 "colsample_bytree": 0.8, "max_bin": 512},
                rounds=150, patience=20,
            ),
            masked=UNSEEN,
        ),
        "lightgbm": Plan(
            "lightgbm",
            Settings(
                {"num_leaves": 24, "learning_rate": 0.1, "min_sum_hessian_in_leaf": 10.0, "lambda_l2": 2.0,
                 "bagging_fraction": 0.8, "bagging_freq": 1, "feature_fraction": 0.8, "max_bin": 511},
                rounds=200, patience=20,
            ),
            masked=UNSEEN,
        ),
        "random_forest": Plan(
            "random_forest",
            Settings({"num_leaves": 255, "min_data_in_leaf": 10, "feature_fraction_bynode": 0.8}, rounds=80),
            masked=UNSEEN,
        ),
        "logistic_regression": Plan("logistic_regression", Settings(rounds=500), masked=UNSEEN),
        "without_balances": Plan(
            "lightgbm",
            Settings(
                {"num_leaves": 16, "learning_rate": 0.05, "min_data_in_leaf": 10, "lambda_l2": 5.0,
                 "bagging_fraction": 0.8, "bagging_freq": 1, "feature_fraction": 0.8},
                rounds=300, patience=40,
            ),
            masked=(*FROM_BALANCES, *PARTIES, "same_amount_since_last"),
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
    window_ms=60 * HOUR_MS,
    moment=lambda at_ms: int(at_ms // HOUR_MS),
    made_up={**{maker.__name__: count for maker, count, _ in SIMULATED}, "bursts": BURSTS},
)  # fmt: skip
