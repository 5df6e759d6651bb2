"""A file of labelled transactions as columns: reading, naming what is wrong, labels, weights."""

from collections.abc import Callable, Mapping, Sequence, Set
from datetime import datetime
from hashlib import file_digest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow.parquet

from apps.scoring.engine.field_types import is_kind
from apps.scoring.engine.operations import BLOCK
from apps.scoring.engine.transaction import TransactionSchema
from apps.scoring.engine.values import Columns

LABELS = ("isFraud", "is_fraud", "fraud")
BESIDE = (*LABELS, "weight", "sample")  # columns that are read beside the schema's own
KEPT_BESIDE = ("sample", "typology")
# The full PaySim log, of which the training file is a sample: what one fraud must be weighed against.
FULL_LOG_HONEST = 6_362_620 - 8_213
FULL_LOG_FRAUDS = 8_213
EMPTY = ["", "NA", "N/A", "NaN", "nan", "NULL", "null", "None", "none"]  # cells of numbers that hold none
YES_NO = {"true": 1.0, "false": 0.0, "1": 1.0, "0": 0.0, "1.0": 1.0, "0.0": 0.0}


class UnusableData(ValueError):
    """A file that can't be trained on; the message names the column or value."""


class Rows(NamedTuple):
    """n transactions as columns. `weight` brings a sample back to the rates of the log it was drawn from.

    The frame holds the schema's fields that the files have: numbers, bools and times (ms since 1970) as numbers with
    nan where unknown, texts as objects with None.
    """

    frame: pd.DataFrame
    label: np.ndarray  # bool[n]
    weight: np.ndarray  # float64[n]
    weighted_by: str
    at_ms: np.ndarray  # float64[n], rising

    def where(self, chosen: np.ndarray | slice) -> "Rows":
        frame = self.frame.iloc[chosen].reset_index(drop=True)
        return Rows(frame, self.label[chosen], self.weight[chosen], self.weighted_by, self.at_ms[chosen])


def read(schema: TransactionSchema, paths: Sequence[Path], *, labelled: bool = True) -> Rows:
    """CSV and Parquet files together, in time order. Raises `UnusableData` naming the missing or wrong column."""
    wanted = frozenset(schema.fields) | frozenset(BESIDE)
    texts = {name for name in schema.fields if is_kind(str, schema.types[name])}
    frames = [_read_one(path, wanted, texts) for path in paths]
    return rows(schema, pd.concat(frames, ignore_index=True), labelled=labelled)


def rows(schema: TransactionSchema, frame: pd.DataFrame, *, labelled: bool = True) -> Rows:
    """A frame with a file's columns, checked and in time order. Raises `UnusableData`."""
    if not len(frame):
        raise UnusableData("There are no rows.")
    missing = next((name for name in schema.fields if name in schema.required and name not in frame), None)
    if missing:
        raise UnusableData(f"The column '{missing}' is missing.")
    label = _label(frame) if labelled else np.zeros(len(frame), dtype=bool)
    weight, weighted_by = _weight(frame, label)
    checked = pd.DataFrame({name: _checked(schema, frame, name) for name in schema.fields if name in frame}, copy=False)
    for name in KEPT_BESIDE:
        if name in frame:
            checked[name] = frame[name].to_numpy(object)
    at_ms = times(schema, checked)
    order = np.argsort(at_ms, kind="stable")
    ordered = checked.iloc[order].reset_index(drop=True)
    return Rows(ordered, label[order], weight[order], weighted_by, at_ms[order])


def together(logs: Sequence[Rows]) -> Rows:
    """Several logs as one, in time order."""
    at_ms = np.concatenate([one.at_ms for one in logs])
    order = np.argsort(at_ms, kind="stable")
    frame = pd.concat([one.frame for one in logs], ignore_index=True).iloc[order].reset_index(drop=True)
    label, weight = (np.concatenate([getattr(one, name) for one in logs])[order] for name in ("label", "weight"))
    return Rows(frame, label, weight, logs[0].weighted_by, at_ms[order])


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _read_one(path: Path, wanted: frozenset[str], texts: Set[str]) -> pd.DataFrame:
    """The wanted columns of one file. In a CSV's texts "None" and "NA" are words; only an empty cell is empty."""
    if not path.exists():
        raise UnusableData(f"{path.name} does not exist.")
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            names = pyarrow.parquet.read_schema(path).names
            return pd.read_parquet(path, columns=[name for name in names if name in wanted])
        empty = {name: [""] if name in texts else EMPTY for name in wanted}
        return pd.read_csv(path, usecols=lambda name: name in wanted, na_values=empty, keep_default_na=False)
    except (OSError, ValueError, pyarrow.ArrowException) as problem:
        raise UnusableData(f"{path.name} can't be read: {problem}") from problem


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


def _checked(schema: TransactionSchema, frame: pd.DataFrame, name: str) -> np.ndarray:
    """One column as the features are built from it. Raises `UnusableData` naming it."""
    convert = next(convert for kind, convert in CONVERSIONS if is_kind(kind, schema.types[name]))
    column = convert(name, frame[name])
    if name in schema.required and pd.isna(column).any():
        raise UnusableData(f"The column '{name}' has empty cells.")
    return column


def _texts(name: str, column: pd.Series) -> np.ndarray:
    """Texts, numbers written as texts, None where empty. Equal texts share one object: files are long."""
    codes, unique = pd.factorize(column)
    words = np.array([*(_text(value) for value in unique), None], dtype=object)
    return words[codes]


def _text(value: Any) -> str | None:
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value) if whole else value) or None


def _yes_or_no(name: str, column: pd.Series) -> np.ndarray:
    codes, unique = pd.factorize(column)
    known = [YES_NO.get(str(value).strip().lower()) for value in unique]
    if None in known:
        raise UnusableData(f"The column '{name}' must hold true, false or nothing.")
    return np.array([*known, np.nan], dtype=np.float64)[codes]


def _moments(name: str, column: pd.Series) -> np.ndarray:
    """ms since 1970 from datetimes, ISO texts or seconds since 1970; a time without a zone is UTC."""
    if pd.api.types.is_numeric_dtype(column):
        return column.to_numpy(np.float64, na_value=np.nan) * 1000.0
    try:
        moments = pd.to_datetime(column, utc=True, format=None if _is_datetime(column) else "ISO8601")
    except (ValueError, TypeError) as problem:
        raise UnusableData(f"The column '{name}' must hold timestamps: {problem}".split("\n")[0]) from problem
    at_ms = moments.dt.tz_localize(None).to_numpy("datetime64[ms]")
    return np.where(np.isnat(at_ms), np.nan, at_ms.astype(np.int64).astype(np.float64))


def _is_datetime(column: pd.Series) -> bool:
    return pd.api.types.is_datetime64_any_dtype(column)


def _numbers(name: str, column: pd.Series) -> np.ndarray:
    if column.isna().all():
        return np.full(len(column), np.nan)
    if not pd.api.types.is_numeric_dtype(column):
        raise UnusableData(f"The column '{name}' must hold numbers, not {column.dtype}.")
    narrow = column.dtype == np.float32
    numbers = column.to_numpy(np.float32 if narrow else np.float64, na_value=np.nan)
    if np.isinf(numbers).any():
        raise UnusableData(f"The column '{name}' holds an infinite number.")
    return numbers


# The first kind a field's type allows says how its column is read; text first: a field of words or numbers is words.
CONVERSIONS: tuple[tuple[type, Callable[[str, pd.Series], np.ndarray]], ...] = (
    (str, _texts),
    (datetime, _moments),
    (bool, _yes_or_no),
    (float, _numbers),
    (int, _numbers),
)


def columns(schema: TransactionSchema, frame: pd.DataFrame) -> Columns:
    """Every field of the schema as an array, also those the frame lacks: float64 with nan, texts with None."""
    return Columns(lambda name: _column(schema, frame, name))


def _column(schema: TransactionSchema, frame: pd.DataFrame, name: str) -> np.ndarray:
    texts = is_kind(str, schema.types[name])
    if name not in frame:
        return np.full(len(frame), None, dtype=object) if texts else np.full(len(frame), np.nan)
    if not texts:
        return frame[name].to_numpy(np.float64)
    column = np.array(frame[name].to_numpy(object))
    column[pd.isna(column)] = None  # frames keep what is missing as nan, the service as None
    return column


def times(schema: TransactionSchema, frame: pd.DataFrame) -> np.ndarray:
    """Event times in ms, by the schema's own reading of a transaction. Raises `UnusableData` where there is none."""
    unknown = np.full(len(frame), np.nan)
    at_ms = np.asarray(schema.event_time_ms(columns(schema, frame), unknown, BLOCK), dtype=np.float64)
    if np.isnan(at_ms).any():
        named = [name for name in schema.fields if name.lower() in TIME_FIELDS]
        raise UnusableData(f"Some rows don't say when they happened: the column '{', '.join(named)}' is needed.")
    return at_ms


TIME_FIELDS: Mapping[str, None] = dict.fromkeys(("timestamp", "transactiondt", "step"))
