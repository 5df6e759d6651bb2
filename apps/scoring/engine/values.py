"""A transaction's values as rules ask for them by name, and many transactions' as one array a field."""

from collections.abc import Callable, Mapping, Sequence
from math import nan
from typing import Any

import numpy as np

from apps.scoring.engine.known_aggregates import PREFIX, KnownAggregates

NOWHERE = -1


class Values(dict[str, Any]):
    """What rules ask about by name: what was sent, else a feature, else None. Raises KeyError for what does not exist.

    Features are looked up when they are asked for: rules ask for few of hundreds.
    """

    def look_up(self, place_of: Mapping[str, int], row: Sequence[float]) -> None:
        self._place_of, self._row = place_of, row

    def look_back(self, counted: Mapping[str, Any], pasts: Sequence[Any]) -> None:
        """Know what is counted of parties too: names like `user.count_1h`, whose past they ask and for what."""
        self._counted, self._pasts = counted, pasts

    def tell(self, aggregates: KnownAggregates) -> None:
        """Know what the tenant's aggregates came to; of others nothing is known."""
        self.update(aggregates)

    def __missing__(self, name: str) -> Any:
        if name.startswith(PREFIX):
            return nan
        place = self._place_of.get(name)
        if place is None:
            asked = self._counted[name]
            value = self[name] = getattr(self._pasts[asked.role], asked.what)
            return value
        value = self[name] = None if place == NOWHERE else self._row[place]
        return value

    _counted: Mapping[str, Any] = {}
    _pasts: Sequence[Any] = ()


class Columns:
    """Fields as arrays, each made when it is first asked for: few of hundreds are."""

    def __init__(self, make: Callable[[str], np.ndarray]) -> None:
        self._make = make

    def __getattr__(self, name: str) -> np.ndarray:
        column = self._make(name)
        setattr(self, name, column)
        return column


class RowView:
    """One row of columns seen as a transaction: each field is fetched when it is asked for, since parties ask for few
    of many. `index` is the row."""

    def __init__(self, columns: Any) -> None:
        self._lists = _Lists(columns)
        self.index = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lists, name)[self.index]


class _Lists:
    """Fields as lists of Python values, None where unknown, each made when it is first asked for."""

    def __init__(self, columns: Any) -> None:
        self._columns = columns

    def __getattr__(self, name: str) -> list[Any]:
        values = [None if value != value else value for value in getattr(self._columns, name).tolist()]
        setattr(self, name, values)
        return values
