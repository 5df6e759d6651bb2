"""A logistic regression on signed logarithms: unknown values filled with the median and marked as unknown."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from warnings import catch_warnings, simplefilter

import numpy as np
import onnx
from onnx import TensorProto, helper
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from apps.scoring.engine.linear import MOST, signed_log
from apps.training.dataset import Dataset
from apps.training.families.fitted import SEED, Settings, Task
from apps.training.families.trees import graph

LEAST_SPREAD = 1e-9  # a feature that varies less says nothing
TOLERANCE = 1e-6  # of the mean loss, which is small where frauds are rare
BLOCK_ROWS = 20_000


class Inputs(NamedTuple):
    """What turns features into the regression's inputs: the filled, logged, scaled values, then the marks."""

    fill: np.ndarray  # float64[F]
    mean: np.ndarray
    spread: np.ndarray
    useful: np.ndarray  # bool[2F]

    def of(self, features: np.ndarray) -> np.ndarray:
        """float32[n, F] → float64[n, useful], a block of rows at a time: what is in between is five times as large."""
        found = np.empty((len(features), int(self.useful.sum())))
        for start in range(0, len(features), BLOCK_ROWS):
            found[start : start + BLOCK_ROWS] = self._of(features[start : start + BLOCK_ROWS])
        return found

    def _of(self, features: np.ndarray) -> np.ndarray:
        unknown = np.isnan(features)
        known = np.where(unknown, self.fill, np.clip(features.astype(np.float64), -MOST, MOST))
        logged = (signed_log(known) - self.mean) / self.spread
        return np.concatenate([logged, unknown], axis=1)[:, self.useful]


@dataclass(frozen=True)
class LinearModel:
    """margin = intercept + sum of slope * s(x or fill) + missing * [x unknown]; see engine/linear.py."""

    inputs: Inputs
    regression: Any
    rounds: tuple[int, ...] = (1,)
    files: Mapping[str, bytes] = field(default_factory=dict)
    explanation: str = "linear.npz"

    def margins(self, features: np.ndarray) -> np.ndarray:
        blocks = np.array_split(features, range(BLOCK_ROWS, len(features), BLOCK_ROWS))
        return np.concatenate([self.regression.decision_function(self.inputs.of(block)) for block in blocks])

    def weights(self) -> dict[str, np.ndarray]:
        width = len(self.inputs.fill)
        all_weights = np.zeros(2 * width)
        all_weights[self.inputs.useful] = self.regression.coef_[0]
        slope = all_weights[:width] / self.inputs.spread
        intercept = float(self.regression.intercept_[0] - (slope * self.inputs.mean).sum())
        return {
            "fill": self.inputs.fill, "slope": slope, "missing": all_weights[width:], "intercept": np.array(intercept),
        }  # fmt: skip

    def arrays(self, baseline: np.ndarray) -> dict[str, np.ndarray]:
        return {**self.weights(), "baseline": baseline}

    def onnx(self, width: int) -> bytes:
        return _onnx(self.weights(), width)


def fit_logistic(task: Task, settings: Settings) -> LinearModel:
    """`settings.params` are scikit-learn's."""
    inputs = _inputs(task.train)
    regression = LogisticRegression(max_iter=settings.rounds, tol=TOLERANCE, random_state=SEED, **settings.params)
    with catch_warnings():
        simplefilter("ignore", ConvergenceWarning)  # the last digits are not worth more than `rounds` iterations
        regression.fit(inputs.of(task.train.features), task.train.label, sample_weight=task.train.weight)
    return LinearModel(inputs, regression)


def _inputs(train: Dataset) -> Inputs:
    width = train.features.shape[1]
    fill, mean, spread, share = (np.zeros(width) for _ in range(4))
    for index in range(width):
        column = np.clip(train.features[:, index].astype(np.float64), -MOST, MOST)
        unknown = np.isnan(column)
        share[index] = unknown.mean()
        fill[index] = 0.0 if unknown.all() else np.median(column[~unknown])
        logged = signed_log(np.where(unknown, fill[index], column))
        mean[index], spread[index] = logged.mean(), logged.std()
    useful = np.r_[spread > LEAST_SPREAD, (share > 0) & (share < 1)]
    return Inputs(fill, mean, np.maximum(spread, LEAST_SPREAD), useful)


def _onnx(weights: dict[str, np.ndarray], width: int) -> bytes:
    """In double precision from the first node to the last."""
    constants = {
        "fill": weights["fill"].reshape(1, -1),
        "slope": weights["slope"].reshape(-1, 1),
        "missing": weights["missing"].reshape(-1, 1),
        "intercept": weights["intercept"].reshape(1, 1),
        "one": np.ones((1, 1)),
        "least": np.array(-MOST),
        "most": np.array(MOST),
    }
    double = TensorProto.DOUBLE
    nodes = [
        helper.make_node("Cast", ["features"], ["wide"], to=double),
        helper.make_node("IsNaN", ["wide"], ["unknown"]),
        helper.make_node("Clip", ["wide", "least", "most"], ["cut"]),
        helper.make_node("Where", ["unknown", "fill", "cut"], ["known"]),
        helper.make_node("Abs", ["known"], ["size"]),
        helper.make_node("Add", ["size", "one"], ["more"]),
        helper.make_node("Log", ["more"], ["log"]),
        helper.make_node("Sign", ["known"], ["sign"]),
        helper.make_node("Mul", ["sign", "log"], ["logged"]),
        helper.make_node("MatMul", ["logged", "slope"], ["sloped"]),
        helper.make_node("Cast", ["unknown"], ["marks"], to=double),
        helper.make_node("MatMul", ["marks", "missing"], ["marked"]),
        helper.make_node("Add", ["sloped", "marked"], ["sum"]),
        helper.make_node("Add", ["sum", "intercept"], ["double"]),
        helper.make_node("Cast", ["double"], ["margin"], to=TensorProto.FLOAT),
    ]
    tensors = [onnx.numpy_helper.from_array(np.asarray(value, np.float64), name) for name, value in constants.items()]
    return graph(nodes, tensors, width)
