"""How common kinds of card, regions and both together are among the payments the models learned from.

A number of Vesta's that names a kind of card says little by its size; how many such payments there were says whether it
is a common kind or a rare one. The counts are a file of this package, written by `manage.py count_cards`; what fewer
than `LEAST` payments had counts as never seen, so that no single payment can be read off it.
"""

from collections.abc import Mapping, Sequence
from math import nan
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from apps.scoring.engine.operations import Operations

FILE = Path(__file__).with_name("card_counts.npz")
LEAST = 3.0  # payments
# Feature → the fields whose values together are counted. All of them but card1 are below 1,000.
COUNTED_BY: Mapping[str, tuple[str, ...]] = {
    "card_kind_seen": ("card1",),
    "card_seen_here": ("card1", "addr1"),
    "region_seen": ("addr1",),
}
BEYOND = 1_000.0  # each further field's values

Counts = Mapping[str, Mapping[float, float]]  # feature → key → payments


class Counted(NamedTuple):
    """Builds the features from counts, and the keys they are counted by. `unknown_as` is what a field that was not sent
    is taken for, in the key as in the models: one that none of the counted payments has, for the first field."""

    counts: Counts
    unknown_as: Mapping[str, float]

    def features(self, t: Any, ops: Operations) -> tuple[Any, ...]:
        """One for each of `COUNTED_BY`: 0 for what was seen too seldom, unknown where the first field was not sent."""
        return tuple(self._feature(t, name, fields, ops) for name, fields in COUNTED_BY.items())

    def _feature(self, t: Any, name: str, fields: Sequence[str], ops: Operations) -> Any:
        first = ops.number(getattr(t, fields[0]))
        return ops.where(first == first, ops.lookup(self.counts[name], self.key(t, fields, ops), 0.0), nan)

    def key(self, t: Any, fields: Sequence[str], ops: Operations) -> Any:
        """One number for the values of several fields."""
        key: Any = 0.0
        for field in fields:
            value = ops.number(getattr(t, field))
            key = key * BEYOND + ops.where(value == value, value, self.unknown_as[field])
        return key


def counts_of(keys: Mapping[str, np.ndarray]) -> Counts:
    """feature → float64[n] keys of payments, as how many payments had each, without the rare ones."""
    return {name: _common(*np.unique(column, return_counts=True)) for name, column in keys.items()}


def _common(keys: np.ndarray, counts: np.ndarray) -> Mapping[float, float]:
    kept = counts >= LEAST
    return dict(zip(keys[kept].tolist(), counts[kept].astype(np.float64).tolist(), strict=True))


def write(counts: Counts, file: Path = FILE) -> None:
    """The counts as two arrays a feature, in the order of the keys."""
    arrays = {}
    for name, counted in counts.items():
        arrays[f"{name}_keys"] = np.array(sorted(counted), dtype=np.int64)
        arrays[f"{name}_counts"] = np.array([counted[key] for key in sorted(counted)], dtype=np.int32)
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def read(file: Path = FILE) -> Counts:
    """The counts of a file. Raises FileNotFoundError, and KeyError when a feature's are not in it."""
    with np.load(file) as arrays:
        return {
            name: dict(
                zip(
                    arrays[f"{name}_keys"].astype(float).tolist(),
                    arrays[f"{name}_counts"].astype(float).tolist(),
                    strict=True,
                )
            )
            for name in COUNTED_BY
        }
