"""A transaction's values as rules ask for them by name, and many transactions' as one array a field."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    pass

NOWHERE = -1


class Values(dict[str, Any]):
    """What rules ask about by name: what was sent, else a feature, else None. Raises KeyError for what does not exist.

    Features are looked up when they are asked for: rules ask for few of hundreds.
    """

    def look_up(self, place_of: Mapping[str, int], row: Sequence[float]) -> None:
        self._place_of, self._row = place_of, row

    def __missing__(self, name: str) -> Any:
        place = self._place_of[name]
        value = self[name] = None if place == NOWHERE else self._row[place]
        return value


class Columns:
    """Fields as arrays, each made when it is first asked for: few of hundreds are."""

    def __init__(self, make: Callable[[str], np.ndarray]) -> None:
        self._make = make

    def __getattr__(self, name: str) -> np.ndarray:
        column = self._make(name)
        setattr(self, name, column)
        return column
