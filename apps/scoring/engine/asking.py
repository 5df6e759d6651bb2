"""Models asked: one or all of a schema's, over a block of feature rows, and what they say of each row."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from apps import company
from apps.scoring.engine import ensemble as ensembles
from apps.scoring.engine.decide import Ensemble, ModelUsed
from apps.scoring.engine.models import LoadedModel, ModelFailed, ModelRefused

log = logging.getLogger(__name__)

ENSEMBLE = "ensemble"
ENSEMBLE_THRESHOLD = 0.5

#: A model that can be asked, or the refusal of one that can't.
Model = LoadedModel | ModelRefused


class Chosen(NamedTuple):
    """Who is asked: one model, or all of a schema's under the name "ensemble"; the first that answers explains."""

    name: str
    models: tuple[tuple[str, Model], ...]


class Answer(NamedTuple):
    """What the models say of n rows: margins float[n] of each that answered, and one model's explanation of them."""

    margins: Mapping[str, Sequence[float]]
    explained_by: LoadedModel | None
    contributions: np.ndarray  # float32[n, F], [n, 0] when no model answered or nobody asked
    away: tuple[str, ...]


class Scored(NamedTuple):
    """What is said of one row, and by whom it is explained."""

    probability: float
    risk_score: int
    used: ModelUsed
    features: bytes
    contributions: np.ndarray
    by: LoadedModel
    ensemble: Ensemble | None = None


def asked(chosen: Chosen, features: np.ndarray, *, explain: bool = True) -> Answer:
    """Every chosen model's margins of float32[n, F]; the first that answers explains them, unless nobody asks for it. A
    failing one is named."""
    margins: dict[str, Sequence[float]] = {}
    explained_by, contributions = None, np.empty((len(features), 0), dtype="<f4")
    away = []
    for name, model in chosen.models:
        try:
            margins[name] = _margins(model, features)
            if explained_by is None and isinstance(model, LoadedModel):
                explained_by = model
                contributions = company.made(model.contributions_of, features) if explain else contributions
        except (ModelRefused, ModelFailed) as failure:
            log.error("model %s can't score: %s", name, failure)
            away.append(f"model:{name}")
    return Answer(margins, explained_by, contributions, tuple(away))


def _margins(model: Model, features: np.ndarray) -> Sequence[float]:
    """Raises `ModelRefused` for a model that was never loaded, `ModelFailed` for one that breaks."""
    if isinstance(model, ModelRefused):
        raise model
    return company.made(model.margins_of, features)


def scored_of(chosen: Chosen, answer: Answer, index: int, features: bytes) -> Scored | None:
    """One row of what the models said; None when none could."""
    by = answer.explained_by
    if by is None:
        return None
    if chosen.name == ENSEMBLE:
        return _together(chosen, answer, index, features)
    margin = answer.margins[by.name][index]
    probability, rank = by.probability(margin), by.risk_score(margin)
    return Scored(probability, rank, used_of(chosen, by), features, answer.contributions[index], by)


def probability_of(chosen: Chosen, answer: Answer, index: int) -> float | None:
    """One row's probability alone, the same that `scored_of` gives."""
    by = answer.explained_by
    if by is None:
        return None
    if chosen.name != ENSEMBLE:
        return by.probability(answer.margins[by.name][index])
    heard = [ensembles.heard(one.probability(said[index]), one.threshold) for one, said in heard_of(chosen, answer)]
    return ensembles.together(heard)[0]


def ensemble_of(chosen: Chosen, answer: Answer, index: int) -> Ensemble | None:
    """One row's votes, where all models were asked."""
    scored = _together(chosen, answer, index, b"") if chosen.name == ENSEMBLE else None
    return scored.ensemble if scored else None


def used_of(chosen: Chosen, by: LoadedModel) -> ModelUsed:
    """Whom a score is told to be of; `by` explains it."""
    if chosen.name == ENSEMBLE:
        return ModelUsed(ENSEMBLE, f"{by.name}@{by.version}", ENSEMBLE_THRESHOLD, by.card.reference_population)
    return ModelUsed(by.name, by.version, by.threshold, by.card.reference_population)


def heard_of(chosen: Chosen, answer: Answer) -> Iterator[tuple[LoadedModel, Sequence[float]]]:
    """The models that answered, each with its margins, in the order they were asked."""
    for name, model in chosen.models:
        if name in answer.margins and isinstance(model, LoadedModel):
            yield model, answer.margins[name]


def _together(chosen: Chosen, answer: Answer, index: int, features: bytes) -> Scored | None:
    """The ensemble's verdict on one row; its risk score is the mean of its models' ranks."""
    heard = {model.name: (model, margins[index]) for model, margins in heard_of(chosen, answer)}
    votes = [_vote(name, model, heard) for name, model in chosen.models]
    found = ensembles.verdict(votes)
    by = answer.explained_by
    if found is None or by is None:
        return None
    rank = round(sum(model.risk_score(margin) for model, margin in heard.values()) / len(heard))
    return Scored(
        found.probability, rank, used_of(chosen, by), features, answer.contributions[index], by, found.ensemble
    )


def _vote(name: str, model: Model, heard: Mapping[str, tuple[LoadedModel, float]]) -> Any:
    if name not in heard:
        return ensembles.vote(name, model.version if isinstance(model, LoadedModel) else "", None, 0.0)
    loaded, margin = heard[name]
    return ensembles.vote(name, loaded.version, loaded.probability(margin), loaded.threshold)
