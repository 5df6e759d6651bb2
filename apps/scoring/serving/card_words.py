"""Models' cards in words and figures, for every page that shows them. Pure."""

from datetime import datetime
from typing import Any

from apps.scoring.serving.model_cards import ModelCard, Quality, TrainedOn

#: The columns of the models' page: the cards' own words, and ours.
METRICS = {
    "auc_roc": "AUC",
    "average_precision": "Average precision",
    "recall_at_1pct_fpr": "Recall at 1 % false alarms",
    "calibration_error": "Calibration error",
    "precision": "Precision",
    "recall": "Recall",
}
#: What each says, to somebody who has never met it.
MEANINGS = {
    "auc_roc": "How often a fraud gets a higher score than an honest transaction, of all pairs of the two (the area "
    "under the ROC curve). 0.5 is chance, 1 is perfect.",
    "average_precision": "The share of frauds among the highest scores, averaged over every place to draw the line. "
    "Chance is the share of frauds in the data, 1 is perfect.",
    "recall_at_1pct_fpr": "The share of frauds that is found when one honest transaction in a hundred is flagged.",
    "calibration_error": "How far probabilities are from what happened: at 0 one in ten of those scored 10 % is fraud.",
    "precision": "Of what is flagged at the model's own threshold, the share that is fraud.",
    "recall": "Of the frauds, the share that is flagged at the model's own threshold.",
}
#: What a day is in logs that count from a start of their own: steps of an hour, seconds.
A_DAY = {"paysim": 24, "ieee_cis": 86_400}


def counted(schema: str, part: TrainedOn | Quality) -> str:
    """How many rows of which time, and how many of them were fraud."""
    first, last = (_day(schema, moment) for moment in (part.period[0], part.period[-1]))
    return f"{part.rows:,} transactions from {first} to {last}, {part.frauds:,} of them fraud"


def _day(schema: str, moment: Any) -> str:
    """A card's moment as people write it: 31 March 2025, or a day of a log without dates."""
    if isinstance(moment, str):
        day = datetime.fromisoformat(moment)
        return f"{day.day} {day:%B %Y}"
    return f"day {int(moment // A_DAY[schema]) + (schema == 'paysim'):,} of its log"


def metric(card: ModelCard, name: str) -> tuple[str, str, str]:
    """A metric's label, its value and its interval, "" where there is none."""
    value = card.quality.metrics.get(name) if card.quality else None
    low, high = card.quality.intervals_95.get(name, (None, None)) if card.quality else (None, None)
    interval = f"{figure(low)} – {figure(high)}" if low is not None and high is not None else ""
    return METRICS[name], "–" if value is None else figure(value), interval


def figure(value: float) -> str:
    """A share with three digits; near 0 and 1, where the next one matters, with four."""
    return f"{value:.4f}" if min(abs(value), abs(1 - value)) < 0.01 else f"{value:.3f}"
