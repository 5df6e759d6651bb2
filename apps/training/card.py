"""The artifact: the model as ONNX, its explanation's arrays, an example, and the card that vouches for them."""

import json
import platform
from dataclasses import asdict
from functools import partial
from hashlib import sha256
from importlib.metadata import version as installed
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from apps.training.checks import Proof, proved, served
from apps.training.families.fitted import SEED, Fitted
from apps.training.fit import TwiceFitted
from apps.training.quality import THRESHOLD, Measured
from apps.training.recipe import Plan, Prepared

LIBRARIES = ("xgboost-cpu", "lightgbm", "scikit-learn", "numpy", "pandas", "onnx", "onnxruntime")
MOST_BYTES = 10_000_000  # of one model's files
MOST_BYTES_TOGETHER = 60_000_000  # of all models under one root
EXPLAINED = {"trees.npz": "interventional SHAP of the trees, exact"}


class TooLarge(Exception):
    """A model larger than may be shipped; nothing is written."""


class Trained(NamedTuple):
    """Everything one artifact is written from."""

    name: str
    version: str
    plan: Plan
    fitted: TwiceFitted
    baselines: dict[str, dict[str, float | None]]


def write(prepared: Prepared, trained: Trained, root: Path) -> dict[str, Any]:
    """The files and the card under `root/<schema>/<name>/<version>`; the card as it was written.

    Raises `NotProved` or `TooLarge`, and then writes nothing.
    """
    model, by = trained.fitted.shipped, trained.fitted.calibration
    onnx, arrays = model.onnx(len(prepared.schema.features)), model.arrays(prepared.baseline)
    proof = proved(model, onnx, arrays, prepared.material.measured, by)
    files = {
        "model.onnx": onnx,
        model.explanation: compressed(arrays),
        **model.files,
        "example.json": json.dumps(_example(prepared, trained), indent=1).encode(),
    }
    card = {
        **_identity(prepared, trained, proof),
        **_origin(prepared),
        **_worth(prepared, trained, onnx),
        "files": {name: sha256(content).hexdigest() for name, content in files.items()},
    }
    files["card.json"] = json.dumps(card, indent=1).encode()
    directory = root / prepared.schema.name / trained.name / trained.version
    _check_size(root, directory, files)
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (directory / name).write_bytes(content)
    return card


def _identity(prepared: Prepared, trained: Trained, proof: Proof) -> dict[str, Any]:
    """What the engine reads, and how the model was made."""
    features, plan, by = prepared.schema.features, trained.plan, trained.fitted.calibration
    settings = asdict(plan.settings)
    return {
        "schema": prepared.schema.name,
        "name": trained.name,
        "version": trained.version,
        "family": plan.family,
        "features": [feature.name for feature in features],
        "threshold": THRESHOLD,
        "base_margin": _margin(trained.fitted.shipped, prepared.baseline),
        "baseline": {feature.name: _known(value) for feature, value in zip(features, prepared.baseline, strict=True)},
        "calibration": {
            "method": "Platt",
            "a": by.a,
            "b": by.b,
            "floor": by.floor,
            "ceiling": by.ceiling,
            "period": _period(prepared, "held_out"),
        },
        "explanation": EXPLAINED[trained.fitted.shipped.explanation],
        "trees": list(trained.fitted.shipped.rounds) if trained.fitted.shipped.explanation == "trees.npz" else [],
        "settings": {**settings, "params": dict(plan.settings.params), "seed": SEED},
        "never_seen_in_the_fit": list(plan.masked),
        "proof": proof._asdict(),
    }


def _origin(prepared: Prepared) -> dict[str, Any]:
    """Where the model comes from."""
    recipe, rows = prepared.recipe, prepared.rows
    return {
        "research_only": recipe.research_only,
        "data": {
            "sources": [source._asdict() for source in recipe.sources],
            "title": recipe.title,
            "licence": recipe.licence,
            "files": list(prepared.files),
            "rows": len(rows.label),
            "frauds": int(rows.label.sum()),
            "period": [recipe.moment(rows.at_ms[0]), recipe.moment(rows.at_ms[-1])],
            "weighted_by": rows.weighted_by,
        },
        "simulated": dict(recipe.made_up),
        "notes": list(recipe.notes),
        "libraries": {"python": platform.python_version(), **{name: installed(name) for name in LIBRARIES}},
    }


def _worth(prepared: Prepared, trained: Trained, onnx: bytes) -> dict[str, Any]:
    """What it is worth, by a first fit that saw none of the time it is measured on."""
    measured = Measured(prepared.measuring, trained.fitted.measured, trained.fitted.calibration)
    served_to = Measured(prepared, trained.fitted.measured, trained.fitted.calibration)
    return {
        "split": {part: _period(prepared, part) for part in prepared.split.bounds},
        "quality": {
            "how": "Measured on a first fit that saw the part 'fit' only; its calibration saw 'held_out'. The model "
            "shipped has the same settings, number of trees and calibration, and was fitted on all rows.",
            "out_of_time": measured.report(),
            "baselines": trained.baselines,
            "sparse": measured.sparse(),
        },
        "worth": measured.worth(),
        "reference_population": served_to.population(),
        "reference": served_to.reference(partial(served, onnx)),
    }


def _period(prepared: Prepared, part: str) -> list[Any]:
    return [prepared.recipe.moment(at_ms) for at_ms in prepared.split.bounds[part]]


def _example(prepared: Prepared, trained: Trained) -> dict[str, Any]:
    by = trained.fitted.calibration
    margin = _margin(trained.fitted.shipped, prepared.baseline)
    features = [_known(value) for value in prepared.baseline]
    return {"features": features, "margin": margin, "fraud_probability": by.probability(by.a * margin + by.b)}


def _margin(model: Fitted, row: np.ndarray) -> float:
    return float(model.margins(row.reshape(1, -1))[0])


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def compressed(arrays: dict[str, np.ndarray]) -> bytes:
    into = BytesIO()
    np.savez_compressed(into, **arrays)  # type: ignore[arg-type]
    return into.getvalue()


def _check_size(root: Path, directory: Path, files: dict[str, bytes]) -> None:
    here = sum(map(len, files.values()))
    if here > MOST_BYTES:
        raise TooLarge(f"{directory.parent.name} takes {here:,} bytes; {MOST_BYTES:,} are allowed")
    others = sum(file.stat().st_size for file in root.glob("*/*/*/*") if file.parent != directory)
    if here + others > MOST_BYTES_TOGETHER:
        raise TooLarge(f"all models together take {here + others:,} bytes; {MOST_BYTES_TOGETHER:,} are allowed")
