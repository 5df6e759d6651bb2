"""The file's time in three, so that what is reported was seen by nothing that was fitted."""

from typing import NamedTuple

import numpy as np

from apps.training import data

HELD_OUT_FROM, LAST_FROM = 60, 75  # percent of the file's period


class Split(NamedTuple):
    """bool[n] each: the model sees the first part, stopping and calibration the second, nothing but the report the
    last. `bounds` are the first and last moment of each part in ms."""

    fit: np.ndarray
    held_out: np.ndarray
    last: np.ndarray
    bounds: dict[str, tuple[float, float]]


def by_time(rows: data.Rows, tick_ms: float = 1.0) -> Split:
    """Raises `UnusableData` when a part has no fraud or no honest row. `tick_ms` is the log's own unit of time."""
    first, last = rows.at_ms[0], rows.at_ms[-1]
    ticks = (last - first) // tick_ms + 1
    middle, late = (first + percent * ticks // 100 * tick_ms for percent in (HELD_OUT_FROM, LAST_FROM))
    at_ms = rows.at_ms
    parts = {"fit": at_ms < middle, "held_out": (at_ms >= middle) & (at_ms < late), "last": at_ms >= late}
    if not all(rows.label[part].any() and not rows.label[part].all() for part in parts.values()):
        raise data.UnusableData("Each part of the time split (60 %, 15 %, 25 %) needs frauds and honest rows.")
    bounds = {name: (float(at_ms[part].min()), float(at_ms[part].max())) for name, part in parts.items()}
    return Split(parts["fit"], parts["held_out"], parts["last"], bounds)


def weights(rows: data.Rows, part: np.ndarray) -> np.ndarray:
    """float64[part's rows]: each part of a sample stands for its own part of the log."""
    if rows.weighted_by != "sample":
        return rows.weight[part]
    return data.sample_weight(rows.frame[part], rows.label[part])
