"""What the card says about quality: the last part of the time, with intervals, and simpler things beside it."""

from typing import Any

import numpy as np
import xgboost

from apps.scoring.engine.models import Calibration, sigmoid
from apps.scoring.engine.transaction import TransactionSchema
from apps.scoring.training import baselines, blocks, data, fit, metrics
from apps.scoring.training.split import Split

THRESHOLD = 0.5


def measured(
    schema: TransactionSchema,
    split: Split,
    booster: xgboost.Booster,
    calibration: Calibration,
    random: np.random.Generator,
) -> dict[str, Any]:
    """Metrics out of time: histories replayed from the file, then drawn as in training, then the baselines."""
    last = split.last.where(split.last.weight > 0)
    replayed = _probability(booster, calibration, blocks.with_replayed_pasts(schema, last.frame))
    drawn = _probability(booster, calibration, blocks.with_drawn_pasts(schema, last.frame, random))
    return {
        "out_of_time": {
            "steps": split.bounds["last"],
            "rows": len(last.label),
            "frauds": int(last.label.sum()),
            "metrics": _metrics(last, replayed),
            "intervals_95": metrics.intervals(last.label, replayed, last.weight, THRESHOLD),
            "metrics with histories drawn as in training": _metrics(last, drawn),
        },
        "baselines": baselines.compared(schema, split.fit, split.held_out, last),
    }


def _probability(booster: xgboost.Booster, calibration: Calibration, features: np.ndarray) -> np.ndarray:
    margins = fit.margins(booster, features).tolist()
    return np.array([sigmoid(calibration.a * margin + calibration.b) for margin in margins])


def _metrics(rows: data.Rows, probability: np.ndarray) -> dict[str, float | None]:
    return metrics.rounded(metrics.measure(rows.label, probability, rows.weight, THRESHOLD))
