"""Rolling origins: fit to a moment, leave a gap, measure what comes after; several moments, figures with their spread.

A model that was chosen on the last part of one file has seen that part through the eyes of whoever chose. Four origins
show how it does when it is always a gap behind, and how far such figures differ from one month to the next.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from apps.scoring.engine.transaction import TransactionSchema
from apps.training import fit
from apps.training.data import UnusableData
from apps.training.families.fitted import Say
from apps.training.quality import Measured
from apps.training.recipe import Prepared, Recipe
from apps.training.split import Split
from apps.training.train import prepare, split_at

HELD_OUT = 0.2  # of the time before an origin, its end: stopping and calibration
LEAST_FITTED = 0.2  # of the file's time, before the earliest origin
FIGURES = ("auc_roc", "average_precision", "recall_at_1pct_fpr", "calibration_error")


class Origin(NamedTuple):
    """Fit on what came before `fitted_until`, measure from `measured_from` up to `measured_until`; all in ms."""

    fitted_until: float
    measured_from: float
    measured_until: float


def origins(at_ms: np.ndarray, window_ms: float, count: int) -> list[Origin]:
    """The earliest first; the last one's window ends with the file, the gap is as long as the window.

    Raises `UnusableData` when the file's time is too short for so many.
    """
    first, end = float(at_ms[0]), float(at_ms[-1]) + 1.0
    latest, earliest = end - 2 * window_ms, first + LEAST_FITTED * (end - first)
    if latest < earliest:
        raise UnusableData("The file's time is too short for a gap and a window.")
    return [
        Origin(float(at), float(at) + window_ms, min(float(at) + 2 * window_ms, end))
        for at in np.linspace(max(earliest, latest - (count - 1) * window_ms), latest, count)
    ]


def rolled(
    schema: TransactionSchema, recipe: Recipe, paths: Sequence[Path], model: str, count: int, say: Say
) -> dict[str, Any]:
    """The figures of a recipe's model at each origin, and of each figure the mean, least and most.

    Raises `UnusableData` naming what is wrong with the files.
    """
    prepared = prepare(schema, recipe, paths, say)
    found = [_measured(one.measuring, recipe.plans[model], say) for one in _at_origins(prepared, count, say)]
    return {"model": model, "origins": found, "spread": {name: _spread(found, name) for name in FIGURES}}


def _at_origins(prepared: Prepared, count: int, say: Say) -> Iterator[Prepared]:
    at_ms = prepared.rows.at_ms
    for origin in origins(at_ms, prepared.recipe.window_ms, count):
        held_out_from = origin.fitted_until - HELD_OUT * (origin.fitted_until - at_ms[0])
        parts = {
            "fit": at_ms < held_out_from,
            "held_out": (at_ms >= held_out_from) & (at_ms < origin.fitted_until),
            "last": (at_ms >= origin.measured_from) & (at_ms < origin.measured_until),
        }
        bounds = {name: (float(at_ms[part].min()), float(at_ms[part].max())) for name, part in parts.items()}
        yield split_at(prepared, say, Split(parts["fit"], parts["held_out"], parts["last"], bounds))


def _measured(prepared: Prepared, plan: Any, say: Say) -> dict[str, Any]:
    fitted, calibration = fit.once(prepared, plan, say)
    moment, bounds = prepared.recipe.moment, prepared.split.bounds
    figures = Measured(prepared, fitted, calibration).figures()
    say(f"  fitted until {moment(bounds['held_out'][1])}: {figures}")
    return {
        "fitted_until": moment(bounds["held_out"][1]),
        "measured": [moment(at) for at in bounds["last"]],
        **{name: figures[name] for name in FIGURES},
    }


def _spread(found: Sequence[dict[str, Any]], name: str) -> dict[str, float]:
    values = np.array([one[name] for one in found])
    return {"mean": round(float(values.mean()), 4), "least": float(values.min()), "most": float(values.max())}
