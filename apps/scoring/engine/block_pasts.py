"""Pasts of a block's parties as columns: unknown ones, those of many single pasts, and home as the tenant says."""

from collections.abc import Mapping, Sequence
from math import nan
from typing import Any

import numpy as np

from apps.scoring.engine.block import Block
from apps.scoring.engine.history import PastColumns, unknown
from apps.scoring.engine.transaction import TransactionSchema
from apps.scoring.engine.values import RowView
from apps.scoring.engine.windows import Activity
from apps.text import recognised


class Unknown:
    """Pasts of n transactions of which nothing is known: every number is nan."""

    def __init__(self, count: int) -> None:
        self._column = np.full(count, nan)

    def __getattr__(self, name: str) -> np.ndarray:
        return self._column


class ToldHome:
    """Pasts with another `abroad`."""

    def __init__(self, pasts: Any, abroad: np.ndarray) -> None:
        self._pasts, self.abroad = pasts, abroad

    def __getattr__(self, name: str) -> np.ndarray:
        return getattr(self._pasts, name)


def past_columns(schema: TransactionSchema, pasts: Sequence[Mapping[str, Activity]]) -> list[PastColumns]:
    """Each role's pasts as columns, from those of n transactions by role; unknown where a role is not named."""
    return [PastColumns([past.get(role.name, unknown(role)) for past in pasts]) for role in schema.roles]


def with_home(block: Block, pasts: Sequence[Any], home: str) -> Sequence[Any]:
    """The pasts, and whether those are abroad whose own home is not known, by what the tenant says ("" for nothing).

    `history.told_home` for a block; roles without habits know no home.
    """
    if not home or not any(role.habits for role in block.schema.roles):
        return pasts
    return [
        ToldHome(past, _abroad(block, past.abroad, recognised(home))) if role.habits else past
        for role, past in zip(block.schema.roles, pasts, strict=True)
    ]


def _abroad(block: Block, known: np.ndarray, home: str) -> np.ndarray:
    found, row = known.copy(), RowView(block.columns)
    for index in np.isnan(known).nonzero()[0].tolist():
        row.index = index
        if place := block.schema.place(row):
            found[index] = float(recognised(place) != home)
    return found
