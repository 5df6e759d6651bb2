"""A file of labelled transactions as columns: reading, naming what is wrong, labels, weights, replayed history."""

from hashlib import file_digest
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from apps.scoring.engine.engine import ActivityColumns
from apps.scoring.engine.history import UNKNOWN, Replay, name_hash
from apps.scoring.engine.transaction import Party, TransactionSchema

LABELS = ("isFraud", "is_fraud", "fraud")
# The full PaySim log, of which the training file is a sample: what one fraud must be weighed against.
FULL_LOG_HONEST = 6_362_620 - 8_213
FULL_LOG_FRAUDS = 8_213


class UnusableData(ValueError):
    """A file that can't be trained on; the message names the column or value."""


class Rows(NamedTuple):
    """n transactions as columns. `weight` brings a sample back to the rates of the log it was drawn from."""

    frame: pd.DataFrame
    label: np.ndarray  # bool[n]
    weight: np.ndarray  # float64[n]
    weighted_by: str

    def where(self, chosen: np.ndarray) -> "Rows":
        return Rows(
            self.frame[chosen].reset_index(drop=True), self.label[chosen], self.weight[chosen], self.weighted_by
        )


def read(schema: TransactionSchema, paths: list[Path], *, labelled: bool = True) -> Rows:
    """CSV and Parquet files together, in time order. Raises `UnusableData` naming the missing or wrong column."""
    frame = pd.concat([_read_one(path) for path in paths], ignore_index=True)
    _check_columns(schema, frame)
    frame = frame.iloc[np.argsort(_times(schema, frame), kind="stable")].reset_index(drop=True)
    label = _label(frame) if labelled else np.zeros(len(frame), dtype=bool)
    weight, weighted_by = _weight(frame, label)
    return Rows(frame, label, weight, weighted_by)


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _read_one(path: Path) -> pd.DataFrame:
    if not path.exists():
        raise UnusableData(f"{path.name} does not exist.")
    return pd.read_parquet(path) if path.suffix.lower() in (".parquet", ".pq") else pd.read_csv(path)


def _check_columns(schema: TransactionSchema, frame: pd.DataFrame) -> None:
    for name in schema.fields:
        if name not in schema.required:
            continue
        if name not in frame:
            raise UnusableData(f"The column '{name}' is missing.")
        if schema.types[name].__origin__ is not str and not pd.api.types.is_numeric_dtype(frame[name]):
            raise UnusableData(f"The column '{name}' must hold numbers, not {frame[name].dtype}.")
        if frame[name].isna().any():
            raise UnusableData(f"The column '{name}' has empty cells.")


def _label(frame: pd.DataFrame) -> np.ndarray:
    name = next((label for label in LABELS if label in frame), None)
    if name is None:
        raise UnusableData(f"The label column is missing: one of {', '.join(LABELS)}.")
    if not frame[name].isin([0, 1]).all():
        raise UnusableData(f"The label column '{name}' must hold 0 and 1 only.")
    return frame[name].to_numpy().astype(bool)


def _weight(frame: pd.DataFrame, label: np.ndarray) -> tuple[np.ndarray, str]:
    if "weight" in frame:
        if not pd.api.types.is_numeric_dtype(frame["weight"]) or not (frame["weight"] >= 0).all():
            raise UnusableData("The column 'weight' must hold numbers of at least 0.")
        return frame["weight"].to_numpy(np.float64), "weight"
    if "sample" in frame:
        return sample_weight(frame, label), "sample"
    return np.ones(len(frame)), "none"


def sample_weight(frame: pd.DataFrame, label: np.ndarray) -> np.ndarray:
    """Uniformly drawn honest rows stand for the honest traffic around these frauds; other honest rows for nothing."""
    uniform = (frame["sample"] == "negative_uniform").to_numpy()
    each = label.sum() * FULL_LOG_HONEST / FULL_LOG_FRAUDS / max(uniform.sum(), 1)
    return np.where(label, 1.0, np.where(uniform, each, 0.0))


def columns(schema: TransactionSchema, frame: pd.DataFrame) -> Any:
    """The frame's required fields as the namespace the feature builder reads."""
    return SimpleNamespace(**{name: _column(schema, frame, name) for name in schema.fields if name in schema.required})


def _column(schema: TransactionSchema, frame: pd.DataFrame, name: str) -> np.ndarray:
    return frame[name].to_numpy(object if schema.types[name].__origin__ is str else np.float64)


def _times(schema: TransactionSchema, frame: pd.DataFrame) -> np.ndarray:
    """Event times in ms, by the schema's own reading of a transaction."""
    return np.asarray(schema.event_time_ms(columns(schema, frame)), dtype=np.int64)


def replayed(schema: TransactionSchema, frame: pd.DataFrame, history: pd.DataFrame | None = None) -> list[Any]:
    """Each role's recent activity before each row, as the service would have seen it, after an optional earlier log."""
    replay = Replay()
    if history is not None:
        for _ in _observed(schema, replay, history, start=len(frame)):
            pass
    seen = list(_observed(schema, replay, frame, start=0))
    return [ActivityColumns([one.get(role, UNKNOWN) for one in seen]) for role in schema.roles]


def _observed(schema: TransactionSchema, replay: Replay, frame: pd.DataFrame, start: int) -> Any:
    times = _times(schema, frame).tolist()
    amounts = np.asarray(schema.amount(columns(schema, frame))).tolist()
    names = [_names(frame, role) for role in schema.roles]
    for index, (at_ms, amount, *here) in enumerate(zip(times, amounts, *names, strict=True)):
        yield replay.observe(_parties(schema.roles, here), at_ms, amount, name_hash(f"row {start + index}"))


def _names(frame: pd.DataFrame, role: str) -> list[str]:
    return frame[role].fillna("").astype(str).tolist() if role in frame else [""] * len(frame)


def _parties(roles: tuple[str, ...], names: list[str]) -> list[Party]:
    """The named parties, each with the other one as its counterparty."""
    return [Party(role, name, other) for role, name, other in zip(roles, names, reversed(names), strict=True) if name]
