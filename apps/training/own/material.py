"""What an own model is trained on: decisions as they were stored, and what labels had told by then.

    decisions (features as they were) + doings and known frauds of their parties as of each decision's time
      ─► mature? ─► split by time: fit │ held out │ ── what was not known yet ── │ the last weeks

Maturity. A fraud takes time to become known, so that a recent decision without a label says nothing: it is left out of
everything that learns or measures (censored). What is older than the maturity and was not said to be a fraud is
legitimate. The maturity is the delay within which 95 % of the frauds became known, when the tenant does not say its
own. Between what is learned from and the weeks that are measured lies as much time again: at the first of these weeks
no more was known.
"""

from typing import NamedTuple

import numpy as np

from apps.scoring.engine.own_decisions import Asked, Decisions
from apps.scoring.engine.own_features import block_of, parties_of, widened
from apps.scoring.engine.own_past import DAY_SECONDS, FOR_GOOD, Doings, Frauds, counted_columns
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.transaction import TransactionSchema
from apps.training.data import UnusableData

#: Days that are measured at the end of the mature time; of a shorter one this share of it.
MEASURED_DAYS, MEASURED_SHARE = 28, 0.25
#: Share of the rows before them that stops and calibrates the fit: the latest ones.
HELD_OUT_SHARE = 0.15
#: Share of the frauds that are known when a decision is mature, and the bounds of what is measured so, in days.
KNOWN_SHARE, LEAST_MATURITY, MOST_MATURITY = 0.95, 1.0, 90.0
#: Frauds a part needs at least: with fewer the intervals say nothing.
LEAST_FRAUDS = {"fit": 100, "held_out": 20, "measured": 20}
PARTS = {"fit": "to learn from", "held_out": "to calibrate by", "measured": "to measure on"}


class Split(NamedTuple):
    """bool[n] each. `bounds`: first and last moment of each part, ms."""

    fit: np.ndarray
    held_out: np.ndarray
    measured: np.ndarray
    bounds: dict[str, tuple[int, int]]
    maturity_days: float
    censored: int


class Material(NamedTuple):
    """float32[n, F + own] of all decisions, with their labels as they hold, and as they were known when the measured
    weeks began."""

    asked: Asked
    schema: TransactionSchema
    features: np.ndarray
    decisions: Decisions
    label: np.ndarray
    label_then: np.ndarray
    split: Split
    base_rate: float


def material(asked: Asked, decisions: Decisions) -> Material:
    """Features, labels and split. Raises `UnusableData` with a sentence when there is too little."""
    split = _split(decisions, asked)
    begins_s = split.bounds["measured"][0] // 1000
    label_then = decisions.is_fraud & (decisions.fraud_known <= begins_s)
    learned = split.fit | split.held_out
    _require(decisions.is_fraud, label_then, split)
    base_rate = float(label_then[learned].mean())
    return Material(
        asked=asked,
        schema=widened(asked.schema),
        features=np.hstack([decisions.features, own_features(asked.schema, decisions, base_rate)]),
        decisions=decisions,
        label=decisions.is_fraud,
        label_then=label_then,
        split=split,
        base_rate=base_rate,
    )


def own_features(schema_name: str, decisions: Decisions, base_rate: float) -> np.ndarray:
    """float32[n, own features], as of each decision's time."""
    found = []
    for place, _ in enumerate(parties_of(schema_name)):
        party = decisions.parties[:, place]
        row, known, until = decisions.frauds.T
        told = party[row] >= 0
        numbers = counted_columns(
            Doings(party, decisions.at_ms, decisions.hundredths), Frauds(party[row][told], known[told], until[told])
        )
        numbers = np.column_stack([decisions.hundredths, numbers])
        found.append(block_of(numbers, base_rate).astype(np.float32))
    return np.hstack(found)


def maturity_of(decisions: Decisions) -> float:
    """Days within which most frauds became known."""
    delays = (decisions.fraud_known - decisions.at_ms // 1000)[decisions.is_fraud] / DAY_SECONDS
    if not len(delays):
        return LEAST_MATURITY
    return float(np.clip(np.quantile(delays, KNOWN_SHARE), LEAST_MATURITY, MOST_MATURITY))


def _split(decisions: Decisions, asked: Asked) -> Split:
    if not len(decisions.at_ms):
        raise UnusableData("There are no decisions of this kind in the span.")
    at_ms, day_ms = decisions.at_ms, DAY_SECONDS * 1000
    maturity = maturity_of(decisions) if asked.maturity_days is None else asked.maturity_days
    known = decisions.fraud_known[decisions.fraud_known < FOR_GOOD]
    latest = max(int(at_ms[-1]), int(known.max()) * 1000 if len(known) else 0)
    mature_until = min(int(at_ms[-1]) + 1, int(latest - maturity * day_ms) + 1)
    first = max(int(at_ms[0]), asked.since_ms or 0)
    measured_ms = min(MEASURED_DAYS * day_ms, MEASURED_SHARE * (mature_until - first))
    begins = int(mature_until - measured_ms)
    learned = (at_ms >= first) & (at_ms < begins - maturity * day_ms)
    cut = np.quantile(at_ms[learned], 1.0 - HELD_OUT_SHARE) if learned.any() else first
    parts = {
        "fit": learned & (at_ms < cut),
        "held_out": learned & (at_ms >= cut),
        "measured": (at_ms >= begins) & (at_ms < mature_until),
    }
    for name, part in parts.items():
        if not part.any():
            raise UnusableData(
                f"Too short a time: nothing is left {PARTS[name]}, with a maturity of {maturity:.1f} days before and "
                "after what is learned from."
            )
    bounds = {name: (int(at_ms[part][0]), int(at_ms[part][-1])) for name, part in parts.items()}
    return Split(**parts, bounds=bounds, maturity_days=maturity, censored=int((at_ms >= mature_until).sum()))


def _require(label: np.ndarray, label_then: np.ndarray, split: Split) -> None:
    for name, least in LEAST_FRAUDS.items():
        part = getattr(split, name)
        frauds = int((label if name == "measured" else label_then)[part].sum())
        if frauds < least:
            later = int(label[part].sum()) - frauds
            told = f" {later} more were known only later, by the known_at of their labels." if later else ""
            raise UnusableData(
                f"Too few known frauds {PARTS[name]}: {frauds} of at least {least}.{told} Send more labels, or train "
                "on a longer span."
            )
        if frauds == int(part.sum()):
            raise UnusableData(f"There are no honest decisions {PARTS[name]}.")


def shared_features(material: Material) -> np.ndarray:
    """The schema's own features alone, as the shared models read them."""
    return np.ascontiguousarray(material.features[:, : len(SCHEMAS[material.asked.schema].features)])
