"""Exact Shapley values of a logistic regression against one baseline row.

Its margin is a sum over the features, margin = intercept + sum of slope * s(x) + missing * [x is nan], with
s(x) = sign(x) * log(1 + |x|) and a fill where x is nan. So each feature's contribution is its own part's distance from
the baseline's, which is the Shapley value whatever the features' dependence (Lundberg and Lee 2017, corollary 1).
"""

from collections.abc import Mapping

import numpy as np

MOST = 1e30  # features are cut here, so that no margin is infinite


def signed_log(values: np.ndarray) -> np.ndarray:
    """sign(x) * log(1 + |x|), float64 in and out."""
    return np.sign(values) * np.log(1.0 + np.abs(values))


class LinearShap:
    """Contributions of each feature to the margin. Safe to share between threads: nothing changes after `__init__`."""

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        self._fill, self._slope, self._missing = (arrays[name] for name in ("fill", "slope", "missing"))
        self._baseline = self._parts(arrays["baseline"].reshape(1, -1))
        self._base_margin = float(self._baseline.sum() + arrays["intercept"])

    def contributions(self, features: np.ndarray) -> np.ndarray:
        """float32[n, F] features → float64[n, F + 1]: each feature's contribution, and last the baseline's margin."""
        added = self._parts(features) - self._baseline
        return np.column_stack([added, np.full(len(features), self._base_margin)])

    def _parts(self, features: np.ndarray) -> np.ndarray:
        unknown = np.isnan(features)
        known = np.where(unknown, self._fill, np.clip(features.astype(np.float64), -MOST, MOST))
        return self._slope * signed_log(known) + self._missing * unknown
