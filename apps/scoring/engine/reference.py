"""What a model's features and scores looked like where it was made: histograms by feature, and how far others are.

Pure but for reading its file: `reference.json` stands beside the card and needs no training data. Of a
model without one no drift is told.
"""

import math
from functools import cached_property
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np

from apps.scoring.engine.models import Card, ModelRefused

FILE = "reference.json"
SCORE = "score"
#: Bins of what is known, by tenths of the reference; the last one after them holds what is unknown.
BINS = 10
UNKNOWN = BINS
#: A share is taken for no less: an empty bin would be infinitely far.
LEAST_SHARE = 1e-4
#: Population stability index from which a distribution is watched, and taken for another (Siddiqi, Credit Risk
#: Scorecards, 2006).
WATCHED, DRIFTED = 0.1, 0.25


class Histogram(msgspec.Struct, frozen=True):
    """Upper bounds of the bins, each included, and each bin's share: `BINS` of what is known and that of the unknown.

    Where one value fills several tenths there are fewer bounds.
    """

    bounds: tuple[float, ...]
    shares: tuple[float, ...]


class Reference(msgspec.Struct, frozen=True, dict=True):
    """Histograms of the features in the order of the card, then of the fraud probability."""

    schema: str
    name: str
    version: str
    model: str  # SHA-256 of model.onnx
    population: str  # who these are, in words
    rows: int
    histograms: tuple[Histogram, ...]
    digest: str = ""  # of this file: bins that were counted in others are told apart by it

    @cached_property
    def bounds(self) -> np.ndarray:
        """float64[features + 1, BINS - 1], infinite where there are fewer."""
        padded = np.full((len(self.histograms), BINS - 1), np.inf)
        for row, histogram in zip(padded, self.histograms, strict=True):
            row[: len(histogram.bounds)] = histogram.bounds
        return padded

    @cached_property
    def shares(self) -> np.ndarray:
        """float64[features + 1, BINS + 1]."""
        return np.array([histogram.shares for histogram in self.histograms])

    def counted(self, features: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """float32[n, F] and probabilities float64[n] → int64[F + 1, BINS + 1]: how many fall into each bin."""
        return counts(self.bounds, np.column_stack([features, scores]))


def counts(bounds: np.ndarray, values: np.ndarray) -> np.ndarray:
    """How many of float64[n, W] fall into each bin of bounds float64[W, BINS - 1] → int64[W, BINS + 1]."""
    bins = np.zeros(values.shape, np.intp)
    for bound in bounds.T:
        bins += values > bound
    bins[np.isnan(values)] = UNKNOWN
    width = values.shape[1]
    flat = bins + np.arange(width) * (BINS + 1)
    return np.bincount(flat.ravel(), minlength=width * (BINS + 1)).reshape(width, BINS + 1)


def psi(shares: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Population stability index of counts [..., BINS + 1] against reference shares: sum of (a - e) ln(a / e)."""
    total = counted.sum(axis=-1, keepdims=True)
    found = np.maximum(counted / np.maximum(total, 1), LEAST_SHARE)
    expected = np.maximum(shares, LEAST_SHARE)
    return ((found - expected) * np.log(found / expected)).sum(axis=-1)


def by_chance(shares: np.ndarray, decisions: int | np.ndarray) -> np.ndarray:
    """What the index comes to, on the mean, for so many decisions of the reference itself: (bins - 1) / n."""
    filled = (shares > LEAST_SHARE).sum(axis=-1)
    return np.maximum(filled - 1, 0) / np.maximum(decisions, 1)


def histogram(values: np.ndarray) -> Histogram:
    """The reference of one feature: bounds at the tenths of what is known, and the shares between them."""
    known = values[~np.isnan(values)]
    tenths = np.quantile(known, np.arange(1, BINS) / BINS, method="inverted_cdf") if len(known) else np.empty(0)
    bounds = np.unique(tenths.astype(np.float64))
    padded = np.full((1, BINS - 1), np.inf)
    padded[0, : len(bounds)] = bounds
    counted = counts(padded, values.astype(np.float64)[:, None])[0]
    return Histogram(tuple(bounds.tolist()), tuple((counted / max(len(values), 1)).round(6).tolist()))


def load_reference(directory: Path, card: Card) -> Reference | None:
    """The reference of the model in `directory`, None without one. Raises `ModelRefused` for another model's."""
    path = directory / FILE
    if not path.exists():
        return None
    content = path.read_bytes()
    try:
        found = msgspec.json.decode(content, type=Reference)
    except msgspec.DecodeError as problem:
        raise ModelRefused(f"{FILE} can't be read: {problem}") from problem
    of_another = found.model != card.files.get("model.onnx") or len(found.histograms) != len(card.features) + 1
    if of_another or any(_is_wrong(one) for one in found.histograms):
        raise ModelRefused(f"{FILE} is not of the model the card vouches for")
    return msgspec.structs.replace(found, digest=sha256(content).hexdigest()[:16])


def _is_wrong(one: Histogram) -> bool:
    rising = all(low < high for low, high in pairwise(one.bounds))
    whole = len(one.shares) == BINS + 1 and math.isclose(sum(one.shares), 1, abs_tol=1e-3)
    return not (rising and whole and len(one.bounds) < BINS)
