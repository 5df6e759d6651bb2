"""What differs from schema to schema in training: where the data come from, how rows become features, the settings."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from apps.scoring.engine.transaction import TransactionSchema
from apps.training import replay
from apps.training.data import Rows
from apps.training.dataset import Extra
from apps.training.families.fitted import Say, Settings
from apps.training.split import Split


class Material(NamedTuple):
    """The features float32[n, F] of a file's rows, as they are fitted on, stopped and calibrated by, and measured."""

    fitting: np.ndarray
    held_out: np.ndarray
    measured: np.ndarray


@dataclass(frozen=True)
class Plan:
    """One model: its family, how it is fitted, and what it must not see."""

    family: str
    settings: Settings
    masked: tuple[str, ...] = ()  # features unknown in the fit; a model without them must not depend on them
    on_measured: bool = False  # fit on the features and weights of the metrics, half of them as if no past were known
    active: bool = True


@dataclass(frozen=True)
class Baseline:
    """A simpler thing on the same rows: LightGBM as it comes, on some of the features, or a score of its own."""

    name: str
    features: Callable[["Prepared"], tuple[str, ...]] | None = None
    score: Callable[[TransactionSchema, Rows, np.ndarray, np.ndarray], np.ndarray] | None = None


class Source(NamedTuple):
    """One of several a schema's rows come from: its share of the weight, how much a fraud of it weighs beside an honest
    row, and what it teaches. The first is the one the metrics are measured on."""

    name: str
    share: float
    fraud_weight: float
    teaches: str


def replayed(schema: TransactionSchema, rows: Rows, random: np.random.Generator, say: Say) -> Material:
    """Histories replayed from the file, for every purpose."""
    features = replay.features(schema, rows, say)
    return Material(features, features, features)


def nothing_added(schema: TransactionSchema, rows: Rows, random: np.random.Generator) -> Extra | None:
    return None


def nothing_copied(
    schema: TransactionSchema, rows: Rows, material: Material, random: np.random.Generator
) -> Extra | None:
    return None


def as_measured(rows: Rows) -> np.ndarray:
    """Rows weigh in the fit what they weigh in the metrics."""
    return rows.weight


def median_honest(schema: TransactionSchema, rows: Rows, features: np.ndarray) -> np.ndarray:
    """float32[F]: each feature's median among honest rows, unknown where most don't know it. No row of the file."""
    honest = features[~rows.label & (rows.weight > 0)]
    ordered = np.sort(honest, axis=0)  # nan last
    return np.ascontiguousarray(ordered[(len(ordered) - 1) // 2])


def calendar(at_ms: float) -> str:
    return datetime.fromtimestamp(at_ms / 1000.0, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


@dataclass(frozen=True)
class Recipe:
    """How a schema's models are trained. `files` are the names the scorecard looks for."""

    title: str
    licence: str
    files: tuple[str, ...]
    plans: Mapping[str, Plan]  # by the model's name, the champion first
    baselines: tuple[Baseline, ...]
    notes: tuple[str, ...] = ()
    research_only: bool = False
    simulate: Callable[[], pd.DataFrame] | None = None  # where no file is needed
    compose: Callable[[TransactionSchema, Sequence[Path], Say], Rows] | None = None  # one log of several sources
    sources: tuple[Source, ...] = ()
    material: Callable[[TransactionSchema, Rows, np.random.Generator, Say], Material] = replayed
    added: Callable[[TransactionSchema, Rows, np.random.Generator], Extra | None] = nothing_added
    copied: Callable[[TransactionSchema, Rows, Material, np.random.Generator], Extra | None] = nothing_copied
    fit_weight: Callable[[Rows], np.ndarray] = as_measured
    typical: Callable[[TransactionSchema, Rows, np.ndarray], np.ndarray] = median_honest
    # The schema as it would be if only these rows were known, where its features know a table of the file's.
    as_of: Callable[[TransactionSchema, Rows], TransactionSchema] | None = None
    tick_ms: float = 1.0  # the log's own unit of time
    window_ms: float = 30 * 86_400_000.0  # what rolling origins leave out, and measure
    moment: Callable[[float], Any] = calendar
    made_up: Mapping[str, Any] = field(default_factory=dict)  # what is added to the fit, by kind
    sparse: Mapping[str, Sequence[str]] = field(default_factory=dict)  # requests of few fields: name → what they send
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)  # fields that are sent or left out together


class Prepared(NamedTuple):
    """Everything the models of one schema are made from; computed once a run."""

    schema: TransactionSchema
    recipe: Recipe
    rows: Rows
    split: Split
    material: Material
    added: Extra | None
    calibrated_on: Extra | None  # drawn apart from `added`, for stopping and calibration
    baseline: np.ndarray  # float32[F]
    files: tuple[dict[str, str], ...]
    earlier: "Prepared | None" = None  # the same with features that know the part that is fitted on, where that differs

    @property
    def measuring(self) -> "Prepared":
        """What a model is fitted and measured on that must know nothing of what comes after its fit."""
        return self.earlier or self
