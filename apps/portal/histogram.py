"""A tenant's scores drawn as a histogram, with thresholds over it. Pure; moved in the browser by static/policy.js."""

from collections.abc import Mapping, Sequence
from math import log1p
from typing import NamedTuple

#: Of the drawing, in its own units; thresholds stand above the bars.
WIDTH, HEIGHT, TOP = 600, 170, 26


class Bar(NamedTuple):
    """The decisions of one whole percent."""

    x: float
    y: float
    width: float
    height: float
    percent: int
    decisions: int


class Line(NamedTuple):
    """A threshold."""

    name: str
    x: float


class Histogram(NamedTuple):
    """What parts/histogram.html draws. Heights are logarithmic: most payments are honest, and the rest counts."""

    bars: list[Bar]
    lines: list[Line]
    counts: list[int]
    total: int
    width: int = WIDTH
    height: int = HEIGHT
    top: int = TOP


def histogram(counts: Sequence[int], thresholds: Mapping[str, float]) -> Histogram:
    """`counts`: decisions by whole percent; `thresholds`: name → probability."""
    step, most = WIDTH / len(counts), log1p(max(counts, default=0)) or 1.0
    bars = []
    for percent, decisions in enumerate(counts):
        if decisions:
            height = round(max((HEIGHT - TOP) * log1p(decisions) / most, 2), 1)
            bars.append(Bar(round(percent * step, 1), HEIGHT - height, step - 1, height, percent, decisions))
    lines = [Line(name, round(WIDTH * min(max(value, 0), 1), 1)) for name, value in thresholds.items()]
    return Histogram(bars, lines, list(counts), sum(counts))
