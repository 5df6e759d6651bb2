"""Boosted trees of XGBoost and LightGBM, stopped early, several of them averaged where that helps."""

import json
from collections.abc import Sequence
from functools import partial
from os import cpu_count, environ
from typing import Any

import lightgbm
import numpy as np
import xgboost

from apps.scoring.engine.shapley import LEAF
from apps.training.dataset import Dataset
from apps.training.families.fitted import Settings, Task, spread
from apps.training.families.trees import TreeModel, Trees, below, finite, rounded_down, scaled, together, tree

THREADS = int(environ.get("OMP_NUM_THREADS") or cpu_count() or 1)
TOLD_EVERY = 100  # rounds
# A margin of 0 to begin with: the exported trees are then the whole model.
XGBOOST = {"objective": "binary:logistic", "eval_metric": "logloss", "base_score": 0.5, "tree_method": "hist"}
LIGHTGBM = {
    "objective": "binary", "metric": "binary_logloss", "deterministic": True, "force_row_wise": True, "verbosity": -1,
}  # fmt: skip


def fit_xgboost(task: Task, settings: Settings) -> TreeModel:
    """Raises nothing of its own; `settings.params` are XGBoost's."""
    train, held_out = _matrix(task.train), task.held_out and _matrix(task.held_out)
    boosters = []
    for index, seed in enumerate(spread(settings)):
        params = {**XGBOOST, **settings.params, "seed": seed, "nthread": THREADS}
        booster = xgboost.train(
            {**params, "monotone_constraints": task.monotone},
            train,
            settings.rounds if task.rounds is None else task.rounds[index],
            evals=[(held_out, "held_out")] if held_out else [],
            early_stopping_rounds=settings.patience if held_out else None,
            verbose_eval=False,
            callbacks=[_Told(task)],
        )
        boosters.append(booster[: booster.best_iteration + 1] if held_out else booster)
    parts = [_xgboost_trees(booster) for booster in boosters]
    rounds = tuple(booster.num_boosted_rounds() for booster in boosters)
    files = {"model.ubj": bytes(boosters[0].save_raw("ubj"))} if len(boosters) == 1 else {}
    return TreeModel(partial(_xgboost_margins, boosters), _averaged(parts), rounds, files)


def fit_lightgbm(task: Task, settings: Settings) -> TreeModel:
    """Raises nothing of its own; `settings.params` are LightGBM's."""
    train = lightgbm.Dataset(task.train.features, task.train.label, weight=task.train.weight, free_raw_data=False)
    held_out = task.held_out and lightgbm.Dataset(
        task.held_out.features, task.held_out.label, weight=task.held_out.weight, reference=train
    )
    boosters, rounds = [], []
    for index, seed in enumerate(spread(settings)):
        params = {**LIGHTGBM, **settings.params, "seed": seed, "num_threads": THREADS}
        callbacks: list[Any] = [partial(_tell, task)]
        if held_out:
            callbacks.append(lightgbm.early_stopping(settings.patience, verbose=False))
        booster = lightgbm.train(
            {**params, "monotone_constraints": list(task.monotone)},
            train,
            settings.rounds if task.rounds is None else task.rounds[index],
            valid_sets=[held_out] if held_out else None,
            callbacks=callbacks,
        )
        boosters.append(booster)
        rounds.append(booster.best_iteration if held_out else booster.num_trees())
    parts = [_lightgbm_trees(booster, taken) for booster, taken in zip(boosters, rounds, strict=True)]
    native = partial(_lightgbm_margins, boosters, rounds)
    return TreeModel(native, _averaged(parts), tuple(rounds))


def _averaged(parts: Sequence[Trees]) -> Trees:
    return scaled(together(parts), 1.0 / len(parts))


def _matrix(block: Dataset) -> xgboost.DMatrix:
    return xgboost.DMatrix(finite(block.features), block.label, weight=block.weight, missing=np.nan)


def _xgboost_margins(boosters: Sequence[xgboost.Booster], features: np.ndarray) -> np.ndarray:
    matrix = xgboost.DMatrix(finite(features), missing=np.nan)
    return np.mean([booster.predict(matrix, output_margin=True).astype(np.float64) for booster in boosters], axis=0)


def _lightgbm_margins(boosters: Sequence[Any], rounds: Sequence[int], features: np.ndarray) -> np.ndarray:
    return np.mean(
        [
            booster.predict(features, raw_score=True, num_iteration=taken, num_threads=THREADS)
            for booster, taken in zip(boosters, rounds, strict=True)
        ],
        axis=0,
    )


class _Told(xgboost.callback.TrainingCallback):
    """Progress in the caller's own words."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self._task = task

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        loss = evals_log["held_out"]["logloss"][-1] if evals_log else None
        _say(self._task, epoch, loss)
        return False


def _tell(task: Task, state: Any) -> None:
    """LightGBM calls this after each round."""
    _say(task, state.iteration, state.evaluation_result_list[0][2] if state.evaluation_result_list else None)


def _say(task: Task, round_: int, loss: float | None) -> None:
    if round_ and round_ % TOLD_EVERY == 0:
        task.say(f"  tree {round_}" + ("" if loss is None else f": held-out log-loss {loss:.6f}"))


def _xgboost_trees(booster: xgboost.Booster) -> Trees:
    learner = json.loads(bytes(booster.save_raw("json")))["learner"]
    return together([_xgboost_tree(one) for one in learner["gradient_booster"]["model"]["trees"]])


def _xgboost_tree(saved: dict[str, Any]) -> Trees:
    conditions = np.asarray(saved["split_conditions"], np.float32)
    return tree(
        saved["left_children"], saved["right_children"], saved["default_left"], saved["split_indices"],
        below(conditions), conditions,
    )  # fmt: skip


MISSING_BITS, DEFAULT_LEFT_BIT, CATEGORICAL_BIT = 0b1100, 0b10, 0b1  # of LightGBM's decision_type
MISSING_IS_NAN = 0b1000


def _lightgbm_trees(booster: Any, rounds: int) -> Trees:
    """From the model's text, a `Tree=` section a tree. Splits number from 0, leaves from ~0 downwards."""
    sections = booster.model_to_string(num_iteration=rounds).split("\nend of trees")[0].split("\nTree=")[1:]
    return together(
        [_lightgbm_tree(dict(line.split("=", 1) for line in one.splitlines()[1:] if line)) for one in sections]
    )


def _lightgbm_tree(said: dict[str, str]) -> Trees:
    leaves = np.array(said["leaf_value"].split(), np.float64)
    if len(leaves) == 1:
        return tree([LEAF], [LEAF], [False], [0], np.zeros(1), leaves)
    splits = len(leaves) - 1
    left, right = (_numbered(said[side], splits) for side in ("left_child", "right_child"))
    thresholds = np.array(said["threshold"].split(), np.float64)
    kind = np.array(said["decision_type"].split(), int)
    if (kind & CATEGORICAL_BIT).any() or not np.isin(kind & MISSING_BITS, (0, MISSING_IS_NAN)).all():
        raise ValueError("a tree splits in a way that is not exported")
    # Where nan was never seen LightGBM takes it for 0.
    missing_left = np.where(kind & MISSING_BITS, (kind & DEFAULT_LEFT_BIT) > 0, thresholds >= 0.0)
    rest = np.zeros(len(leaves))
    end = np.full(len(leaves), LEAF)
    return tree(
        np.r_[left, end], np.r_[right, end], np.r_[missing_left, rest],
        np.r_[np.array(said["split_feature"].split(), int), rest], np.r_[rounded_down(thresholds), rest],
        np.r_[np.zeros(splits), leaves],
    )  # fmt: skip


def _numbered(children: str, splits: int) -> np.ndarray:
    child = np.array(children.split(), int)
    return np.where(child < 0, splits + ~child, child)
