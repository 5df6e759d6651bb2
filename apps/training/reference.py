"""The reference a model's drift is told against: histograms of the rows it was made from, weighed as they stand for."""

import json
from pathlib import Path

import msgspec
import numpy as np

from apps.scoring.engine import shelf
from apps.scoring.engine.models import LoadedModel
from apps.scoring.engine.reference import FILE, Reference, histogram
from apps.training.families.fitted import SEED, Say
from apps.training.recipe import Prepared

#: Rows drawn, each as likely as it weighs: a tenth is known to half a percent.
DRAWN = 50_000
AT_ONCE = 5_000


def write_references(prepared: Prepared, root: Path, entries: list[str], say: Say) -> None:
    """Write `reference.json` beside the cards of these "<model>/<version>". Raises `ModelRefused`."""
    features = drawn(prepared.material.measured, prepared.rows.weight)
    known = [histogram(column) for column in features.T]
    for entry in entries:
        model = shelf.loaded(root, prepared.schema.name, entry)
        scores = _scores(model, features)
        found = Reference(
            schema=model.card.schema,
            name=model.name,
            version=model.version,
            model=model.card.files["model.onnx"],
            population=f"{prepared.recipe.title}: the rows it was trained on, weighed as they stand for honest traffic",
            rows=len(features),
            histograms=(*known, histogram(scores)),
        )
        text = json.dumps(msgspec.to_builtins(found) | {"digest": ""})
        (root / prepared.schema.name / entry / FILE).write_text(text)
        say(f"{entry}: {FILE}")


def drawn(features: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Up to `DRAWN` of the rows float32[n, F] by their weights; seeded."""
    chosen = np.random.default_rng(SEED).choice(len(features), min(DRAWN, len(features)), p=weight / weight.sum())
    return features[np.sort(chosen)]


def _scores(model: LoadedModel, features: np.ndarray) -> np.ndarray:
    """Fraud probabilities, as a decision tells them."""
    margins = [m for at in range(0, len(features), AT_ONCE) for m in model.margins(features[at : at + AT_ONCE])]
    return np.array([model.probability(margin) for margin in margins])
