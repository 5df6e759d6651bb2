"""How sure a share or an average precision is. Pure; randomness is seeded."""

from math import sqrt

import numpy as np

SEED = 20
RESAMPLES = 200
Z = 1.959964  # of a 95 % interval

Interval = tuple[float, float]


def wilson(hits: float, of: float) -> Interval | None:
    """Wilson's 95 % interval of a share; None of nothing."""
    if not of:
        return None
    share, spread = hits / of, Z * Z / of
    middle = (share + spread / 2) / (1 + spread)
    half = Z * sqrt(share * (1 - share) / of + spread / (4 * of)) / (1 + spread)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def average_precision(frauds: np.ndarray, honest: np.ndarray) -> np.ndarray:
    """Of counts by rising score [..., bins]: the precision at each score, weighed by the recall gained there."""
    caught, alarms = (np.cumsum(counts[..., ::-1], axis=-1) for counts in (frauds, honest))
    precision = caught / np.maximum(caught + alarms, 1)
    return (precision * frauds[..., ::-1]).sum(axis=-1) / np.maximum(caught[..., -1], 1)


def bootstrap_precision(frauds: np.ndarray, honest: np.ndarray) -> Interval | None:
    """The 95 % interval of the average precision: Poisson's bootstrap of the counts; None without both classes."""
    if not frauds.sum() or not honest.sum():
        return None
    chance = np.random.default_rng(SEED)
    drawn = [chance.poisson(counts, (RESAMPLES, len(counts))) for counts in (frauds, honest)]
    low, high = np.quantile(average_precision(*drawn), (0.025, 0.975))
    return float(low), float(high)
