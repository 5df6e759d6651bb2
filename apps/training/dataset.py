"""What a model is fitted on."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Dataset(NamedTuple):
    """Features float32[n, F], labels bool[n], weights float64[n]."""

    features: np.ndarray
    label: np.ndarray
    weight: np.ndarray

    def where(self, chosen: np.ndarray) -> "Dataset":
        return Dataset(self.features[chosen], self.label[chosen], self.weight[chosen])

    def without(self, columns: Sequence[int]) -> "Dataset":
        """The same with some features unknown in every row, so that a model can't learn from them."""
        if not columns:
            return self
        features = self.features.copy()
        features[:, columns] = np.nan
        return self._replace(features=features)


class Extra(NamedTuple):
    """Rows added to a fit or a calibration. `of` int64[n] is the file's row each was made from, so that it stays in
    that row's part of the time; -1 when it was made from none: then its weight is counted in frauds of the part."""

    block: Dataset
    of: np.ndarray

    def within(self, part: np.ndarray, label: np.ndarray) -> Dataset:
        """Those of a part bool[rows of the file], among rows of bool[rows of the file] labels."""
        made_up = self.of < 0
        weight = np.where(made_up, self.block.weight * label[part].sum(), self.block.weight)
        return self.block._replace(weight=weight).where(made_up | part[self.of])


def joined(*blocks: Dataset) -> Dataset:
    return Dataset(*(np.concatenate(parts) for parts in zip(*blocks, strict=True)))


def thinned(block: Dataset, honest_kept: float, seed: int) -> Dataset:
    """A share of the honest rows, each weighing as many as it stands for: for families that are slow on all of them."""
    if honest_kept >= 1.0:
        return block
    chosen = block.label | (np.random.default_rng(seed).random(len(block.label)) < honest_kept)
    thin = block.where(chosen)
    return thin._replace(weight=np.where(thin.label, thin.weight, thin.weight / honest_kept))
