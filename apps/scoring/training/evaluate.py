"""The measured quality of an active model on a labelled file."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from apps.scoring.engine.models import LoadedModel
from apps.scoring.engine.transaction import TransactionSchema
from apps.scoring.training import data, metrics

BLOCK_ROWS = 50_000


def evaluate(
    schema: TransactionSchema, model: LoadedModel, paths: list[Path], history: list[Path] | None = None
) -> dict[str, Any]:
    """Metrics with bootstrap intervals. Activity is replayed from the file itself, after an optional earlier `history`.

    Raises `UnusableData` naming what is wrong with a file.
    """
    rows = data.read(schema, paths)
    earlier = data.read(schema, history, labelled=False).frame if history else None
    probability = score(schema, model, rows.frame, earlier)
    measured = metrics.measure(rows.label, probability, rows.weight, model.threshold)
    return {
        "schema": schema.name,
        "model": f"{model.name}@{model.version}",
        "rows": len(rows.label),
        "frauds": int(rows.label.sum()),
        "weighted_by": rows.weighted_by,
        "threshold": model.threshold,
        **metrics.rounded(measured),
        "intervals_95": metrics.intervals(rows.label, probability, rows.weight, model.threshold),
    }


def score(
    schema: TransactionSchema, model: LoadedModel, frame: pd.DataFrame, history: pd.DataFrame | None = None
) -> np.ndarray:
    """Calibrated probabilities float64[n], by the serving model itself."""
    features = schema.block(data.columns(schema, frame), data.replayed(schema, frame, history)).astype(np.float32)
    blocks = np.array_split(features, range(BLOCK_ROWS, len(features), BLOCK_ROWS))
    margins = np.concatenate([model.score_block(block) for block in blocks])
    return np.array([model.probability(margin) for margin in margins.tolist()])
