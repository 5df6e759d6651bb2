"""One model of a recipe, fitted twice: on the earliest part to be measured, and on everything to be used."""

from typing import NamedTuple

import numpy as np

from apps.scoring.engine.models import Calibration
from apps.training.baselines import row_features
from apps.training.calibrate import platt
from apps.training.dataset import Dataset, joined, thinned
from apps.training.families import FAMILIES
from apps.training.families.fitted import SEED, Fitted, Laws, Say, Task
from apps.training.recipe import Plan, Prepared
from apps.training.split import weights


class TwiceFitted(NamedTuple):
    """`measured` saw the earliest part only, and its calibration serves both; `shipped` saw every row."""

    measured: Fitted
    shipped: Fitted
    calibration: Calibration


def once(prepared: Prepared, plan: Plan, say: Say) -> tuple[Fitted, Calibration]:
    """Fitted on the earliest part, stopped and calibrated on the held-out one. Raises `UnusableData` when the held-out
    part contradicts the fit."""
    held_out = _held_out(prepared, plan).without(masked_columns(prepared, plan))
    measured = _fitted(prepared, plan, prepared.split.fit, held_out, None, say)
    calibration = platt(measured.margins(held_out.features), held_out.label, held_out.weight)
    say(f"  trees {measured.rounds}, a={calibration.a:.3f} b={calibration.b:.3f}")
    return measured, calibration


def twice(prepared: Prepared, plan: Plan, say: Say) -> TwiceFitted:
    """Raises `UnusableData` when the held-out part contradicts the fit."""
    label = prepared.rows.label
    measured, calibration = once(prepared.measuring, plan, say)
    say(f"  once more, on all {len(label):,} rows")
    rounds = tuple(round(found * plan.settings.longer) for found in measured.rounds)
    shipped = _fitted(prepared, plan, np.ones(len(label), dtype=bool), None, rounds, say)
    return TwiceFitted(measured, shipped, calibration)


def masked_columns(prepared: Prepared, plan: Plan) -> list[int]:
    return [prepared.schema.feature_names.index(name) for name in plan.masked]


def _past_columns(prepared: Prepared) -> list[int]:
    """The features that look at the past."""
    row_alone = set(row_features(prepared))
    return [index for index, name in enumerate(prepared.schema.feature_names) if name not in row_alone]


def _held_out(prepared: Prepared, plan: Plan) -> Dataset:
    """The rows that stand for real traffic in the second part of the time, and what the recipe adds to them."""
    part = prepared.split.held_out
    features = prepared.material.measured if plan.on_measured else prepared.material.held_out
    block = Dataset(features[part], prepared.rows.label[part], weights(prepared.rows, part))
    block = block.where(block.weight > 0)
    if plan.on_measured:
        return joined(block, block.without(_past_columns(prepared)))
    if prepared.calibrated_on is None:
        return block
    return joined(block, prepared.calibrated_on.within(part, prepared.rows.label))


def _fitted(
    prepared: Prepared, plan: Plan, part: np.ndarray, held_out: Dataset | None, rounds: tuple[int, ...] | None, say: Say
) -> Fitted:
    features = prepared.material.measured if plan.on_measured else prepared.material.fitting
    rows = prepared.rows
    weight = prepared.recipe.fit_weight(rows.where(part))
    train = Dataset(features[part], rows.label[part], weight)
    if plan.on_measured:
        train = joined(train, train.without(_past_columns(prepared)))
    train = thinned(train.where(train.weight > 0), plan.settings.honest_kept, SEED)
    if prepared.added is not None and not plan.on_measured:
        train = joined(train, prepared.added.within(part, rows.label))
    train = train.without(masked_columns(prepared, plan))
    laws = Laws.of(prepared.schema)
    return FAMILIES[plan.family](Task(train, held_out, laws, rounds, say), plan.settings)
