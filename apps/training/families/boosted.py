"""Boosted trees of XGBoost and LightGBM under a schema's laws, stopped early, several averaged where that helps.

Both libraries hold a monotone feature's splits, unknown rows included, to its direction, so that the margin of an
unknown value lies between those of the feature's extremes too.
"""

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
from apps.training.families.fitted import SEED, Laws, Settings, Task, spread
from apps.training.families.trees import TreeModel, Trees, below, finite, rounded_down, scaled, together, tree

THREADS = int(environ.get("OMP_NUM_THREADS") or cpu_count() or 1)
TOLD_EVERY = 100  # rounds
# A margin of 0 to begin with: the exported trees are then the whole model.
XGBOOST = {"objective": "binary:logistic", "eval_metric": "logloss", "base_score": 0.5, "tree_method": "hist"}
LIGHTGBM = {
    "objective": "binary", "metric": "binary_logloss", "deterministic": True, "force_row_wise": True, "verbosity": -1,
}  # fmt: skip
# Each tree sees 63 % of the rows, as many as a bootstrap draws different ones.
FOREST = {"boosting_type": "rf", "bagging_fraction": 0.632, "bagging_freq": 1, "lambda_l2": 0.0}


def fit_xgboost(task: Task, settings: Settings) -> TreeModel:
    """Raises nothing of its own; `settings.params` are XGBoost's."""
    train, held_out = _matrix(task.train, task.laws), task.held_out and _matrix(task.held_out, task.laws)
    boosters = []
    for index, seed in enumerate(spread(settings)):
        params = {**XGBOOST, **settings.params, "seed": seed, "nthread": THREADS}
        booster = xgboost.train(
            {**params, "monotone_constraints": task.laws.directions},
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
    return TreeModel(partial(_xgboost_margins, boosters), _averaged(parts), task.laws, rounds, files)


def fit_lightgbm(task: Task, settings: Settings) -> TreeModel:
    """Raises nothing of its own; `settings.params` are LightGBM's."""
    train = _dataset(task.train, task.laws)
    held_out = task.held_out and _dataset(task.held_out, task.laws, reference=train)
    boosters, rounds = [], []
    for index, seed in enumerate(spread(settings)):
        params = {**LIGHTGBM, **settings.params, "seed": seed, "num_threads": THREADS}
        callbacks: list[Any] = [partial(_tell, task)]
        if held_out:
            callbacks.append(lightgbm.early_stopping(settings.patience, verbose=False))
        booster = lightgbm.train(
            {**params, **_constraints(task.laws)},
            train,
            settings.rounds if task.rounds is None else task.rounds[index],
            valid_sets=[held_out] if held_out else None,
            callbacks=callbacks,
        )
        boosters.append(booster)
        rounds.append(booster.best_iteration if held_out else booster.num_trees())
    parts = [lightgbm_trees(booster, taken) for booster, taken in zip(boosters, rounds, strict=True)]
    native = partial(_lightgbm_margins, boosters, rounds)
    return TreeModel(native, _averaged(parts), task.laws, tuple(rounds))


def fit_forest(task: Task, settings: Settings) -> TreeModel:
    """A random forest of `settings.rounds` trees by LightGBM; `settings.params` are its own.

    Its margin is the mean of its trees' leaf frequencies of fraud, up to a constant: with boosting off, each leaf is
    one Newton step from the overall rate, which is linear in the leaf's frequency; the slope is taken out again.
    """
    params = {**LIGHTGBM, **FOREST, **settings.params, "seed": SEED, "num_threads": THREADS, **_constraints(task.laws)}
    forest = lightgbm.train(params, _dataset(task.train, task.laws), settings.rounds)
    rate = float(np.average(task.train.label, weights=task.train.weight))
    slope = rate * (1.0 - rate) / settings.rounds
    trees = scaled(lightgbm_trees(forest, settings.rounds), slope)
    return TreeModel(partial(_forest_margins, forest, slope), trees, task.laws, (settings.rounds,))


def _forest_margins(forest: Any, slope: float, features: np.ndarray) -> np.ndarray:
    return slope * np.asarray(forest.predict(features, raw_score=True, num_threads=THREADS))


def _constraints(laws: Laws) -> dict[str, Any]:
    """LightGBM's names for the directions; without any law it chooses among more ways to sum."""
    if not any(laws.directions):
        return {}
    return {"monotone_constraints": list(laws.directions), "monotone_constraints_method": "intermediate"}


def _dataset(block: Dataset, laws: Laws, reference: Any = None) -> Any:
    features = laws.filled(block.features)
    return lightgbm.Dataset(features, block.label, weight=block.weight, reference=reference, free_raw_data=False)


def _averaged(parts: Sequence[Trees]) -> Trees:
    return scaled(together(parts), 1.0 / len(parts))


def _matrix(block: Dataset, laws: Laws) -> xgboost.DMatrix:
    return xgboost.DMatrix(finite(laws.filled(block.features)), block.label, weight=block.weight, missing=np.nan)


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


def lightgbm_trees(booster: Any, rounds: int) -> Trees:
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
