"""Scores of a block: margins to probabilities and ranks, as arrays, to the bits a single row gets."""

from collections.abc import Sequence

import numpy as np

from apps.scoring.engine import ensemble as ensembles
from apps.scoring.engine.asking import ENSEMBLE, Answer, Chosen, heard_of, used_of
from apps.scoring.engine.block import BlockScores
from apps.scoring.engine.models import LoadedModel

DIGITS = 6  # of a probability that is told
#: numpy's exp may differ from math's in its last bit, far less than this.
NEAR = 1e-9


def scores_of(chosen: Chosen, answer: Answer, limits: Sequence[float]) -> BlockScores | None:
    """Every row's probability and rank; None when no model could. A probability is exact where that could move it over
    one of the `limits` or over a digit that is told."""
    by = answer.explained_by
    if by is None:
        return None
    if chosen.name == ENSEMBLE:
        return _together(chosen, answer, by)
    margins = np.array(answer.margins[by.name], dtype=np.float64)
    return BlockScores(probabilities(by, margins, limits), ranks(by, margins), used_of(chosen, by))


def probabilities(model: LoadedModel, margins: np.ndarray, limits: Sequence[float] = ()) -> np.ndarray:
    """float64[n] margins → calibrated probabilities, value by value where numpy's last bit could be seen."""
    calibration = model.card.calibration
    with np.errstate(over="ignore"):
        found = 1.0 / (1.0 + np.exp(-(calibration.a * margins + calibration.b)))
    found = np.minimum(np.maximum(found, calibration.floor), calibration.ceiling)
    close = _near_half(found)
    for limit in limits:
        close |= np.abs(found - limit) < NEAR
    for row in close.nonzero()[0].tolist():
        found[row] = model.probability(float(margins[row]))
    return found


def ranks(model: LoadedModel, margins: np.ndarray) -> np.ndarray:
    """float64[n] margins → risk scores, int16[n]."""
    reference = np.array(model.card.reference, dtype=np.float64)
    below = np.searchsorted(reference, margins, side="left")
    if model.card.own is not None:
        return np.array(model.card.own.risk_scores, dtype=np.int16)[below]
    return np.rint(1000 * below / len(reference)).astype(np.int16)


def rounded(probability: np.ndarray) -> np.ndarray:
    """float64[n] to six digits, as `round` does it."""
    found = np.rint(probability * 10**DIGITS) / 10**DIGITS
    for row in _near_half(probability).nonzero()[0].tolist():
        found[row] = round(float(probability[row]), DIGITS)
    return found


def _near_half(probability: np.ndarray) -> np.ndarray:
    """Where the seventh digit and those behind it are about a half."""
    scaled = probability * 10**DIGITS
    return np.abs(scaled - np.floor(scaled) - 0.5) < 10**DIGITS * NEAR


def _together(chosen: Chosen, answer: Answer, by: LoadedModel) -> BlockScores:
    """The ensemble's verdict on every row, as `ensemble.verdict` has it of one."""
    count = len(next(iter(answer.margins.values())))
    total, frauds, rank, heard = np.zeros(count), np.zeros(count), np.zeros(count), 0
    first = np.zeros(count, dtype=bool)
    for model, said in heard_of(chosen, answer):
        margins = np.array(said, dtype=np.float64)
        probability = probabilities(model, margins, (model.threshold,))
        fraud = probability >= model.threshold
        first = first if heard else fraud
        frauds += fraud
        total += rounded(probability)
        rank += ranks(model, margins)
        heard += 1
    mean, ahead = total / heard, 2 * frauds - heard
    side = (ahead > 0) | (ahead == 0) & first
    held = np.where(side, np.maximum(mean, ensembles.EVEN), np.minimum(mean, ensembles.JUST_BELOW_EVEN))
    return BlockScores(held, np.rint(rank / heard).astype(np.int16), used_of(chosen, by))
