"""Several models asked at once: the majority says whether it is fraud, those who agree with it say how likely."""

from collections.abc import Sequence
from typing import NamedTuple

from apps.scoring.engine.decide import Ensemble, Vote


class Verdict(NamedTuple):
    """The probability the ensemble answers, and the votes behind it."""

    probability: float
    ensemble: Ensemble


def vote(name: str, version: str, probability: float | None, threshold: float) -> Vote:
    """One model's vote; "Error" when it has no probability."""
    if probability is None:
        return Vote(name, version, None, None, "Error")
    fraud = probability >= threshold
    return Vote(name, version, round(probability, 6), int(fraud), "Fraud" if fraud else "Not Fraud")  # type: ignore[arg-type]


def verdict(votes: Sequence[Vote]) -> Verdict | None:
    """The majority of those who could vote; None when nobody could.

    The probability is the mean over the models that agree with the majority, so that with a threshold of 0.5 it is at
    least 0.5 exactly when the majority says fraud. On a tie all of them agree by half and the mean of all decides.
    """
    heard = [one for one in votes if one.probability is not None]
    if not heard:
        return None
    frauds = sum(one.prediction == 1 for one in heard)
    tied = 2 * frauds == len(heard)
    majority = int(2 * frauds > len(heard))
    agreeing = heard if tied else [one for one in heard if one.prediction == majority]
    probability = sum(one.probability or 0.0 for one in agreeing) / len(agreeing)
    agreement = 0.5 if tied else len(agreeing) / len(heard)
    return Verdict(probability, Ensemble(round(agreement, 4), tuple(votes)))
