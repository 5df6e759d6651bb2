"""Fitting: boosted trees with early stopping, and Platt's calibration on time the trees have not seen."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import xgboost
from sklearn.linear_model import LogisticRegression

from apps.scoring.engine.models import Calibration
from apps.scoring.training.data import UnusableData

SEED = 20_261_101
MOST_TREES = 150
PATIENCE = 20  # rounds without a better held-out log-loss
TOLD_EVERY = 25  # rounds
SETTINGS: dict[str, Any] = {
    "objective": "binary:logistic",
    "eval_metric": "logloss",
    "base_score": 0.5,  # a margin of 0: the exported trees are then the whole model
    "max_depth": 5,
    "eta": 0.2,
    "min_child_weight": 10.0,
    "lambda": 2.0,
    "gamma": 0.1,
    "subsample": 0.8,
    "colsample_bytree": 0.8,
    "tree_method": "hist",
    "max_bin": 512,
    "seed": SEED,
    "nthread": 2,
}


class Block(NamedTuple):
    """Features float32[n, F], labels bool[n], weights float64[n]."""

    features: np.ndarray
    label: np.ndarray
    weight: np.ndarray

    def matrix(self) -> xgboost.DMatrix:
        return xgboost.DMatrix(self.features, self.label, weight=self.weight, missing=np.nan)


class Told(xgboost.callback.TrainingCallback):
    """Progress in the caller's own words."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__()
        self._say = say

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        if epoch % TOLD_EVERY == 0:
            self._say(f"tree {epoch}: held-out log-loss {evals_log['held_out']['logloss'][-1]:.6f}")
        return False


def trees(train: Block, held_out: Block, monotone: tuple[int, ...], say: Callable[[str], None]) -> xgboost.Booster:
    """At most 150 trees of depth 5, stopped when the held-out log-loss no longer gets better."""
    booster = xgboost.train(
        {**SETTINGS, "monotone_constraints": monotone},
        train.matrix(),
        MOST_TREES,
        evals=[(held_out.matrix(), "held_out")],
        early_stopping_rounds=PATIENCE,
        verbose_eval=False,
        callbacks=[Told(say)],
    )
    return booster[: booster.best_iteration + 1]


def margins(booster: xgboost.Booster, features: np.ndarray) -> np.ndarray:
    """float32[n, F] → float32[n] log-odds before calibration."""
    return booster.predict(xgboost.DMatrix(features, missing=np.nan), output_margin=True)


def platt(margin: np.ndarray, label: np.ndarray, weight: np.ndarray) -> Calibration:
    """p = sigmoid(a * margin + b) by weighted maximum likelihood, after Platt 1999.

    Raises `UnusableData` when a is not positive.
    """
    fitted = LogisticRegression(C=1e6).fit(margin.reshape(-1, 1).astype(np.float64), label, sample_weight=weight)
    a, b = float(fitted.coef_[0, 0]), float(fitted.intercept_[0])
    if not a > 0:
        raise UnusableData("The held-out quarter contradicts the training data: calibration would turn the ranking.")
    return Calibration(a, b)
