"""Feature blocks for fitting: the file's rows, and with them the rows the log lacks."""

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pandas as pd

from apps.scoring.engine.transaction import TransactionSchema
from apps.scoring.training import data, pasts, simulate
from apps.scoring.training.fit import Block

# Honest rows in the fit: the uniform ones are the representative ones.
UNIFORM_WEIGHT, OTHER_WEIGHT = 5.0, 1.0
# Share of the rows whose type is hidden, so that an unknown type is scored on its numbers.
TYPE_HIDDEN = 0.02
# (maker, how many rows, weight of each in the fit)
SIMULATED: tuple[tuple[Callable[[int, np.random.Generator], pd.DataFrame], int, float], ...] = (
    (simulate.tampered, 6000, 1.0),
    (simulate.drained, 2000, 1.0),
    (simulate.reconciling, 6000, 4.0),
    (simulate.nothing_moved, 1500, 3.0),
    (simulate.paid_in_full, 1500, 3.0),
)
BURSTS = 1500  # origins in a hurry
BURST_FRAUDS = 0.12  # share of the outgoing ones: a reason to look, not to block


def real(schema: TransactionSchema, rows: data.Rows, random: np.random.Generator) -> Block:
    """Rows of the file with drawn histories; rows of weight 0 stay out."""
    rows = rows.where(rows.weight > 0)
    return Block(with_drawn_pasts(schema, rows.frame, random), rows.label, rows.weight)


def for_fitting(schema: TransactionSchema, rows: data.Rows, random: np.random.Generator) -> Block:
    """The file's rows and the simulated ones, with the weights of the fit."""
    frame = rows.frame.assign(type=_some_hidden(rows.frame["type"].to_numpy(object), random))
    blocks = [Block(with_drawn_pasts(schema, frame, random), rows.label, _weight(rows))]
    blocks += [_simulated(schema, maker(count, random), each, random) for maker, count, each in SIMULATED]
    blocks += [_bursts(schema, random)]
    return Block(*(np.concatenate(parts) for parts in zip(*blocks, strict=True)))


def with_drawn_pasts(schema: TransactionSchema, frame: pd.DataFrame, random: np.random.Generator) -> np.ndarray:
    return _matrix(schema, frame, [pasts.origin(len(frame), random), pasts.destination(len(frame), random)])


def with_fresh_parties(schema: TransactionSchema, frame: pd.DataFrame) -> np.ndarray:
    zero, unknown = np.zeros(len(frame)), np.full(len(frame), np.nan)
    quiet = SimpleNamespace(**{name: unknown if name == "since_last" else zero for name in pasts.FIELDS})
    return _matrix(schema, frame, [quiet, quiet])


def with_replayed_pasts(schema: TransactionSchema, frame: pd.DataFrame) -> np.ndarray:
    return _matrix(schema, frame, data.replayed(schema, frame))


def _matrix(schema: TransactionSchema, frame: pd.DataFrame, activities: list[SimpleNamespace]) -> np.ndarray:
    """float32[n, F]"""
    return schema.block(data.columns(schema, frame), activities).astype(np.float32)


def _weight(rows: data.Rows) -> np.ndarray:
    if rows.weighted_by != "sample":
        return rows.weight
    uniform = rows.frame["sample"].eq("negative_uniform").to_numpy()
    return np.where(rows.label, 1.0, np.where(uniform, UNIFORM_WEIGHT, OTHER_WEIGHT))


def _some_hidden(types: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return np.where(random.random(len(types)) < TYPE_HIDDEN, "OTHER", types)


def _simulated(schema: TransactionSchema, frame: pd.DataFrame, weight: float, random: np.random.Generator) -> Block:
    features = with_drawn_pasts(schema, frame, random)
    return Block(features, frame["isFraud"].to_numpy(bool), np.full(len(frame), weight))


def _bursts(schema: TransactionSchema, random: np.random.Generator) -> Block:
    """Reconciling transactions of origins in a hurry."""
    frame = simulate.reconciling(BURSTS, random)
    pair = [pasts.burst(BURSTS, random), pasts.destination(BURSTS, random)]
    outgoing = frame["type"].isin(["TRANSFER", "CASH_OUT"]).to_numpy()
    return Block(_matrix(schema, frame, pair), outgoing & (random.random(BURSTS) < BURST_FRAUDS), np.ones(BURSTS))
