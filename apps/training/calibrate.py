"""Platt's calibration on time the model has not seen."""

import numpy as np

from apps.scoring.engine.models import Calibration
from apps.training.data import UnusableData

STEPS = 100  # of Newton's method; a handful suffices
CLOSE_ENOUGH = 1e-10
LEAST_CURVATURE = 1e-12  # keeps a step finite where all is said already


def platt(margin: np.ndarray, label: np.ndarray, weight: np.ndarray) -> Calibration:
    """p = sigmoid(a * margin + b) by weighted maximum likelihood with Platt's smoothed targets (Platt 1999; Lin, Lin
    and Weng 2007), so that it exists for classes that are told apart perfectly; floor and ceiling by the rows'
    number. Raises `UnusableData` when a is not positive.
    """
    center, spread = float(np.mean(margin)), float(np.std(margin)) or 1.0
    inputs = np.column_stack([(margin - center) / spread, np.ones(len(margin))])
    target = _smoothed(label, weight)
    weight = weight / weight.sum()
    share = float(np.average(target, weights=weight))
    fitted = np.array([1.0, np.log(share / (1.0 - share))])
    for _ in range(STEPS):
        step = _newton(inputs, target, weight, fitted)
        fitted = fitted + step
        if np.abs(step).max() < CLOSE_ENOUGH:
            break
    a = float(fitted[0]) / spread
    if not a > 0:
        raise UnusableData("The held-out part contradicts the training data: calibration would turn the ranking.")
    frauds, honest = int(label.sum()), int((~label).sum())
    return Calibration(a, float(fitted[1]) - a * center, 1.0 / (honest + 2.0), (frauds + 1.0) / (frauds + 2.0))


def _smoothed(label: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Almost 1 for frauds and almost 0 for honest rows; the more of a class there are, the closer."""
    frauds, honest = weight[label].sum(), weight[~label].sum()
    return np.where(label, (frauds + 1.0) / (frauds + 2.0), 1.0 / (honest + 2.0))


def _newton(inputs: np.ndarray, target: np.ndarray, weight: np.ndarray, at: np.ndarray) -> np.ndarray:
    """One step towards the maximum, at most 1 long in each direction."""
    said = 1.0 / (1.0 + np.exp(-np.clip(inputs @ at, -700.0, 700.0)))
    gradient = inputs.T @ (weight * (target - said))
    curvature = (inputs * (weight * said * (1.0 - said))[:, None]).T @ inputs
    step = np.linalg.solve(curvature + LEAST_CURVATURE * np.eye(2), gradient)
    return np.clip(step, -1.0, 1.0)


def probabilities(calibration: Calibration, margin: np.ndarray) -> np.ndarray:
    """float64[n] → float64[n]"""
    log_odds = np.clip(calibration.a * np.asarray(margin, np.float64) + calibration.b, -700.0, 700.0)
    return np.clip(1.0 / (1.0 + np.exp(-log_odds)), calibration.floor, calibration.ceiling)
