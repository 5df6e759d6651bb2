"""An own model held against the shared champion on the same later rows: quality with intervals, the map that keeps the
risk score's meaning, and by how much the population of each threshold moves."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from apps.training import metrics

RESAMPLES = 200
SEED = 20_261_101
RISKIEST_A_DAY = 100
DAY_MS = 86_400_000
#: Quantiles of the reference: so many below its highest hundredth, and as many again within it, where thresholds are.
COARSE, FINE, FINE_FROM = 990, 1000, 0.99
PROBABILITIES = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9)
RISK_SCORES = (500, 600, 700, 800, 900, 950, 980, 990, 995, 999)


class Said(NamedTuple):
    """What a model says of n rows: calibrated probabilities and risk scores 0-1000."""

    probability: np.ndarray
    risk_score: np.ndarray


class Rows(NamedTuple):
    """n rows that are measured on: frauds bool[n], when, and the number of whoever pays (-1: not named)."""

    label: np.ndarray
    at_ms: np.ndarray
    party: np.ndarray


def comparison(rows: Rows, own: Said, shared: Said) -> dict[str, Any]:
    """Each one's metrics with 95 % intervals, and the difference, rows drawn anew for both alike."""
    models = {"own": own, "shared": shared}
    differences = _differences(rows, own, shared)
    low, high = np.percentile(differences, [2.5, 97.5])
    at = {name: _figures(rows, said.probability) for name, said in models.items()}
    return {
        "rows": len(rows.label),
        "frauds": int(rows.label.sum()),
        **{name: at[name] for name in models},
        "difference": {
            "average_precision": round(at["own"]["average_precision"] - at["shared"]["average_precision"], 6),
            "interval_95": [round(float(low), 6), round(float(high), 6)],
        },
        "better_beyond_interval": bool(low > 0.0),
    }


def _figures(rows: Rows, probability: np.ndarray) -> dict[str, Any]:
    weight = np.ones(len(rows.label))
    measured = metrics.rounded(metrics.measure(rows.label, probability, weight, 0.5))
    daily, once = riskiest_a_day(rows, probability), riskiest_a_day(rows, probability, once=True)
    return {
        **measured,
        "intervals_95": metrics.intervals(rows.label, probability, weight, 0.5, RESAMPLES),
        f"precision_of_{RISKIEST_A_DAY}_a_day": round(float(daily.mean()), 6) if len(daily) else None,
        f"precision_of_{RISKIEST_A_DAY}_a_day_once": round(float(once.mean()), 6) if len(once) else None,
    }


def _differences(rows: Rows, own: Said, shared: Said) -> np.ndarray:
    """float64[resamples] of the average precisions' difference, own - shared."""
    random = np.random.default_rng(SEED)
    ranked = [metrics.Ranking(rows.label, said.probability) for said in (own, shared)]
    found = []
    for _ in range(RESAMPLES):
        weight = random.poisson(1.0, len(rows.label)).astype(np.float64)
        ours, theirs = (ranking.metrics(weight)["average_precision"] for ranking in ranked)
        found.append(ours - theirs)
    known = np.array(found)
    return known[np.isfinite(known)]


def riskiest_a_day(
    rows: Rows, probability: np.ndarray, most: int = RISKIEST_A_DAY, *, once: bool = False
) -> np.ndarray:
    """float64[days]: of the parties with the riskiest decision of each day, the share that were defrauded on it.

    `once`: who was found so on one day stands in no later day's list. That is the card precision of the Fraud Detection
    Handbook (Le Borgne et al., ch. 4): a card found is blocked.
    """
    found, gone = [], np.empty(0, dtype=rows.party.dtype)
    days = rows.at_ms // DAY_MS
    for day in np.unique(days[rows.party >= 0]):
        mine = (days == day) & (rows.party >= 0) & ~np.isin(rows.party, gone)
        riskiest = _riskiest(rows.party[mine], probability[mine], most)
        defrauded = np.isin(riskiest, rows.party[mine & rows.label])
        found.append(float(defrauded.mean()) if len(riskiest) else 0.0)
        gone = np.r_[gone, riskiest[defrauded]] if once else gone
    return np.array(found)


def _riskiest(party: np.ndarray, probability: np.ndarray, most: int) -> np.ndarray:
    """The `most` parties with the riskiest decisions."""
    order = np.argsort(-probability, kind="stable")
    _, first = np.unique(party[order], return_index=True)
    return party[order][np.sort(first)[:most]]


def reference_of(margins: np.ndarray) -> np.ndarray:
    """Rising margins: two levels of quantiles, finer where the riskiest are."""
    coarse = (np.arange(COARSE) + 0.5) / COARSE * FINE_FROM
    fine = FINE_FROM + (np.arange(FINE) + 0.5) / FINE * (1.0 - FINE_FROM)
    return np.quantile(margins, np.r_[coarse, fine])


def risk_scores_of(shared: np.ndarray) -> list[int]:
    """The risk score between each two of `reference_of`'s margins: what the shared champion gives at the same rank of
    the same rows int[n], so that as many stand above any risk score as did before."""
    coarse = np.arange(COARSE + 1) / COARSE * FINE_FROM
    fine = FINE_FROM + np.arange(1, FINE + 1) / FINE * (1.0 - FINE_FROM)
    ranks = np.r_[coarse, fine]
    middles = np.clip((ranks[:-1] + ranks[1:]) / 2.0, 0.0, 1.0)
    found = np.quantile(shared, np.r_[0.0, middles[:-1], 1.0], method="inverted_cdf")
    return np.maximum.accumulate(np.rint(found).astype(int)).tolist()


def stability(own: Said, shared: Said) -> dict[str, Any]:
    """By how much the share of decisions at or above each threshold moves when the own model takes over."""
    return {
        "rows": len(own.probability),
        "how": "Shares of the same later decisions at or above each threshold: by the shared champion (before) and by "
        "the own model (after). Risk scores are mapped on one half of these decisions and held against the other.",
        "fraud_probability": [_moved(at, own.probability, shared.probability) for at in PROBABILITIES],
        "risk_score": [_moved(at, own.risk_score, shared.risk_score) for at in RISK_SCORES],
    }


def _moved(threshold: float, after: np.ndarray, before: np.ndarray) -> dict[str, float]:
    reached, was = (after >= threshold).astype(np.float64), (before >= threshold).astype(np.float64)
    moves = reached - was
    error = 1.96 * float(moves.std()) / max(len(moves), 1) ** 0.5
    moved = float(moves.mean())
    return {
        "threshold": threshold,
        "before": round(float(was.mean()), 6),
        "after": round(float(reached.mean()), 6),
        "moved": round(moved, 6),
        "interval_95": [round(moved - error, 6), round(moved + error, 6)],  # type: ignore[dict-item]
    }


def ranked(reference: np.ndarray, scores: Sequence[int], margins: np.ndarray) -> np.ndarray:
    """Risk scores int[n] of margins by a reference and its map, as a loaded model gives them."""
    return np.array(scores)[np.searchsorted(reference, margins, "left")]
