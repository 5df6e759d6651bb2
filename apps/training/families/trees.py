"""Trees of any library in one form, and from it the two files of a model of trees: ONNX and its explanation's arrays.

In a tree x <= threshold goes left and an unknown x (nan) where `missing_left` says. Thresholds are float32, as
features are: XGBoost's x < t becomes x <= the float32 just below t, and a double threshold of LightGBM or scikit-learn
is rounded down to float32, which no float32 x can tell from the double. So every row takes the path it takes in its
library.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper

from apps.scoring.engine.shapley import LEAF
from apps.training.families.fitted import Laws

OPSETS = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]


class Trees(NamedTuple):
    """All trees one after the other; child numbers count within their tree."""

    sizes: np.ndarray  # int32[trees]
    left: np.ndarray  # int32[nodes], LEAF at a leaf
    right: np.ndarray
    missing_left: np.ndarray  # bool[nodes]
    features: np.ndarray  # int16[nodes], 0 at a leaf
    thresholds: np.ndarray  # float32[nodes], 0 at a leaf
    values: np.ndarray  # float32[nodes], 0 at a split


@dataclass(frozen=True)
class TreeModel:
    """A fitted ensemble: the library's own scoring, and its trees."""

    native: Callable[[np.ndarray], np.ndarray]
    learned: Trees
    laws: Laws
    rounds: tuple[int, ...]
    files: Mapping[str, bytes] = field(default_factory=dict)
    explanation: str = "trees.npz"

    @cached_property
    def trees(self) -> Trees:
        """As they are written: an unknown value goes where the one it is taken for goes."""
        fill = np.array(self.laws.unknown_as, np.float32)[self.learned.features]
        way = np.where(np.isnan(fill), self.learned.missing_left, fill <= self.learned.thresholds)
        return self.learned._replace(missing_left=way & (self.learned.left != LEAF))

    def margins(self, features: np.ndarray) -> np.ndarray:
        return self.native(self.laws.filled(features))

    def onnx(self, width: int) -> bytes:
        return onnx_trees(self.trees, width)

    def arrays(self, baseline: np.ndarray) -> dict[str, np.ndarray]:
        return {**self.trees._asdict(), "max_depth": np.array(depth(self.trees)), "baseline": baseline}


def tree(
    left: Any, right: Any, missing_left: Any, features: Any, thresholds: np.ndarray, values: Any
) -> Trees:  # fmt: skip
    """One tree from arrays over its nodes; what stands at splits and leaves for the other kind is wiped out."""
    left, right = np.asarray(left, np.int32), np.asarray(right, np.int32)
    leaf = left == LEAF
    return Trees(
        np.array([len(left)], np.int32),
        left,
        np.where(leaf, LEAF, right).astype(np.int32),
        np.asarray(missing_left, bool) & ~leaf,
        np.where(leaf, 0, features).astype(np.int16),
        np.where(leaf, 0.0, thresholds).astype(np.float32),
        np.where(leaf, values, 0.0).astype(np.float32),
    )


def together(parts: Sequence[Trees]) -> Trees:
    return Trees(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def scaled(trees: Trees, factor: float) -> Trees:
    return trees if factor == 1.0 else trees._replace(values=(trees.values * factor).astype(np.float32))


def finite(features: np.ndarray) -> np.ndarray:
    """XGBoost and scikit-learn take no infinity; the largest float32 falls on the same side of every threshold."""
    most = float(np.finfo(np.float32).max)
    return np.nan_to_num(features, nan=np.nan, posinf=most, neginf=-most)


def below(thresholds: np.ndarray) -> np.ndarray:
    """The float32 just below each: x < t is x <= below(t)."""
    return np.nextafter(thresholds.astype(np.float32), np.float32(-np.inf))


def rounded_down(thresholds: np.ndarray) -> np.ndarray:
    """The largest float32 that is at most each float64."""
    with np.errstate(over="ignore"):
        nearest = thresholds.astype(np.float32)
    return np.where(nearest.astype(np.float64) > thresholds, below(nearest), nearest)


def depth(trees: Trees) -> int:
    """Splits on the longest path."""
    starts = np.cumsum(trees.sizes) - trees.sizes
    offset = np.repeat(starts, trees.sizes)
    at, deepest = starts, 0
    while len(at := at[trees.left[at] != LEAF]):
        deepest += 1
        at = np.concatenate([trees.left[at] + offset[at], trees.right[at] + offset[at]])
    return deepest


def onnx_trees(trees: Trees, width: int) -> bytes:
    """The sum of the trees' leaves, summed in double precision: float32[n, width] → float32[n, 1]."""
    nodes = [
        helper.make_node("Cast", ["features"], ["wide"], to=TensorProto.DOUBLE),
        helper.make_node("TreeEnsembleRegressor", ["wide"], ["margin"], domain="ai.onnx.ml", **_attributes(trees)),
    ]
    return graph(nodes, [], width)


def graph(nodes: list[Any], constants: list[Any], width: int) -> bytes:
    """A checked model `features` float32[n, width] → `margin` float32[n, 1]."""
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, width])
    margin = helper.make_tensor_value_info("margin", TensorProto.FLOAT, [None, 1])
    made = helper.make_graph(nodes, "margin", [features], [margin], constants)
    model = helper.make_model(made, opset_imports=OPSETS, ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def _attributes(trees: Trees) -> dict[str, Any]:
    tree_of = np.repeat(np.arange(len(trees.sizes)), trees.sizes)
    node_of = np.arange(len(tree_of)) - np.repeat(np.cumsum(trees.sizes) - trees.sizes, trees.sizes)
    leaf = trees.left == LEAF
    return {
        "n_targets": 1,
        "post_transform": "NONE",
        "aggregate_function": "SUM",
        "nodes_treeids": tree_of.tolist(),
        "nodes_nodeids": node_of.tolist(),
        "nodes_modes": np.where(leaf, "LEAF", "BRANCH_LEQ").tolist(),
        "nodes_featureids": trees.features.tolist(),
        "nodes_values_as_tensor": _double("thresholds", trees.thresholds),
        "nodes_truenodeids": np.where(leaf, 0, trees.left).tolist(),
        "nodes_falsenodeids": np.where(leaf, 0, trees.right).tolist(),
        "nodes_missing_value_tracks_true": trees.missing_left.astype(int).tolist(),
        "target_treeids": tree_of[leaf].tolist(),
        "target_nodeids": node_of[leaf].tolist(),
        "target_ids": [0] * int(leaf.sum()),
        "target_weights_as_tensor": _double("weights", trees.values[leaf]),
    }


def _double(name: str, values: np.ndarray) -> Any:
    return onnx.numpy_helper.from_array(values.astype(np.float64), name)
