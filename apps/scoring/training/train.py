"""Training PaySim's model, as a story: read, split by time, add what the log lacks, fit, calibrate, measure, write."""

import json
import platform
from collections.abc import Callable
from hashlib import sha256
from importlib.metadata import version as installed
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xgboost

from apps.scoring.engine.models import Calibration, sigmoid
from apps.scoring.engine.transaction import TransactionSchema
from apps.scoring.training import baselines, data, export, fit, metrics, pasts, simulate
from apps.scoring.training.fit import Block

VERSION = "2026.11.1"
THRESHOLD = 0.5
UNIFORM_WEIGHT, OTHER_WEIGHT = 5.0, 1.0  # honest rows in the fit: the uniform ones are the representative ones
TYPE_HIDDEN = (
    0.02  # share of training rows whose type is made unknown, so that an unknown type is scored on its numbers
)
QUANTILES = 1000  # of the reference population
LICENCE = "CC BY-SA 4.0; cite Lopez-Rojas, Elmir and Axelsson, PaySim: a financial mobile money simulator, EMSS 2016"
# kind of simulated row → (maker, how many, weight of each in the fit)
SIMULATED: tuple[tuple[Callable[[int, np.random.Generator], pd.DataFrame], int, float], ...] = (
    (simulate.tampered, 6000, 1.0),
    (simulate.drained, 2000, 1.0),
    (simulate.reconciling, 6000, 2.0),
    (simulate.nothing_moved, 1500, 1.0),
    (simulate.paid_in_full, 1500, 1.0),
)
BURSTS = 1500  # origins in a hurry, most of them honest
BURST_FRAUDS = 0.12  # share of the outgoing ones

Say = Callable[[str], None]


class Split(NamedTuple):
    """Time in three: the trees see the first, stopping and calibration the second, nothing but the report the last."""

    fit: data.Rows
    held_out: data.Rows
    last: data.Rows
    bounds: dict[str, list[int]]


def train(schema: TransactionSchema, paths: list[Path], out: Path, say: Say = print, version: str = VERSION) -> Path:
    """Train on labelled files and write the artifact under `out`; returns its directory, made active.

    Raises `UnusableData` naming what is wrong with the files.
    """
    rows = data.read(schema, paths)
    say(f"read {len(rows.label):,} rows, {rows.label.sum():,} frauds")
    split = by_time(rows)
    random = np.random.default_rng(fit.SEED)
    train_block, held_out = training_block(schema, split.fit, random), real_block(schema, split.held_out, random)
    say(f"fitting on {len(train_block.label):,} rows, simulated ones included")
    booster = fit.trees(train_block, held_out, tuple(feature.monotone for feature in schema.features))
    calibration = fit.platt(fit.margins(booster, held_out.features), held_out.label, held_out.weight)
    say(f"{booster.num_boosted_rounds()} trees; calibration a={calibration.a:.3f} b={calibration.b:.3f}")
    report = quality(schema, split, booster, calibration, random)
    say(json.dumps(report["out_of_time"]["metrics"]))
    directory = out / schema.name / "xgboost" / version
    write(directory, schema, booster, calibration, split, report, paths, version)
    (out / schema.name / "ACTIVE").write_text(f"xgboost/{version}\n")
    say(f"wrote {directory}")
    return directory


def by_time(rows: data.Rows) -> Split:
    """Steps cut at 60 %, 75 % and the end of the file's period."""
    step = rows.frame["step"].to_numpy()
    first, last = int(step.min()), int(step.max())
    middle, late = first + 6 * (last - first + 1) // 10, first + 3 * (last - first + 1) // 4
    parts = [step < middle, (step >= middle) & (step < late), step >= late]
    chosen = [_reweighted(rows.where(part)) for part in parts]
    if not all(part.label.any() and not part.label.all() for part in chosen):
        raise data.UnusableData("Each part of the time split (60 %, 15 %, 25 %) needs frauds and honest rows.")
    bounds = {"fit": [first, middle - 1], "held_out": [middle, late - 1], "last": [late, last]}
    return Split(*chosen, bounds)


def _reweighted(rows: data.Rows) -> data.Rows:
    if rows.weighted_by != "sample":
        return rows
    return rows._replace(weight=data.sample_weight(rows.frame, rows.label))


def real_block(schema: TransactionSchema, rows: data.Rows, random: np.random.Generator) -> Block:
    """Rows of the file with drawn histories; rows of weight 0 stay out."""
    rows = rows.where(rows.weight > 0)
    return Block(_features(schema, rows.frame, random), rows.label, rows.weight)


def training_block(schema: TransactionSchema, rows: data.Rows, random: np.random.Generator) -> Block:
    """The file's rows and the simulated ones, with the weights of the fit."""
    uniform = rows.frame["sample"].eq("negative_uniform").to_numpy() if "sample" in rows.frame else ~rows.label
    weight = np.where(rows.label, 1.0, np.where(uniform, UNIFORM_WEIGHT, OTHER_WEIGHT))
    frame = rows.frame.assign(type=_some_hidden(rows.frame["type"].to_numpy(object), random))
    blocks = [Block(_features(schema, frame, random), rows.label, weight)]
    blocks += [_simulated(schema, maker(count, random), each, random) for maker, count, each in SIMULATED]
    blocks += [_bursts(schema, random)]
    return Block(*(np.concatenate(parts) for parts in zip(*blocks, strict=True)))


def _some_hidden(types: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return np.where(random.random(len(types)) < TYPE_HIDDEN, "OTHER", types)


def _simulated(schema: TransactionSchema, frame: pd.DataFrame, weight: float, random: np.random.Generator) -> Block:
    return Block(_features(schema, frame, random), frame["isFraud"].to_numpy(bool), np.full(len(frame), weight))


def _bursts(schema: TransactionSchema, random: np.random.Generator) -> Block:
    """Reconciling transactions of origins in a hurry: a reason to look, not to block."""
    frame = simulate.reconciling(BURSTS, random)
    pair = [pasts.burst(BURSTS, random), pasts.destination(BURSTS, random)]
    outgoing = frame["type"].isin(["TRANSFER", "CASH_OUT"]).to_numpy()
    label = outgoing & (random.random(BURSTS) < BURST_FRAUDS)
    return Block(_matrix(schema, frame, pair), label, np.ones(BURSTS))


def _features(schema: TransactionSchema, frame: pd.DataFrame, random: np.random.Generator) -> np.ndarray:
    return _matrix(schema, frame, [pasts.origin(len(frame), random), pasts.destination(len(frame), random)])


def _matrix(schema: TransactionSchema, frame: pd.DataFrame, activities: list[SimpleNamespace]) -> np.ndarray:
    return schema.block(data.columns(schema, frame), activities).astype(np.float32)


def probabilities(margin: np.ndarray, calibration: Calibration) -> np.ndarray:
    return np.array([sigmoid(calibration.a * one + calibration.b) for one in margin.tolist()])


def quality(
    schema: TransactionSchema,
    split: Split,
    booster: xgboost.Booster,
    calibration: Calibration,
    random: np.random.Generator,
) -> dict[str, Any]:
    """The last quarter of the time, measured: the model, with intervals, and what simpler things reach beside it."""
    last = split.last.where(split.last.weight > 0)
    seen = schema.block(data.columns(schema, last.frame), data.replayed(schema, last.frame)).astype(np.float32)
    blind = _features(schema, last.frame, random)
    probability = probabilities(fit.margins(booster, seen), calibration)
    measured = metrics.measure(last.label, probability, last.weight, THRESHOLD)
    return {
        "out_of_time": {
            "steps": split.bounds["last"],
            "rows": len(last.label),
            "frauds": int(last.label.sum()),
            "metrics": metrics.rounded(measured),
            "intervals_95": metrics.intervals(last.label, probability, last.weight, THRESHOLD),
        },
        "baselines": {
            "this model, histories drawn as in training": _measured(last, probabilities(fit.margins(booster, blind), calibration)),
            **baselines.compared(schema, split.fit, split.held_out, last),
        },
    }  # fmt: skip


def _measured(rows: data.Rows, probability: np.ndarray) -> dict[str, float]:
    return metrics.rounded(metrics.measure(rows.label, probability, rows.weight, THRESHOLD))


def write(
    directory: Path, schema: TransactionSchema, booster: xgboost.Booster, calibration: Calibration, split: Split,
    report: dict[str, Any], paths: list[Path], version: str,
) -> None:  # fmt: skip
    """The artifact: the model in two forms, its explanation's arrays, an example, and the card that vouches for them."""
    directory.mkdir(parents=True, exist_ok=True)
    baseline = typical(schema, split.fit)
    (directory / "model.onnx").write_bytes(export.onnx_model(booster, len(schema.features)))
    booster.save_model(directory / "model.ubj")
    export.write_arrays(directory / "trees.npz", export.tree_arrays(booster, baseline))
    (directory / "example.json").write_text(json.dumps(example(booster, calibration, baseline), indent=1))
    names = ("model.onnx", "model.ubj", "trees.npz", "example.json")
    card = {
        "schema": schema.name,
        "name": "xgboost",
        "version": version,
        "features": list(schema.feature_names),
        "threshold": THRESHOLD,
        "base_margin": float(fit.margins(booster, baseline.reshape(1, -1))[0]),
        "calibration": {"method": "Platt", "a": calibration.a, "b": calibration.b, "steps": split.bounds["held_out"]},
        "baseline": {name: _known(value) for name, value in zip(schema.feature_names, baseline, strict=True)},
        "trees": booster.num_boosted_rounds(),
        "monotone": [feature.name for feature in schema.features if feature.monotone],
        "data": {"files": [_described(path) for path in paths], "rows": sum(len(part.label) for part in split[:3]),
                 "frauds": int(sum(part.label.sum() for part in split[:3])), "period_in_steps": [split.bounds["fit"][0], split.bounds["last"][1]],
                 "licence": LICENCE},
        "simulated": {**{maker.__name__: count for maker, count, _ in SIMULATED}, "bursts": BURSTS},
        "split": split.bounds,
        "quality": report,
        "libraries": {"python": platform.python_version(), **{name: installed(name) for name in ("xgboost-cpu", "numpy", "shap", "onnx", "onnxruntime", "scikit-learn", "pandas")}},
        "files": {name: sha256((directory / name).read_bytes()).hexdigest() for name in names},
        "reference": reference(schema, booster, split),
    }  # fmt: skip
    (directory / "card.json").write_text(json.dumps(card, indent=1))


def _described(path: Path) -> dict[str, str]:
    return {"name": path.name, "sha256": data.sha256_of(path)}


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def typical(schema: TransactionSchema, rows: data.Rows) -> np.ndarray:
    """The baseline: the honest, reconciling row nearest to the medians of its kind, its parties fresh. float32[F]."""
    features = fresh_features(schema, rows.frame)
    index = {name: at for at, name in enumerate(schema.feature_names)}
    honest = ~rows.label & (rows.weight > 0)
    sound = (features[:, index["origin_gap"]] == 0) & (features[:, index["destination_gap"]] == 0)
    candidates = features[honest & sound & (features[:, index["newbalanceOrig"]] > 0)]
    ranks = pd.DataFrame(candidates).rank(pct=True).fillna(0.5).to_numpy()
    return candidates[np.abs(ranks - 0.5).sum(axis=1).argmin()]


def fresh_features(schema: TransactionSchema, frame: pd.DataFrame) -> np.ndarray:
    """The frame's features with parties that have no past."""
    zero, unknown = np.zeros(len(frame)), np.full(len(frame), np.nan)
    quiet = SimpleNamespace(**{name: unknown if name == "since_last" else zero for name in pasts.FIELDS})
    return _matrix(schema, frame, [quiet, quiet])


def example(booster: xgboost.Booster, calibration: Calibration, baseline: np.ndarray) -> dict[str, Any]:
    margin = float(fit.margins(booster, baseline.reshape(1, -1))[0])
    row = [_known(value) for value in baseline]
    return {"features": row, "margin": margin, "fraud_probability": sigmoid(calibration.a * margin + calibration.b)}


def reference(schema: TransactionSchema, booster: xgboost.Booster, split: Split) -> list[float]:
    """Rising margins: the quantiles of the weighted held-out population."""
    rows = split.held_out.where(split.held_out.weight > 0)
    margin = fit.margins(booster, fresh_features(schema, rows.frame)).astype(np.float64)
    order = np.argsort(margin)
    share = np.cumsum(rows.weight[order]) / rows.weight.sum()
    at = np.searchsorted(share, (np.arange(QUANTILES) + 0.5) / QUANTILES)
    return margin[order][at].tolist()
