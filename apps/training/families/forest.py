"""A random forest. Its margin is the mean of its trees' leaf probabilities, which is a sum over trees as well."""

from functools import partial
from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier

from apps.training.families.boosted import THREADS
from apps.training.families.fitted import SEED, Settings, Task
from apps.training.families.trees import TreeModel, Trees, finite, rounded_down, scaled, together, tree

BLOCK_ROWS = 50_000  # scored at once: the library's own copies are large


def fit_forest(task: Task, settings: Settings) -> TreeModel:
    """`settings.rounds` trees; `settings.params` are scikit-learn's."""
    train = task.train
    forest = RandomForestClassifier(settings.rounds, random_state=SEED, n_jobs=THREADS, **settings.params)
    # Trees learn where to send the unknown only where they see some: a copy of one row with nothing known.
    unknown = np.full((1, train.features.shape[1]), np.nan, np.float32)
    forest.fit(
        np.concatenate([finite(train.features), unknown]),
        np.r_[train.label, False],
        sample_weight=np.r_[train.weight, 1e-6],
    )
    trees = scaled(together([_tree(one.tree_) for one in forest.estimators_]), 1.0 / settings.rounds)
    return TreeModel(partial(_margins, forest), trees, (settings.rounds,))


def _margins(forest: Any, features: np.ndarray) -> np.ndarray:
    blocks = np.array_split(finite(features), range(BLOCK_ROWS, len(features), BLOCK_ROWS))
    return np.concatenate([forest.predict_proba(block)[:, 1] for block in blocks])


def _tree(saved: Any) -> Trees:
    shares = saved.value[:, 0, :]
    fraud = shares[:, 1] / shares.sum(axis=1)
    return tree(
        saved.children_left, saved.children_right, saved.missing_go_to_left, saved.feature,
        rounded_down(saved.threshold), fraud,
    )  # fmt: skip
