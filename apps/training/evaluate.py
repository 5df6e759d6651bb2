"""The measured quality of a model, or of the ensemble, on a labelled file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from apps.scoring.engine import ensemble as ensembles
from apps.scoring.engine.models import LoadedModel
from apps.scoring.engine.transaction import TransactionSchema
from apps.training import data, metrics, replay
from apps.training.calibrate import probabilities
from apps.training.quality import THRESHOLD

BLOCK_ROWS = 50_000


def evaluate(
    schema: TransactionSchema, models: Sequence[LoadedModel], paths: Sequence[Path],
    history: Sequence[Path] | None = None, say: replay.Say = lambda line: None,
) -> dict[str, Any]:  # fmt: skip
    """Metrics with bootstrap intervals; several models vote as the ensemble does.

    Activity is replayed from the file itself, after an optional earlier `history`. Raises `UnusableData` naming what is
    wrong with a file.
    """
    earlier = data.read(schema, history, labelled=False) if history else None
    rows = data.read(schema, paths)
    features = replay.features(schema, rows, say, earlier)
    del earlier
    probability = score(models, features)
    named = f"{models[0].name}@{models[0].version}" if len(models) == 1 else "ensemble"
    return {
        "schema": schema.name,
        "model": named,
        "rows": len(rows.label),
        "frauds": int(rows.label.sum()),
        "weighted_by": rows.weighted_by,
        "threshold": THRESHOLD if len(models) > 1 else models[0].threshold,
        **metrics.rounded(metrics.measure(rows.label, probability, rows.weight, THRESHOLD)),
        "intervals_95": metrics.intervals(rows.label, probability, rows.weight, THRESHOLD),
    }  # fmt: skip


def score(models: Sequence[LoadedModel], features: np.ndarray) -> np.ndarray:
    """Calibrated probabilities float64[n] of float32[n, F], by the serving models themselves."""
    said = [probabilities(model.card.calibration, _margins(model, features)) for model in models]
    return said[0] if len(said) == 1 else _voted(models, np.column_stack(said))


def _margins(model: LoadedModel, features: np.ndarray) -> np.ndarray:
    blocks = np.array_split(features, range(BLOCK_ROWS, len(features), BLOCK_ROWS))
    return np.concatenate([model.score_block(block) for block in blocks])


def _voted(models: Sequence[LoadedModel], said: np.ndarray) -> np.ndarray:
    """The ensemble's probability of each row of float64[n, models]."""
    return np.array([_verdict(models, row) for row in said.tolist()])


def _verdict(models: Sequence[LoadedModel], row: Sequence[float]) -> float:
    votes = [
        ensembles.vote(model.name, model.version, probability, model.threshold)
        for model, probability in zip(models, row, strict=True)
    ]
    found = ensembles.verdict(votes)
    return found.probability if found else float("nan")
