"""The few operations features are written in, for one row (Python floats) and for a block (numpy arrays).

Only operations IEEE 754 defines exactly, so that a row and the same row inside a block give the same bits. Conditions
are joined with `&` and `|`, which mean the same on bools and on arrays. A nan in a comparison is false on both sides.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Operations(NamedTuple):
    """`where(condition, a, b)`, `minimum(a, b)`, `maximum(a, b)`, `ratio(a, b, default)` (default where b is 0)."""

    where: Callable[[Any, Any, Any], Any]
    minimum: Callable[[Any, Any], Any]
    maximum: Callable[[Any, Any], Any]
    ratio: Callable[[Any, Any, Any], Any]
    lookup: Callable[[dict[str, float], Any, float], Any]


def _where(condition: bool, a: float, b: float) -> float:
    return a if condition else b


def _minimum(a: float, b: float) -> float:
    return a if a < b else b


def _maximum(a: float, b: float) -> float:
    return a if a > b else b


def _ratio(a: float, b: float, default: float) -> float:
    return a / b if b else default


def _lookup(table: dict[str, float], key: str, default: float) -> float:
    return table.get(key, default)


def _block_minimum(a: Any, b: Any) -> np.ndarray:
    return np.where(np.less(a, b), a, b)


def _block_maximum(a: Any, b: Any) -> np.ndarray:
    return np.where(np.greater(a, b), a, b)


def _block_ratio(a: Any, b: Any, default: float) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.where(np.equal(b, 0), default, np.divide(a, b))


def _block_lookup(table: dict[str, float], keys: Any, default: float) -> np.ndarray:
    return np.array([table.get(key, default) for key in keys], dtype=np.float64)


SCALAR = Operations(_where, _minimum, _maximum, _ratio, _lookup)
BLOCK = Operations(np.where, _block_minimum, _block_maximum, _block_ratio, _block_lookup)
