"""A logistic regression on binned features: one step function a feature, written as one tree a feature.

Each feature is cut into bins by its quantiles; the margin is an intercept and one value for the bin of each feature.
What is fitted are the steps from bin to bin: under a direction none of them may go the other way (bounded L-BFGS-B),
and the ridge on the steps keeps neighbouring bins alike. Beyond the outermost cut nothing changes, so nothing
extrapolates. An unknown value of a monotone feature is in the bin of its median; of a free one in the bin that is worth
most nearly what unknown ones were found to be worth, so that it lies between the feature's least and most.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csr_matrix

from apps.scoring.engine.shapley import LEAF
from apps.training.dataset import Dataset
from apps.training.families.fitted import Laws, Settings, Task
from apps.training.families.trees import TreeModel, Trees, together, tree

BINS, PENALTY = 24, 1e-5  # per feature at most; of the squared steps, beside the mean loss
TAILS = (0.97, 0.99, 0.997, 0.999)  # more cuts where frauds are
TOLERANCE = 1e-9  # of the mean loss, which is small where frauds are rare


class Cuts(NamedTuple):
    """Where the bins of each feature begin and which bin an unknown value is in."""

    thresholds: tuple[np.ndarray, ...]  # float32, rising; x <= the first is bin 0
    unknown: tuple[int, ...]  # the bin after the last is one for unknown values alone

    @property
    def sizes(self) -> np.ndarray:
        """Bins a feature, int[F]."""
        own = [bin_ > len(cuts) for cuts, bin_ in zip(self.thresholds, self.unknown, strict=True)]
        return np.array([len(cuts) + 1 + extra for cuts, extra in zip(self.thresholds, own, strict=True)])

    @property
    def starts(self) -> np.ndarray:
        """The first bin of each feature among the bins of all, int[F]."""
        return np.cumsum(self.sizes) - self.sizes

    def bins(self, features: np.ndarray) -> np.ndarray:
        """float32[n, F] → int32[n, F]: the number of each value's bin among the bins of all features."""
        found = np.empty(features.shape, np.int32)
        for index, (cuts, unknown, start) in enumerate(zip(self.thresholds, self.unknown, self.starts, strict=True)):
            column = features[:, index]
            found[:, index] = start + np.where(np.isnan(column), unknown, np.searchsorted(cuts, column, "left"))
        return found


def fit_logistic(task: Task, settings: Settings) -> TreeModel:
    """`settings.params`: "bins" and "penalty"; `settings.rounds` iterations at most."""
    train = task.train._replace(features=task.laws.filled(task.train.features))
    cuts = _cuts(train.features, task.laws, settings.params.get("bins", BINS))
    values, intercept = _fitted(cuts, train, task.laws.directions, settings)
    found = _unknown_in(cuts, values)
    known = [values[first:end] for first, end, _ in _segments(cuts)]
    trees = [_tree(index, *one) for index, one in enumerate(zip(found.thresholds, known, found.unknown, strict=True))]
    alone = tree([LEAF], [LEAF], [False], [0], np.zeros(1), np.array([intercept]))
    native = partial(_margins, found, np.concatenate(known), intercept)
    return TreeModel(native, together([alone, *trees]), task.laws, (1,))


def _cuts(features: np.ndarray, laws: Laws, bins: int) -> Cuts:
    found = [_cut(column, direction, bins) for column, direction in zip(features.T, laws.directions, strict=True)]
    return Cuts(tuple(thresholds for thresholds, _ in found), tuple(unknown for _, unknown in found))


def _cut(column: np.ndarray, direction: int, bins: int) -> tuple[np.ndarray, int]:
    """One feature's thresholds, between values that occur, and the bin of its unknown values."""
    known = np.sort(column[~np.isnan(column)])
    if not len(known):
        return np.empty(0, np.float32), 0
    at = np.unique(np.r_[np.linspace(0.0, 1.0, bins + 1)[:-1], TAILS])
    edges = np.unique(known[(at * (len(known) - 1)).astype(int)])
    thresholds = edges[edges < known[-1]]
    median = int(np.searchsorted(thresholds, known[len(known) // 2], "left"))
    alone = direction == 0 and len(known) < len(column)
    return thresholds, len(thresholds) + 1 if alone else median


def _fitted(cuts: Cuts, train: Dataset, directions: Sequence[int], settings: Settings) -> tuple[np.ndarray, float]:
    """The value of every bin float64[bins of all features], and the intercept."""
    rows, width = train.features.shape
    chosen = cuts.bins(train.features)
    design = csr_matrix(
        (np.ones(rows * width, np.float32), chosen.ravel(), np.arange(0, rows * width + 1, width)),
        shape=(rows, int(cuts.sizes.sum())),
    )
    weight = train.weight / train.weight.sum()
    rate = float(np.clip(weight[train.label].sum(), 1e-9, 1 - 1e-9))
    start = np.r_[np.zeros(design.shape[1]), np.log(rate / (1.0 - rate))]
    label, penalty = train.label.astype(float), settings.params.get("penalty", PENALTY)
    found = minimize(
        _loss, start, jac=True, method="L-BFGS-B", bounds=[*_bounds(cuts, directions), (None, None)],
        args=(design, design.T.tocsr(), label, weight, cuts, penalty),
        options={"maxiter": settings.rounds, "ftol": TOLERANCE, "maxcor": 20},
    )  # fmt: skip
    return _summed(cuts, found.x[:-1]), float(found.x[-1])


def _bounds(cuts: Cuts, directions: Sequence[int]) -> list[tuple[float | None, float | None]]:
    """Of every step. The first bin of a feature is where its values are counted from: 0."""
    free = {0: (None, None), 1: (0.0, None), -1: (None, 0.0)}
    bounds: list[tuple[float | None, float | None]] = []
    for size, direction in zip(cuts.sizes, directions, strict=True):
        bounds += [(0.0, 0.0), *[free[direction]] * (size - 1)]
    return bounds


def _loss(
    steps: np.ndarray, design: Any, turned: Any, label: np.ndarray, weight: np.ndarray, cuts: Cuts, penalty: float
) -> tuple[float, np.ndarray]:
    """The weighted mean log-loss with the ridge on the steps, and its gradient."""
    margin = design @ _summed(cuts, steps[:-1]) + steps[-1]
    loss = float(weight @ (np.logaddexp(0.0, margin) - label * margin)) + penalty * float(steps[:-1] @ steps[:-1])
    error = weight * (1.0 / (1.0 + np.exp(-np.clip(margin, -700.0, 700.0))) - label)
    gradient = _summed_back(cuts, turned @ error) + 2.0 * penalty * steps[:-1]
    return loss, np.r_[gradient, error.sum()]


def _segments(cuts: Cuts) -> list[tuple[int, int, int]]:
    """(first, end of the ordered bins, end of all bins) of each feature."""
    ordered = [len(thresholds) + 1 for thresholds in cuts.thresholds]
    bins = zip(cuts.starts, ordered, cuts.sizes, strict=True)
    return [(start, start + known, start + size) for start, known, size in bins]


def _summed(cuts: Cuts, steps: np.ndarray) -> np.ndarray:
    """From steps to values; the bin of unknown values is no neighbour of any."""
    values = steps.copy()
    for first, end, _ in _segments(cuts):
        values[first:end] = np.cumsum(steps[first:end])
    return values


def _summed_back(cuts: Cuts, gradient: np.ndarray) -> np.ndarray:
    """The gradient by the steps from the one by the values."""
    by_step = gradient.copy()
    for first, end, _ in _segments(cuts):
        by_step[first:end] = np.cumsum(gradient[first:end][::-1])[::-1]
    return by_step


def _unknown_in(cuts: Cuts, values: np.ndarray) -> Cuts:
    """Each feature's unknown values in the known bin that is worth most nearly what they are."""
    nearest = [
        int(np.abs(values[first:end] - values[first + unknown]).argmin())
        for (first, end, _), unknown in zip(_segments(cuts), cuts.unknown, strict=True)
    ]
    return cuts._replace(unknown=tuple(nearest))


def _margins(cuts: Cuts, values: np.ndarray, intercept: float, features: np.ndarray) -> np.ndarray:
    return values[cuts.bins(features)].sum(axis=1) + intercept


class _Nodes(NamedTuple):
    """A tree's nodes as they are added: children, the way of the unknown, thresholds, values."""

    left: list[int]
    right: list[int]
    missing_left: list[bool]
    thresholds: list[float]
    values: list[float]

    def add(self, threshold: float, value: float, missing_left: bool = False) -> int:
        self.left.append(LEAF)
        self.right.append(LEAF)
        self.missing_left.append(missing_left)
        self.thresholds.append(threshold)
        self.values.append(value)
        return len(self.left) - 1


def _tree(index: int, thresholds: np.ndarray, values: np.ndarray, unknown: int) -> Trees:
    """A step function of feature `index` as one balanced tree; unknown values go to the bin `unknown`."""
    nodes = _Nodes([], [], [], [], [])
    _split(nodes, thresholds, values, 0, len(values), unknown)
    return tree(
        nodes.left, nodes.right, nodes.missing_left, np.full(len(nodes.left), index),
        np.array(nodes.thresholds), np.array(nodes.values),
    )  # fmt: skip


def _split(nodes: _Nodes, thresholds: np.ndarray, values: np.ndarray, first: int, end: int, unknown: int) -> int:
    """The subtree of the bins from `first` up to `end`; its root's number."""
    if end - first == 1:
        return nodes.add(0.0, float(values[first]))
    middle = (first + end) // 2
    here = nodes.add(float(thresholds[middle - 1]), 0.0, unknown < middle)
    nodes.left[here] = _split(nodes, thresholds, values, first, middle, unknown)
    nodes.right[here] = _split(nodes, thresholds, values, middle, end, unknown)
    return here
