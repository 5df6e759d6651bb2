"""A log replayed in time order: the features of each row as the service would have seen them, its past included."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from apps.scoring.engine.block_pasts import past_columns
from apps.scoring.engine.history import Replay, past_of
from apps.scoring.engine.past_events import transaction_hash
from apps.scoring.engine.transaction import TransactionSchema
from apps.scoring.engine.values import RowView
from apps.training import data
from apps.training.dataset import Dataset

CHUNK = 20_000  # rows held as pasts at once
TOLD_EVERY = 200_000  # rows

Say = Callable[[str], None]


def features(
    schema: TransactionSchema,
    rows: data.Rows,
    say: Say = lambda line: None,
    history: data.Rows | None = None,
    wanted: np.ndarray | None = None,
) -> np.ndarray:
    """float32[n, F] of rows in time order, after an optional earlier log that is remembered but not scored.

    Of rows that are not `wanted` (bool[n]) the past is remembered, a tenth of the work, and the features are those of
    a transaction without a known past.
    """
    replay, seen = Replay(schema.roles), 0
    if history is not None:
        for seen, (parties, at_ms, amount) in enumerate(_observations(schema, history), start=1):
            replay.remember(parties, at_ms, amount, transaction_hash(f"row {seen}"))
            _progress(say, "remembered", seen)
    wanted = np.ones(len(rows.label), dtype=bool) if wanted is None else wanted
    made = np.empty((len(rows.label), len(schema.features)), dtype=np.float32)
    for start in range(0, len(made), CHUNK):
        chunk = rows.where(slice(start, start + CHUNK))
        made[start : start + CHUNK] = _chunk(schema, chunk, replay, seen + start, wanted[start : start + CHUNK])
        _progress(say, "replayed", start + len(chunk.label))
    return made


def without_history(schema: TransactionSchema, rows: data.Rows) -> np.ndarray:
    """float32[n, F] of rows whose parties' pasts are unknown."""
    return block(schema, rows.frame, rows.at_ms, [Always(np.nan, len(rows.label))] * len(schema.roles))


def with_fresh_parties(schema: TransactionSchema, rows: data.Rows) -> np.ndarray:
    """float32[n, F] of rows whose parties are known to have no past."""
    pasts = []
    for parties, at_ms, _ in _observations(schema, rows):
        pasts.append({party.role: past_of(schema.role_of[party.role], party, b"", at_ms, 0) for party in parties})
    return block(schema, rows.frame, rows.at_ms, past_columns(schema, pasts))


def forgotten(
    schema: TransactionSchema, rows: data.Rows, seen: np.ndarray, kept: Sequence[str], *, fresh: float, away: float
) -> Dataset:
    """Rows once more as if their users were new here, and once more as if the history were away: a fresh tenant's
    users begin so. `fresh` and `away` are what they weigh beside the rows as `seen` (float32[n, F]).

    The features `kept` are known of new users, too: they are about the things they use.
    """
    new, nothing = with_fresh_parties(schema, rows), without_history(schema, rows)
    for name in kept:
        column = schema.feature_names.index(name)
        new[:, column] = seen[:, column]
    weights = np.concatenate([rows.weight * fresh, rows.weight * away])
    return Dataset(np.concatenate([new, nothing]), np.concatenate([rows.label, rows.label]), weights)


def told_sparsely(schema: TransactionSchema, rows: data.Rows) -> data.Rows:
    """The rows with the required fields alone."""
    return rows._replace(frame=rows.frame[[name for name in rows.frame if name in schema.required]])


def block(schema: TransactionSchema, frame: pd.DataFrame, at_ms: np.ndarray, pasts: list[Any]) -> np.ndarray:
    """float32[n, F]; what is too large for a float32 is infinite, as in the live request."""
    with np.errstate(over="ignore"):
        return schema.block(data.columns(schema, frame), at_ms, pasts).astype(np.float32)


class Always:
    """A past of which every number is the same; unknown when it is nan."""

    def __init__(self, value: float, count: int) -> None:
        self._column = np.full(count, value)

    def __getattr__(self, name: str) -> np.ndarray:
        return self._column


def _progress(say: Say, done: str, rows: int) -> None:
    if rows % TOLD_EVERY == 0:
        say(f"{done} {rows:,} rows")


def _chunk(schema: TransactionSchema, rows: data.Rows, replay: Replay, seen: int, wanted: np.ndarray) -> np.ndarray:
    pasts = []
    events = zip(_observations(schema, rows), wanted.tolist(), strict=True)
    for number, (observed, asked) in enumerate(events, start=seen + 1):
        event = (*observed, transaction_hash(f"row {number}"))
        pasts.append(replay.observe(*event) if asked else {})
        if not asked:
            replay.remember(*event)
    return block(schema, rows.frame, rows.at_ms, past_columns(schema, pasts))


def _observations(schema: TransactionSchema, rows: data.Rows) -> Iterator[tuple[Any, int, float]]:
    row = RowView(data.columns(schema, rows.frame))
    for index, at_ms in enumerate(rows.at_ms.tolist()):
        row.index = index
        yield schema.parties(row), int(at_ms), schema.amount(row)
