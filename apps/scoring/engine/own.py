"""A tenant's own models asked: the champion in place of the shared one, those in shadow beside it."""

import logging
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from apps.scoring.engine.asking import Chosen
from apps.scoring.engine.block_scores import probabilities, ranks, rounded
from apps.scoring.engine.decide import ShadowScore
from apps.scoring.engine.models import LoadedModel, ModelFailed
from apps.scoring.engine.own_features import block_of, row_of

log = logging.getLogger(__name__)


class OwnModel(NamedTuple):
    """A loaded model of a tenant's, by its id."""

    id: str
    model: LoadedModel

    @property
    def chosen(self) -> Chosen:
        """It alone is asked."""
        return Chosen(self.model.name, ((self.model.name, self.model),))

    def widened(self, rows: Sequence[Sequence[float]], numbers: Sequence[Sequence[float]]) -> list[tuple[float, ...]]:
        """Rows of the schema's features with the own ones behind them."""
        own = self.model.card.own
        assert own is not None  # noqa: S101 - the shelf refuses any other
        return [(*row, *row_of(known, own.base_rate)) for row, known in zip(rows, numbers, strict=True)]


class OwnAsked(NamedTuple):
    """Who is asked of some transactions, and of each its hundredths and what is known of its parties
    (`own_past.counted`, one after the other)."""

    champion: OwnModel | None
    shadows: tuple[OwnModel, ...]
    numbers: Sequence[Sequence[float]]


def packed(rows: Sequence[Sequence[float]]) -> np.ndarray:
    """float32[n, F], as models read it."""
    with np.errstate(over="ignore"):
        return np.array(rows, dtype=np.float64).astype("<f4")


class OwnBlock(NamedTuple):
    """The own champion of a block; float64[n, 1 + parties x WIDTH]: its rows' hundredths, what is known of parties."""

    champion: OwnModel
    numbers: np.ndarray

    def features(self, rows: np.ndarray) -> np.ndarray:
        """float64[n, F + own] of float64[n, F] rows of the schema's features."""
        own = self.champion.model.card.own
        assert own is not None  # noqa: S101 - the shelf refuses any other
        return np.hstack([rows, block_of(self.numbers, own.base_rate)])


def shadowed_block(
    shadows: Sequence[OwnModel], rows: np.ndarray, numbers: np.ndarray
) -> list[tuple[ShadowScore, ...]] | None:
    """The same of a block: of float64[n, F] rows of the schema's features and what is known of their parties; None
    where no model says anything."""
    said: list[list[ShadowScore]] = []
    for shadow in shadows:
        try:
            with np.errstate(over="ignore"):
                margins = shadow.model.margins(OwnBlock(shadow, numbers).features(rows).astype("<f4"))
        except ModelFailed as failure:
            log.error("own model %s in shadow can't score: %s", shadow.id, failure)
            continue
        found = np.array(margins, dtype=np.float64)
        probability, rank = rounded(probabilities(shadow.model, found)), ranks(shadow.model, found)
        said.append([ShadowScore(shadow.id, *one) for one in zip(probability.tolist(), rank.tolist(), strict=True)])
    return list(zip(*said, strict=True)) if said else None


def shadowed(own: OwnAsked, rows: Sequence[Sequence[float]]) -> list[tuple[ShadowScore, ...]]:
    """What each model in shadow would say of each row; one that fails says nothing."""
    said: list[list[ShadowScore]] = [[] for _ in rows]
    for shadow in own.shadows:
        try:
            margins = shadow.model.margins(packed(shadow.widened(rows, own.numbers)))
        except ModelFailed as failure:
            log.error("own model %s in shadow can't score: %s", shadow.id, failure)
            continue
        for scores, margin in zip(said, margins, strict=True):
            probability = round(shadow.model.probability(margin), 6)
            scores.append(ShadowScore(shadow.id, probability, shadow.model.risk_score(margin)))
    return [tuple(scores) for scores in said]
