"""The few operations features are written in, for one row (Python values) and for a block (numpy arrays).

A row and the same row inside a block must give the same bits. Arithmetic, comparison and remainder are exact by
IEEE 754; what is not (logarithm, sine, cosine) is computed value by value with `math` on both sides. Conditions are
joined with `&` and `|`, which mean the same on bools and on arrays. A nan in a comparison is false on both sides.
Fields arrive as they were sent in a row (None when not given) and as float64 (nan) or object arrays (None) in a block.
"""

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from math import nan
from typing import Any, NamedTuple

import numpy as np


class Operations(NamedTuple):
    """`where(condition, a, b)`, `minimum(a, b)`, `maximum(a, b)`, `ratio(a, b, default)` (default where b is 0),
    `lookup(table, key, default)` (nan where the key is None), `number(field)` (a bool is 0 or 1, None is nan),
    `instant(field)` (ms since 1970), and `log1p`, `sin`, `cos`, `floor` (nan outside their domain)."""

    where: Callable[[Any, Any, Any], Any]
    minimum: Callable[[Any, Any], Any]
    maximum: Callable[[Any, Any], Any]
    ratio: Callable[[Any, Any, Any], Any]
    lookup: Callable[[Mapping[Any, float], Any, float], Any]
    number: Callable[[Any], Any]
    instant: Callable[[Any], Any]
    log1p: Callable[[Any], Any]
    sin: Callable[[Any], Any]
    cos: Callable[[Any], Any]
    floor: Callable[[Any], Any]


def _where(condition: bool, a: float, b: float) -> float:
    return a if condition else b


def _minimum(a: float, b: float) -> float:
    return a if a < b else b


def _maximum(a: float, b: float) -> float:
    return a if a > b else b


def _ratio(a: float, b: float, default: float) -> float:
    return a / b if b else default


def _lookup(table: Mapping[Any, float], key: Any, default: float) -> float:
    return nan if key is None else table.get(key, default)


def _number(value: float | None) -> float:
    return nan if value is None else float(value)


def instant(value: datetime | float | None) -> float:
    """Milliseconds since 1970; a time without a zone is UTC. A number is milliseconds already (a column's value)."""
    if value is None:
        return nan
    if isinstance(value, float):
        return value
    return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp() * 1000.0 // 1.0


def _log1p(value: float) -> float:
    return math.log1p(value) if value > -1.0 else nan


def _sin(value: float) -> float:
    return math.sin(value) if math.isfinite(value) else nan


def _cos(value: float) -> float:
    return math.cos(value) if math.isfinite(value) else nan


def _floor(value: float) -> float:
    return value // 1.0


def _each(function: Callable[[float], float]) -> Callable[[Any], np.ndarray]:
    return lambda values: np.array([function(value) for value in values.tolist()], dtype=np.float64)


def _block_minimum(a: Any, b: Any) -> np.ndarray:
    return np.where(np.less(a, b), a, b)


def _block_maximum(a: Any, b: Any) -> np.ndarray:
    return np.where(np.greater(a, b), a, b)


def _block_ratio(a: Any, b: Any, default: Any) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.where(np.equal(b, 0), default, np.divide(a, b))


def _block_lookup(table: Mapping[Any, float], keys: Any, default: float) -> np.ndarray:
    return np.array([_lookup(table, key, default) for key in keys.tolist()], dtype=np.float64)


def _as_it_is(column: Any) -> Any:
    return column


SCALAR = Operations(
    _where, _minimum, _maximum, _ratio, _lookup, _number, instant, _log1p, _sin, _cos, _floor,
)  # fmt: skip
BLOCK = Operations(
    np.where, _block_minimum, _block_maximum, _block_ratio, _block_lookup, _as_it_is, _as_it_is,
    _each(_log1p), _each(_sin), _each(_cos), _each(_floor),
)  # fmt: skip
