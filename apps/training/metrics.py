"""Quality of a ranking and of probabilities, weighted, with bootstrap intervals."""

import numpy as np

RESAMPLES = 200
SEED = 20_261_101
BINS = 10
FALSE_POSITIVE_RATE = 0.01


def measure(label: np.ndarray, probability: np.ndarray, weight: np.ndarray, threshold: float) -> dict[str, float]:
    """Every metric of a block: bool[n], float[n], float[n] → name → value. nan when a class is absent."""
    return _measure(Ranking(label, probability), label, probability, weight, threshold)


def _measure(
    ranking: "Ranking", label: np.ndarray, probability: np.ndarray, weight: np.ndarray, threshold: float
) -> dict[str, float]:
    return {
        **ranking.metrics(weight),
        "brier": float(np.average((probability - label) ** 2, weights=weight)),
        "calibration_error": calibration_error(label, probability, weight),
        **at_threshold(label, probability, weight, threshold),
    }


def intervals(
    label: np.ndarray, probability: np.ndarray, weight: np.ndarray, threshold: float, resamples: int = RESAMPLES
) -> dict[str, list[float] | None]:
    """95 % bootstrap intervals of the same metrics, rows drawn anew with a fixed seed."""
    random = np.random.default_rng(SEED)
    ranking = Ranking(label, probability)
    drawn = [
        _measure(ranking, label, probability, weight * random.poisson(1.0, len(label)), threshold)
        for _ in range(resamples)
    ]
    return {name: _interval(np.array([one[name] for one in drawn])) for name in drawn[0]}


def _interval(values: np.ndarray) -> list[float] | None:
    known = values[np.isfinite(values)]
    return [round(float(edge), 6) for edge in np.percentile(known, [2.5, 97.5])] if len(known) else None


class Ranking:
    """Rows sorted once by falling score, ties in one group, so that weights can be drawn again cheaply."""

    def __init__(self, label: np.ndarray, score: np.ndarray) -> None:
        self._order = np.argsort(-score, kind="stable")
        ranked = score[self._order]
        self._starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
        self._fraud = label[self._order]

    def metrics(self, weight: np.ndarray) -> dict[str, float]:
        """Area under ROC, average precision, recall at 1 % false positives."""
        ranked = weight[self._order]
        caught = np.cumsum(np.add.reduceat(ranked * self._fraud, self._starts))
        false = np.cumsum(np.add.reduceat(ranked * ~self._fraud, self._starts))
        if not caught[-1] or not false[-1]:
            return dict.fromkeys(("auc_roc", "average_precision", "recall_at_1pct_fpr"), float("nan"))
        recall, fallout = np.r_[0.0, caught / caught[-1]], np.r_[0.0, false / false[-1]]
        precision = caught / np.maximum(caught + false, 1e-300)
        return {
            "auc_roc": float(np.trapezoid(recall, fallout)),
            "average_precision": float(np.sum(np.diff(recall) * precision)),
            "recall_at_1pct_fpr": float(recall[np.searchsorted(fallout, FALSE_POSITIVE_RATE, "right") - 1]),
        }


def at_threshold(label: np.ndarray, probability: np.ndarray, weight: np.ndarray, threshold: float) -> dict[str, float]:
    flagged = probability >= threshold
    caught, alarms, frauds = weight[flagged & label].sum(), weight[flagged].sum(), weight[label].sum()
    return {
        "precision": float(caught / alarms) if alarms else float("nan"),
        "recall": float(caught / frauds) if frauds else float("nan"),
    }


def calibration_error(label: np.ndarray, probability: np.ndarray, weight: np.ndarray) -> float:
    """Expected calibration error over ten equal-width bins of probability."""
    bins = np.minimum((probability * BINS).astype(int), BINS - 1)
    mass = np.bincount(bins, weight, BINS)
    said, was = np.bincount(bins, weight * probability, BINS), np.bincount(bins, weight * label, BINS)
    return float(np.abs(said - was).sum() / mass.sum())


def rounded(metrics: dict[str, float]) -> dict[str, float | None]:
    """Six digits; None where a metric has no meaning, as without frauds."""
    return {name: round(value, 6) if np.isfinite(value) else None for name, value in metrics.items()}
