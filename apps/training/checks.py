"""What is proved of a model before it is written: it is the fitted one, and its explanation adds up."""

from typing import NamedTuple

import numpy as np

from apps.scoring.engine.models import EXPLAINERS, Calibration, session
from apps.training.calibrate import probabilities
from apps.training.families.fitted import SEED, Fitted

ROWS, EXPLAINED_ROWS = 10_000, 1_000
MOST_SCORE, MOST_MARGIN, MOST_REST = 1e-5, 1e-4, 1e-3


class NotProved(Exception):
    """The files don't say what the fitted model says; nothing is written."""


class Proof(NamedTuple):
    """The largest differences found."""

    rows: int
    margin: float  # ONNX against the library
    score: float  # the same as probabilities
    contributions: float  # base and contributions against the margin


def proved(model: Fitted, onnx: bytes, arrays: dict[str, np.ndarray], features: np.ndarray, by: Calibration) -> Proof:
    """Compare on 10,000 rows of float32[n, F], every feature unknown here and there. Raises `NotProved`."""
    rows = _some(features)
    expected = model.margins(rows)
    said = served(onnx, rows).astype(np.float64)
    added = EXPLAINERS[model.explanation](arrays).contributions(rows[:EXPLAINED_ROWS]).sum(axis=1)
    proof = Proof(
        len(rows),
        float(np.abs(said - expected).max()),
        float(np.abs(probabilities(by, said) - probabilities(by, expected)).max()),
        float(np.abs(added - expected[:EXPLAINED_ROWS]).max()),
    )
    if not (proof.score <= MOST_SCORE and proof.margin <= MOST_MARGIN and proof.contributions <= MOST_REST):
        raise NotProved(f"the exported model differs from the fitted one: {proof}")
    return proof


def served(onnx: bytes, features: np.ndarray) -> np.ndarray:
    """float32[n, F] → float32[n] margins, as the service computes them."""
    return session(onnx).run(None, {"features": features})[0][:, 0]


def _some(features: np.ndarray) -> np.ndarray:
    """10,000 rows, drawn again where there are fewer; in a tenth of them one value in ten is unknown."""
    random = np.random.default_rng(SEED)
    rows = features[random.choice(len(features), ROWS, replace=len(features) < ROWS)]
    hidden = random.random(rows.shape) < 0.1
    hidden[ROWS // 10 :] = False
    return np.where(hidden, np.float32(np.nan), rows)
