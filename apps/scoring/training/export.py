"""A fitted ensemble as files: ONNX for scoring, the arrays of its explanation, the native model."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import shap
import xgboost
from onnx import TensorProto, helper

from apps.scoring.engine.shapley import TREE_ARRAYS

LEAF = -1


def onnx_model(booster: xgboost.Booster, width: int) -> bytes:
    """The raw margin of the booster: one TreeEnsembleRegressor, float32[n, width] → float32[n, 1].

    Written node by node: the common converters give probabilities, and calibration needs the margin. The booster's
    base_score must be 0.5, a margin of 0.
    """
    attributes = _attributes(json.loads(bytes(booster.save_raw("json"))))
    node = helper.make_node("TreeEnsembleRegressor", ["features"], ["margin"], domain="ai.onnx.ml", **attributes)
    graph = helper.make_graph(
        [node],
        "margin",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, width])],
        [helper.make_tensor_value_info("margin", TensorProto.FLOAT, [None, 1])],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def _attributes(saved: dict[str, Any]) -> dict[str, Any]:
    learner = saved["learner"]
    base = json.loads(learner["learner_model_param"]["base_score"])
    if (base[0] if isinstance(base, list) else base) != 0.5:
        raise ValueError("the booster must be trained with base_score 0.5")
    collected: dict[str, Any] = {"n_targets": 1, "post_transform": "NONE", "aggregate_function": "SUM"}
    for tree_id, tree in enumerate(learner["gradient_booster"]["model"]["trees"]):
        for node_id in range(len(tree["left_children"])):
            for name, value in _node(tree, tree_id, node_id):
                collected.setdefault(name, []).append(value)
    return collected


def _node(tree: dict[str, Any], tree_id: int, node_id: int) -> list[tuple[str, Any]]:
    leaf = tree["left_children"][node_id] == LEAF
    condition = float(tree["split_conditions"][node_id])
    node = [
        ("nodes_treeids", tree_id),
        ("nodes_nodeids", node_id),
        ("nodes_modes", "LEAF" if leaf else "BRANCH_LT"),
        ("nodes_featureids", 0 if leaf else tree["split_indices"][node_id]),
        ("nodes_values", 0.0 if leaf else condition),
        ("nodes_truenodeids", 0 if leaf else tree["left_children"][node_id]),
        ("nodes_falsenodeids", 0 if leaf else tree["right_children"][node_id]),
        ("nodes_missing_value_tracks_true", 0 if leaf else tree["default_left"][node_id]),
    ]
    weight = [
        ("target_treeids", tree_id),
        ("target_nodeids", node_id),
        ("target_ids", 0),
        ("target_weights", condition),
    ]
    return node + weight if leaf else node


def tree_arrays(booster: xgboost.Booster, baseline: np.ndarray) -> dict[str, np.ndarray]:
    """What shap's compiled extension needs to explain against `baseline` (float32[F])."""
    explainer = shap.TreeExplainer(booster, data=baseline.reshape(1, -1), feature_perturbation="interventional")
    arrays = {name: getattr(explainer.model, name) for name in TREE_ARRAYS}
    return {
        **arrays,
        "max_depth": np.array(explainer.model.max_depth),
        "base_offset": np.asarray(explainer.model.base_offset),
        "baseline": np.asarray(explainer.data),
    }


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]
