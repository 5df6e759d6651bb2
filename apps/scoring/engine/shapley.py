"""Exact Shapley values of a tree ensemble against one baseline row, by shap's compiled extension alone.

The extension is loaded without importing the `shap` package, whose import costs 3 s and 350 MB. It gets the arrays and
the call that `shap.TreeExplainer(model, data=baseline, feature_perturbation="interventional")` makes; tests hold the
two together. Source: Lundberg et al. 2020, "From local explanations to global understanding with explainable AI for
trees".

On disk (`trees.npz`) all trees stand one after the other: `sizes` int32[trees], and for each node `left`, `right`
(within its tree, -1 at a leaf), `missing_left`, `features`, `thresholds` (x <= threshold goes left) and `values` (a
leaf's).
"""

from collections.abc import Mapping
from importlib.machinery import ExtensionFileLoader
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

INTERVENTIONAL = 0  # shap's code of the feature perturbation
IDENTITY = 0  # shap's code of the output transform: explain the raw margin
LEAF = -1

_loading = Lock()
_extension: Any = None


def extension() -> Any:
    """shap's `_cext`, loaded once a process. Raises ImportError when shap is not installed."""
    global _extension
    with _loading:
        if _extension is None:
            _extension = _load()
    return _extension


def _load() -> Any:
    package = find_spec("shap")
    if package is None or not package.submodule_search_locations:
        raise ImportError("shap is not installed")
    found = sorted(Path(package.submodule_search_locations[0]).glob("_cext.*"))
    if not found:
        raise ImportError("shap is installed without its compiled extension")
    spec = spec_from_file_location("shap._cext", found[0], loader=ExtensionFileLoader("shap._cext", str(found[0])))
    if spec is None or spec.loader is None:
        raise ImportError("shap's compiled extension can't be loaded")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class TreeShap:
    """Contributions of each feature to the margin. Safe to share between threads: nothing changes after `__init__`."""

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        self._trees = _table(arrays)
        self._max_depth = int(arrays["max_depth"])
        self._base_offset = np.zeros(1)
        self._baseline = np.ascontiguousarray(arrays["baseline"]).reshape(1, -1)
        self._baseline_missing = np.isnan(self._baseline)
        self._explain = extension().dense_tree_shap

    def contributions(self, features: np.ndarray) -> np.ndarray:
        """float32[n, F] features → float64[n, F + 1]: each feature's contribution, and last the baseline's margin."""
        rows, width = features.shape
        phi = np.zeros((rows, width + 1, 1))
        self._explain(
            *self._trees,
            self._max_depth,
            features,
            np.isnan(features),
            None,
            self._baseline,
            self._baseline_missing,
            len(self._trees[0]),  # all trees
            self._base_offset,
            phi,
            INTERVENTIONAL,
            IDENTITY,
            False,
        )
        return phi[:, :, 0]


def _table(arrays: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """One row a tree, as the extension wants it: left, right, where nan goes, feature, threshold, its type, value, and
    a count of samples, which this kind of explanation doesn't look at.
    """
    sizes = arrays["sizes"]
    shape = (len(sizes), int(sizes.max()))
    filled = np.arange(shape[1]) < sizes[:, None]

    def spread(flat: np.ndarray, kind: type, rest: float = 0) -> np.ndarray:
        table: np.ndarray = np.full(shape, rest, dtype=kind)
        table[filled] = flat
        return table

    left, right = arrays["left"], arrays["right"]
    return [
        spread(left, np.int32, LEAF),
        spread(right, np.int32, LEAF),
        spread(np.where(arrays["missing_left"], left, right), np.int32, LEAF),
        spread(arrays["features"], np.int32),
        spread(arrays["thresholds"], np.float64),
        np.zeros(shape, dtype=np.int32),
        spread(arrays["values"], np.float64)[:, :, None],
        np.zeros(shape),
    ]
