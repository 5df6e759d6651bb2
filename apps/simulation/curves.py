"""What-if of a threshold: what stopping from each probability on would have caught, missed, disturbed and cost. Pure.

Decisions are counted in bins of a thousandth of their probability, so a curve is as small for a million decisions as
for ten. At a threshold t everything with a probability of t or more is stopped by the model; rules are left aside.
"""

from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

BINS = 1_000
FRAUD, LEGITIMATE, UNKNOWN = range(3)

Share = Annotated[float, Meta(ge=0.0, le=1.0)]


class Costs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What mistakes cost a tenant, in the currency of its amounts."""

    loss: Annotated[float, Meta(ge=0.0, le=100.0, description="Of the amount of a fraud that was let through.")] = 1.0
    review: Annotated[
        float, Meta(ge=0.0, le=100_000.0, description="Of looking at one transaction that was stopped.")
    ] = 3.0
    lost_sale: Annotated[
        float, Meta(ge=0.0, le=100.0, description="Of the amount of a legitimate transaction that was stopped.")
    ] = 0.05
    unlabelled_are_legitimate: Annotated[
        bool, Meta(description="Count what nobody labelled as legitimate, for precision and money alike.")
    ] = False


class Point(msgspec.Struct, frozen=True):
    """What a threshold would have done. A share of nothing is null."""

    threshold: float
    precision: float | None
    recall: float | None
    review_rate: Annotated[float | None, Meta(description="Share of all decisions that are stopped.")]
    saved: Annotated[float, Meta(description="Amounts of frauds that are stopped.")]
    lost: Annotated[float, Meta(description="Amounts of frauds that are let through.")]
    false_alarms: Annotated[float, Meta(description="Amounts of legitimate transactions that are stopped.")]
    cost: Annotated[float, Meta(description="By the costs that were told.")]


class Curve(msgspec.Struct, frozen=True):
    """The whole curve of one kind of transaction, and the threshold at which it costs least.

    Only thresholds at which something changes are listed, the lowest first.
    """

    schema: str
    decisions: int
    points: list[Point]
    best: Annotated[Point | None, Meta(description="null where no fraud is known: nothing can be weighed.")]


class Bins:
    """Decisions of one kind by probability and label: how many, and the sum of their amounts."""

    def __init__(self) -> None:
        self.count = np.zeros((3, BINS), dtype=np.int64)
        self.amount = np.zeros((3, BINS))

    def add(self, probability: np.ndarray, label: np.ndarray, amount: np.ndarray) -> None:
        """Add decisions: float64[n] probabilities (nan: none, left out), int8[n] labels, float64[n] amounts."""
        known = probability == probability
        place = np.minimum((probability[known] * BINS).astype(np.int64), BINS - 1) + BINS * label[known].astype(
            np.int64
        )
        size = 3 * BINS
        self.count += np.bincount(place, minlength=size).reshape(3, BINS)
        self.amount += np.bincount(place, weights=amount[known], minlength=size).reshape(3, BINS)


def curve_of(schema: str, bins: Bins, costs: Costs) -> Curve:
    """The curve of what was counted."""
    count, amount = bins.count, bins.amount
    if costs.unlabelled_are_legitimate:
        count, amount = _unknown_as_legitimate(count), _unknown_as_legitimate(amount)
    all_above = _from(count.sum(axis=0))
    frauds, honest = _from(count[FRAUD]), _from(count[LEGITIMATE])
    saved, false_alarms = _from(amount[FRAUD]), _from(amount[LEGITIMATE])
    lost = amount[FRAUD].sum() - saved
    cost = costs.loss * lost + costs.review * all_above + costs.lost_sale * false_alarms
    points = [
        Point(
            threshold=place / BINS,
            precision=_share(frauds[place], frauds[place] + honest[place]),
            recall=_share(frauds[place], frauds[0]),
            review_rate=_share(all_above[place], all_above[0]),
            saved=round(float(saved[place]), 2),
            lost=round(float(lost[place]), 2),
            false_alarms=round(float(false_alarms[place]), 2),
            cost=round(float(cost[place]), 2),
        )
        for place in _turns(count)
    ]
    best = min(points, key=lambda point: (point.cost, point.threshold)) if frauds[0] else None
    return Curve(schema, int(all_above[0]), points, best)


def _unknown_as_legitimate(values: np.ndarray) -> np.ndarray:
    found = values.copy()
    found[LEGITIMATE] += found[UNKNOWN]
    found[UNKNOWN] = 0
    return found


def _from(values: np.ndarray) -> np.ndarray:
    """[bins + 1]: the sum from each bin on; 0 behind the last."""
    return np.append(values[::-1].cumsum()[::-1], 0)


def _turns(count: np.ndarray) -> list[int]:
    """The bins at which a threshold means something else than one bin later: those with decisions; 0 and the end."""
    return sorted({0, BINS, *count.sum(axis=0).nonzero()[0].tolist()})


def _share(part: float, whole: float) -> float | None:
    return round(float(part / whole), 6) if whole else None
