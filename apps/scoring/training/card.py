"""The artifact: the model in two forms, its explanation's arrays, an example, and the card that vouches for them."""

import json
import platform
from hashlib import sha256
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xgboost

from apps.scoring.engine.models import Calibration, sigmoid
from apps.scoring.engine.transaction import TransactionSchema
from apps.scoring.training import blocks, data, export, fit
from apps.scoring.training.quality import THRESHOLD
from apps.scoring.training.split import Split

NAME = "xgboost"
LICENCE = "CC BY-SA 4.0; cite Lopez-Rojas, Elmir and Axelsson, PaySim: a financial mobile money simulator, EMSS 2016"
FILES = ("model.onnx", "model.ubj", "trees.npz", "example.json")
LIBRARIES = ("xgboost-cpu", "numpy", "pandas", "scikit-learn", "shap", "onnx", "onnxruntime")
QUANTILES = 1000  # of the reference population


class Trained(NamedTuple):
    """Everything the artifact is written from."""

    schema: TransactionSchema
    version: str
    paths: list[Path]
    split: Split
    booster: xgboost.Booster
    calibration: Calibration
    quality: dict[str, Any]


def write(trained: Trained, directory: Path) -> None:
    """The files first, then the card with their hashes."""
    directory.mkdir(parents=True, exist_ok=True)
    baseline = typical(trained.schema, trained.split.fit)
    (directory / "model.onnx").write_bytes(export.onnx_model(trained.booster, len(trained.schema.features)))
    trained.booster.save_model(directory / "model.ubj")
    export.write_arrays(directory / "trees.npz", export.tree_arrays(trained.booster, baseline))
    (directory / "example.json").write_text(json.dumps(_example(trained, baseline), indent=1))
    card = {
        **_identity(trained, baseline),
        **_origin(trained),
        "files": {name: _hash(directory / name) for name in FILES},
    }
    (directory / "card.json").write_text(json.dumps({**card, "reference": _reference(trained)}, indent=1))


def _identity(trained: Trained, baseline: np.ndarray) -> dict[str, Any]:
    """What the engine reads, and how the model was made."""
    features = trained.schema.features
    return {
        "schema": trained.schema.name,
        "name": NAME,
        "version": trained.version,
        "features": [feature.name for feature in features],
        "threshold": THRESHOLD,
        "base_margin": _margin(trained, baseline),
        "baseline": {feature.name: _known(value) for feature, value in zip(features, baseline, strict=True)},
        "calibration": {**_platt(trained.calibration), "steps": trained.split.bounds["held_out"]},
        "trees": trained.booster.num_boosted_rounds(),
        "settings": {**fit.SETTINGS, "most_trees": fit.MOST_TREES, "patience": fit.PATIENCE},
        "monotone": [feature.name for feature in features if feature.monotone],
    }


def _origin(trained: Trained) -> dict[str, Any]:
    """Where the model comes from and what it is worth."""
    parts = trained.split[:3]
    bounds = trained.split.bounds
    return {
        "data": {
            "files": [{"name": path.name, "sha256": data.sha256_of(path)} for path in trained.paths],
            "rows": sum(len(part.label) for part in parts),
            "frauds": sum(int(part.label.sum()) for part in parts),
            "period_in_steps": [bounds["fit"][0], bounds["last"][1]],
            "weighted_by": trained.split.fit.weighted_by,
            "licence": LICENCE,
        },
        "simulated": {**{maker.__name__: count for maker, count, _ in blocks.SIMULATED}, "bursts": blocks.BURSTS},
        "split": bounds,
        "quality": trained.quality,
        "libraries": {"python": platform.python_version(), **{name: installed(name) for name in LIBRARIES}},
    }


def _platt(calibration: Calibration) -> dict[str, Any]:
    return {"method": "Platt", "a": calibration.a, "b": calibration.b}


def _hash(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _margin(trained: Trained, row: np.ndarray) -> float:
    return float(fit.margins(trained.booster, row.reshape(1, -1))[0])


def _example(trained: Trained, baseline: np.ndarray) -> dict[str, Any]:
    margin = _margin(trained, baseline)
    probability = sigmoid(trained.calibration.a * margin + trained.calibration.b)
    return {"features": [_known(value) for value in baseline], "margin": margin, "fraud_probability": probability}


def typical(schema: TransactionSchema, rows: data.Rows) -> np.ndarray:
    """The baseline: the honest, reconciling row nearest to the medians of its kind, its parties fresh. float32[F]."""
    features = blocks.with_fresh_parties(schema, rows.frame)
    column = dict(zip(schema.feature_names, features.T, strict=True))
    sound = (column["origin_gap"] == 0) & (column["destination_gap"] == 0) & (column["newbalanceOrig"] > 0)
    candidates = features[sound & ~rows.label & (rows.weight > 0)]
    if not len(candidates):
        raise data.UnusableData("The earliest 60 % of the time need an honest row whose ledgers reconcile.")
    ranks = pd.DataFrame(candidates).rank(pct=True).fillna(0.5).to_numpy()
    return candidates[np.abs(ranks - 0.5).sum(axis=1).argmin()]


def _reference(trained: Trained) -> list[float]:
    """Rising margins: the quantiles of the weighted held-out population."""
    rows = trained.split.held_out.where(trained.split.held_out.weight > 0)
    margin = fit.margins(trained.booster, blocks.with_fresh_parties(trained.schema, rows.frame)).astype(np.float64)
    order = np.argsort(margin)
    share = np.cumsum(rows.weight[order]) / rows.weight.sum()
    at = np.searchsorted(share, (np.arange(QUANTILES) + 0.5) / QUANTILES)
    return margin[order][np.minimum(at, len(margin) - 1)].tolist()
