"""What every family hands back, and what it is given."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import nan
from typing import Any, NamedTuple, Protocol

import numpy as np

from apps.scoring.engine.transaction import TransactionSchema
from apps.training.dataset import Dataset

SEED = 20_261_101
Say = Callable[[str], None]


@dataclass(frozen=True)
class Settings:
    """How a family is fitted. `params` are the library's own names."""

    params: Mapping[str, Any] = field(default_factory=dict)
    rounds: int = 150  # at most; early stopping takes fewer
    patience: int = 30  # rounds without a better held-out log-loss
    longer: float = 1.0  # trees of the fit on all rows, for each that the early stopping found: more rows bear more
    averaged: int = 1  # boosters with different seeds, their margins averaged
    honest_kept: float = 1.0  # share of the honest rows in the fit, each weighing for the others


class Laws(NamedTuple):
    """What every model of a schema is held to, per feature.

    `directions` int[F]: 1 when more of it may only raise the margin, -1 when more may only lower it, 0 when it is free.
    `unknown_as` float[F]: the value an unknown one is taken for, nan where the model learns for itself what that means.
    """

    directions: tuple[int, ...]
    unknown_as: tuple[float, ...]

    @classmethod
    def of(cls, schema: TransactionSchema) -> "Laws":
        """Raises KeyError for a law about a feature the schema does not have."""
        unheard = (schema.directions.keys() | schema.unknown_as.keys()) - set(schema.feature_names)
        if unheard:
            raise KeyError(f"'{schema.name}' has no feature {', '.join(sorted(unheard))}")
        return cls(
            tuple(schema.directions.get(name, 0) for name in schema.feature_names),
            tuple(schema.unknown_as.get(name, nan) for name in schema.feature_names),
        )

    @classmethod
    def none(cls, width: int) -> "Laws":
        return cls((0,) * width, (nan,) * width)

    def filled(self, features: np.ndarray) -> np.ndarray:
        """float32[n, F] with the unknown values of `unknown_as` put in."""
        fill = np.array(self.unknown_as, np.float32)
        return features if np.isnan(fill).all() else np.where(np.isnan(features), fill, features)


class Task(NamedTuple):
    """What to fit on and when to stop: at the best of `held_out`, or after as many `rounds` as an earlier fit took."""

    train: Dataset
    held_out: Dataset | None
    laws: Laws
    rounds: tuple[int, ...] | None
    say: Say


class Fitted(Protocol):
    """A fitted model in its library's form and in ours."""

    @property
    def rounds(self) -> tuple[int, ...]:
        """Trees of each booster: what a second fit is told."""
        ...

    @property
    def explanation(self) -> str:
        """The file that holds the arrays of its explanation."""
        ...

    @property
    def files(self) -> Mapping[str, bytes]:
        """The model in its library's own form, name → content, where that form is safe to load."""
        ...

    def margins(self, features: np.ndarray) -> np.ndarray:
        """float32[n, F] → float64[n], by the library itself."""
        ...

    def onnx(self, width: int) -> bytes:
        """The margin as ONNX: `features` float32[n, width] → `margin` float32[n, 1]."""
        ...

    def arrays(self, baseline: np.ndarray) -> dict[str, np.ndarray]:
        """What explains it against `baseline` float32[F]."""
        ...


Family = Callable[[Task, Settings], Fitted]


def spread(settings: Settings) -> Sequence[int]:
    """One seed a booster."""
    return range(SEED, SEED + settings.averaged)
