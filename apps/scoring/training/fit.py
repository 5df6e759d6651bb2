"""Fitting: boosted trees with early stopping, and Platt's calibration on time the trees have not seen."""

from typing import NamedTuple

import numpy as np
import xgboost
from sklearn.linear_model import LogisticRegression

from apps.scoring.engine.models import Calibration

SEED = 20_261_101
MOST_TREES = 150
PATIENCE = 20


class Block(NamedTuple):
    """Features float32[n, F], labels bool[n], weights float64[n]."""

    features: np.ndarray
    label: np.ndarray
    weight: np.ndarray

    def matrix(self) -> xgboost.DMatrix:
        return xgboost.DMatrix(self.features, self.label, weight=self.weight, missing=np.nan)


def trees(train: Block, held_out: Block, monotone: tuple[int, ...], progress: bool = True) -> xgboost.Booster:
    """At most 150 trees of depth 5, stopped when the held-out log-loss has not improved for 20 rounds."""
    settings = {
        "objective": "binary:logistic", "eval_metric": ["logloss"], "base_score": 0.5,
        "max_depth": 5, "eta": 0.15, "min_child_weight": 10.0, "lambda": 2.0, "gamma": 0.1,
        "subsample": 0.8, "colsample_bytree": 0.8, "tree_method": "hist", "max_bin": 512,
        "seed": SEED, "nthread": 2, "monotone_constraints": monotone,
    }  # fmt: skip
    booster = xgboost.train(
        settings,
        train.matrix(),
        MOST_TREES,
        evals=[(held_out.matrix(), "held_out")],
        early_stopping_rounds=PATIENCE,
        verbose_eval=25 if progress else False,
    )
    return booster[: booster.best_iteration + 1]


def margins(booster: xgboost.Booster, features: np.ndarray) -> np.ndarray:
    return booster.predict(xgboost.DMatrix(features, missing=np.nan), output_margin=True)


def platt(margin: np.ndarray, label: np.ndarray, weight: np.ndarray) -> Calibration:
    """p = sigmoid(a * margin + b) by weighted maximum likelihood. Raises ValueError when a is not positive."""
    fitted = LogisticRegression(C=1e6).fit(margin.reshape(-1, 1).astype(np.float64), label, sample_weight=weight)
    a, b = float(fitted.coef_[0, 0]), float(fitted.intercept_[0])
    if not a > 0:
        raise ValueError(
            "The calibration would turn the ranking round: the held-out data contradicts the training data."
        )
    return Calibration(a, b)
