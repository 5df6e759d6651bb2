"""Several models asked at once: the majority says whether it is fraud, all of them how likely."""

from collections.abc import Sequence
from typing import NamedTuple

from apps.scoring.engine.decide import Ensemble, Vote

EVEN, JUST_BELOW_EVEN = 0.5, 0.499999  # to the six digits that are told


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

    The probability is the mean of all, held on the majority's side of 0.5. Both the mean and the majority only rise
    when a model's probability does, so that the ensemble obeys every law its models obey; a mean over those that agree
    would fall when the riskiest of them leaves for the other side. On a tie all agree by half, and the first of them
    decides, which is the best one on later rows.
    """
    heard = [one for one in votes if one.probability is not None]
    if not heard:
        return None
    frauds = sum(one.prediction == 1 for one in heard)
    tied = 2 * frauds == len(heard)
    side = heard[0].prediction if tied else int(2 * frauds > len(heard))
    agreeing = sum(one.prediction == side for one in heard)
    mean = sum(one.probability or 0.0 for one in heard) / len(heard)
    probability = max(mean, EVEN) if side else min(mean, JUST_BELOW_EVEN)
    return Verdict(probability, Ensemble(round(agreeing / len(heard), 4), tuple(votes)))
