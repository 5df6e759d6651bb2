"""Training an own model, as a story: material, a fit of each family, the best measured, shipped, proved, written."""

import json
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from apps.scoring.engine.models import Calibration, load_files, load_model
from apps.scoring.engine.models import active as active_models
from apps.scoring.engine.own_decisions import CHAMPION, OUT, REPORT, read
from apps.training import evaluate
from apps.training.calibrate import platt, probabilities
from apps.training.card import LIBRARIES, compressed
from apps.training.checks import proved, served
from apps.training.data import UnusableData
from apps.training.dataset import Dataset, thinned
from apps.training.families import FAMILIES
from apps.training.families.fitted import SEED, Fitted, Laws, Say, Settings, Task
from apps.training.metrics import Ranking
from apps.training.own import compare, material
from apps.training.own.compare import Rows, Said
from apps.training.own.material import Material

THRESHOLD = 0.5
#: Rows a fit takes at most: of more, honest ones are thinned, each weighing for the others.
MOST_ROWS = 1_500_000
LARGEST = 20_000_000  # bytes of the files
#: Boosters with different seeds whose margins are averaged: better on every one of three time cuts, where no other
#: number of leaves, rate of learning or share of features was (docs/benchmarks.md).
AVERAGED = 3
SETTINGS: Mapping[str, Settings] = {
    "lightgbm": Settings(
        {"learning_rate": 0.05, "num_leaves": 31, "min_data_in_leaf": 100, "feature_fraction": 0.6,
         "bagging_fraction": 0.8, "bagging_freq": 1, "lambda_l2": 5.0},
        rounds=400, patience=50, averaged=AVERAGED,
    ),
    "xgboost": Settings(
        {"eta": 0.06, "max_depth": 6, "min_child_weight": 20, "subsample": 0.8, "colsample_bytree": 0.6, "lambda": 5.0},
        rounds=400, patience=50, averaged=AVERAGED,
    ),
    "random_forest": Settings({"num_leaves": 127, "min_data_in_leaf": 50, "feature_fraction": 0.4}, rounds=150),
    "logistic_regression": Settings(honest_kept=0.2),
}  # fmt: skip


class Tried(NamedTuple):
    """A family's fit on the part 'fit', and how it ranks the held-out rows."""

    family: str
    fitted: Fitted
    average_precision: float


def train(folder: Path, say: Say) -> None:
    """Train what a folder asks for; the files of the artifact, `card.json` among them, and `report.json` come into its
    `out`. Raises `UnusableData` naming what is too little, `NotProved`."""
    asked, decisions = read(folder)
    say(f"read {len(decisions.at_ms):,} decisions, {int(decisions.is_fraud.sum()):,} frauds")
    made = material.material(asked, decisions)
    say(f"made {made.features.shape[1]} features; maturity {made.split.maturity_days:.1f} days")
    tried = [_tried(made, family, say) for family in asked.families]
    best = max(tried, key=lambda one: one.average_precision)
    calibration = _calibrated(made, best.fitted)
    learned = made.split.fit | made.split.held_out
    say(f"{best.family}: fitting what is measured")
    measured = _fit(made, best.family, learned, made.label_then, None, best.fitted.rounds, say)
    say(f"{best.family}: fitting on all that is mature")
    mature = _mature(made)
    shipped = _fit(made, best.family, mature, made.label, None, best.fitted.rounds, say)
    say("comparing with the shared champion")
    report = _report(made, measured, calibration, folder / CHAMPION)
    files = _artifact(made, best, tried, shipped, calibration, report)
    out = folder / OUT
    out.mkdir(exist_ok=True)
    for name, content in files.items():
        (out / name).write_bytes(content)
    (out / REPORT).write_text(json.dumps(report))
    say("done")


def _tried(made: Material, family: str, say: Say) -> Tried:
    say(f"{family}: fitting")
    split = made.split
    held_out = Dataset(made.features[split.held_out], made.label_then[split.held_out], _ones(split.held_out))
    fitted = _fit(made, family, split.fit, made.label_then, held_out, None, say)
    ranking = Ranking(held_out.label, fitted.margins(held_out.features))
    return Tried(family, fitted, ranking.metrics(held_out.weight)["average_precision"])


def _fit(
    made: Material, family: str, part: np.ndarray, label: np.ndarray, held_out: Dataset | None,
    rounds: tuple[int, ...] | None, say: Say,
) -> Fitted:  # fmt: skip
    settings = SETTINGS[family]
    block = Dataset(made.features[part], label[part], _ones(part))
    kept = min(settings.honest_kept, MOST_ROWS / max(len(block.label), 1))
    block = thinned(block, kept, SEED)
    return FAMILIES[family](Task(block, held_out, Laws.of(made.schema), rounds, say), settings)


def _mature(made: Material) -> np.ndarray:
    """bool[n]: every decision whose label can be relied on."""
    at_ms, bounds = made.decisions.at_ms, made.split.bounds
    return (at_ms >= bounds["fit"][0]) & (at_ms <= bounds["measured"][1])


def _ones(part: np.ndarray) -> np.ndarray:
    return np.ones(int(part.sum()))


def _calibrated(made: Material, fitted: Fitted) -> Calibration:
    part = made.split.held_out
    return platt(fitted.margins(made.features[part]), made.label_then[part], _ones(part))


def _report(made: Material, measured: Fitted, calibration: Calibration, champion: Path) -> dict[str, Any]:
    """The comparison and the stability, on weeks that what is measured saw nothing of."""
    part = made.split.measured
    margins = measured.margins(made.features[part])
    shared = _shared(made, part)
    half = np.arange(len(margins)) % 2 == 0
    reference = compare.reference_of(margins[half])
    scores = compare.risk_scores_of(shared.risk_score[half])
    own = Said(probabilities(calibration, margins), compare.ranked(reference, scores, margins))
    rows = Rows(made.label[part], made.decisions.at_ms[part], made.decisions.parties[part][:, 0])
    compared = {"period": _period(made, "measured"), **compare.comparison(rows, own, shared)}
    if champion.exists():
        compared |= _beside_champion(made, rows, own, champion)
    others = Said(own.probability[~half], own.risk_score[~half])
    return {
        "comparison": compared,
        "stability": compare.stability(others, Said(shared.probability[~half], shared.risk_score[~half])),
    }


def _beside_champion(made: Material, rows: Rows, own: Said, folder: Path) -> dict[str, Any]:
    """The same beside the own model that decides now, on those of the measured decisions it was not fitted on: with too
    few frauds among them nothing can be said for the new one."""
    model = load_files({path.name: path.read_bytes() for path in folder.iterdir()})
    fitted_until = datetime.fromisoformat(
        json.loads((folder / "card.json").read_bytes())["data"]["parts"]["measured"]["period"][1]
    )
    later = rows.at_ms > fitted_until.timestamp() * 1000
    if int(rows.label[later].sum()) < material.LEAST_FRAUDS["measured"] or model.card.own is None:
        return {"champion": None, "better_than_champion": False}
    part = np.flatnonzero(made.split.measured)[later]
    knows = material.own_features(made.asked.schema, made.decisions, model.card.own.base_rate)[part]
    features = np.hstack([material.shared_features(made)[part], knows])
    margins = np.concatenate([model.score_block(block) for block in _blocks(features)]).astype(np.float64)
    said = Said(probabilities(model.card.calibration, margins), np.zeros(len(margins)))
    mine = Said(own.probability[later], own.risk_score[later])
    found = compare.comparison(Rows(*(column[later] for column in rows)), mine, said)
    champion = {"rows": found["rows"], "frauds": found["frauds"], **found["shared"], "difference": found["difference"]}
    return {"champion": champion, "better_than_champion": found["better_beyond_interval"]}


def _shared(made: Material, part: np.ndarray) -> Said:
    """What the shared champion says of the same rows. Raises `ModelRefused`, `UnusableData` where there is none."""
    asked = made.asked
    named = active_models(asked.artifacts, asked.schema)
    if not named:
        raise UnusableData("There is no shared model to compare with.")
    champion = load_model(asked.artifacts / asked.schema / named[0])
    features = material.shared_features(made)[part]
    margins = np.concatenate([champion.score_block(block) for block in _blocks(features)]).astype(np.float64)
    reference = np.array(champion.card.reference)
    ranks = np.rint(1000.0 * np.searchsorted(reference, margins, "left") / len(reference))
    return Said(probabilities(champion.card.calibration, margins), ranks)


def _blocks(features: np.ndarray) -> list[np.ndarray]:
    return np.array_split(features, range(evaluate.BLOCK_ROWS, len(features), evaluate.BLOCK_ROWS))


def _artifact(
    made: Material, best: Tried, tried: list[Tried], shipped: Fitted, calibration: Calibration, report: dict[str, Any]
) -> dict[str, bytes]:
    """The files, the card among them. Raises `NotProved`, `UnusableData` when they are too large."""
    baseline = _typical(made)
    onnx, arrays = shipped.onnx(made.features.shape[1]), shipped.arrays(baseline)
    proof = proved(shipped, onnx, arrays, made.features[_mature(made)], calibration)
    margin = float(shipped.margins(baseline.reshape(1, -1))[0])
    example = {
        "features": [_known(value) for value in baseline],
        "margin": margin,
        "fraud_probability": calibration.probability(calibration.a * margin + calibration.b),
    }
    files = {
        "model.onnx": onnx,
        shipped.explanation: compressed(arrays),
        "example.json": json.dumps(example).encode(),
    }
    if (size := sum(map(len, files.values()))) > LARGEST:
        raise UnusableData(f"The model would take {size:,} bytes; {LARGEST:,} are allowed.")
    card = {
        **_identity(made, best, shipped, calibration, margin),
        **_ranks(made, onnx),
        **_origin(made, best, tried, report),
        "proof": proof._asdict(),
        "files": {name: sha256(content).hexdigest() for name, content in files.items()},
    }
    return {**files, "card.json": json.dumps(card).encode()}


def _identity(made: Material, best: Tried, shipped: Fitted, calibration: Calibration, margin: float) -> dict[str, Any]:
    """What the engine reads."""
    return {
        "schema": made.asked.schema,
        "name": "own",
        "version": made.asked.model_id,
        "family": best.family,
        "features": list(made.schema.feature_names),
        "threshold": THRESHOLD,
        "base_margin": margin,
        "calibration": {
            "a": calibration.a, "b": calibration.b, "floor": calibration.floor, "ceiling": calibration.ceiling,
        },
        "trees": list(shipped.rounds),
    }  # fmt: skip


def _ranks(made: Material, onnx: bytes) -> dict[str, Any]:
    """The reference the risk score is read from: the measured weeks, as the model that is served ranks them."""
    part = made.split.measured
    margins = np.concatenate([served(onnx, block) for block in _blocks(made.features[part])]).astype(np.float64)
    return {
        "reference": compare.reference_of(margins).tolist(),
        "reference_population": f"{len(margins):,} decisions of your own, {' to '.join(_period(made, 'measured'))}",
        "own": {"base_rate": made.base_rate, "risk_scores": compare.risk_scores_of(_shared(made, part).risk_score)},
    }


def _origin(made: Material, best: Tried, tried: list[Tried], report: dict[str, Any]) -> dict[str, Any]:
    """What it was made from, and how; for people."""
    split, label = made.split, made.label
    return {
        "data": {
            "rows": len(label),
            "frauds": int(label.sum()),
            "censored": split.censored,
            "maturity_days": round(split.maturity_days, 3),
            "parts": {
                name: {
                    "period": _period(made, name),
                    "rows": int(getattr(split, name).sum()),
                    "frauds": int((label if name == "measured" else made.label_then)[getattr(split, name)].sum()),
                }
                for name in split.bounds
            },
        },
        "how": "Measured on a fit that saw what came before, as labels had told by then; its calibration saw the "
        "latest of that. The model that is served has the same settings, number of trees and calibration, and was "
        "fitted on all mature decisions.",
        "tried": {one.family: round(one.average_precision, 6) for one in tried},
        "settings": {"params": dict(SETTINGS[best.family].params), "seed": SEED},
        "quality": report["comparison"]["own"],
        "libraries": {"python": platform.python_version(), **{name: installed(name) for name in LIBRARIES}},
    }


def _typical(made: Material) -> np.ndarray:
    """float32[F]: each feature's median among honest rows, what contributions are held against."""
    honest = np.sort(made.features[made.split.fit & ~made.label_then], axis=0)
    return np.ascontiguousarray(honest[(len(honest) - 1) // 2])


def _period(made: Material, part: str) -> list[str]:
    return [
        datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        for at in made.split.bounds[part]
    ]


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
