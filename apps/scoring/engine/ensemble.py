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
    said, side = heard(probability, threshold)
    return Vote(name, version, said, side, "Fraud" if side else "Not Fraud")  # type: ignore[arg-type]


def heard(probability: float, threshold: float) -> tuple[float, int]:
    """What a model says, as it is told, and its side: 1 for fraud, else 0."""
    return round(probability, 6), int(probability >= threshold)


def together(heard: Sequence[tuple[float, int]]) -> tuple[float, int]:
    """The probability that models answer together, and the majority's side; `heard`: of each that could vote, at least
    one.

    The probability is the mean of all, held on the majority's side of 0.5. Both the mean and the majority only rise
    when a model's probability does, so that the ensemble obeys every law its models obey; a mean over those that agree
    would fall when the riskiest of them leaves for the other side. On a tie all agree by half, and the first of them
    decides, which is the best one on later rows.
    """
    frauds = sum([side for _, side in heard])
    side = heard[0][1] if 2 * frauds == len(heard) else int(2 * frauds > len(heard))
    mean = sum([said for said, _ in heard]) / len(heard)
    return max(mean, EVEN) if side else min(mean, JUST_BELOW_EVEN), side


def verdict(votes: Sequence[Vote]) -> Verdict | None:
    """The majority of those who could vote, and what they say together; None when nobody could."""
    voted = [(one.probability, one.prediction or 0) for one in votes if one.probability is not None]
    if not voted:
        return None
    probability, side = together(voted)
    agreeing = sum(one == side for _, one in voted)
    return Verdict(probability, Ensemble(round(agreeing / len(voted), 4), tuple(votes)))
