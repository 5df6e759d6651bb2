"""How fraud probabilities are spread."""

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from apps.analytics import patterns
from apps.analytics.added_up import added_up
from apps.analytics.asked import Asked
from apps.scoring.folds import SCORE_MONTHS

LEVELS = ("low", "medium", "high", "critical")
QUANTILES = (0.5, 0.9, 0.95, 0.99)


class Level(msgspec.Struct, frozen=True):
    """Decisions at one level of risk, by the thresholds that held when they were made."""

    level: str
    decisions: int
    share: float | None


class Scores(msgspec.Struct, frozen=True):
    """Fraud probabilities, to within the percent they are counted by; null where nothing was scored."""

    decisions: int
    mean: float | None
    quantiles: Annotated[dict[str, float | None], Meta(description="The upper end of the percent it lies in.")]
    histogram: Annotated[list[int], Meta(description="100 counts: of 0 to below 1 %, of 1 to below 2 % …")]


class RiskDistribution(msgspec.Struct, frozen=True, kw_only=True):
    """Decisions by level, and by whole percent of fraud probability."""

    object: Literal["risk_distribution"] = "risk_distribution"
    livemode: bool
    schema: str | None
    start: str
    end: str
    decisions: int
    levels: list[Level]
    scores: Scores


def distribution(asked: Asked) -> RiskDistribution:
    """Levels and scores over the days."""
    counted = {word: count for _, word, count, *_ in patterns.words(asked, ("level",))}
    total = sum(counted.values())
    levels = [Level(one, counted.get(one, 0), _share(counted.get(one, 0), total)) for one in LEVELS]
    return RiskDistribution(
        livemode=asked.livemode, schema=asked.schema or None, start=str(asked.start), end=str(asked.end),
        decisions=total, levels=levels, scores=statistics(histogram(asked)),
    )  # fmt: skip


def histogram(asked: Asked) -> list[int]:
    """Decisions by whole percent of fraud probability: 100 numbers."""
    counted = dict(added_up(asked, SCORE_MONTHS, ("percent",)))
    return [counted.get(percent, 0) for percent in range(100)]


def statistics(counts: Sequence[int]) -> Scores:
    """Mean and quantiles of a histogram by percent."""
    total, reached, quantiles = sum(counts), 0, dict.fromkeys(map(str, QUANTILES), None) | {}
    found: dict[str, float | None] = dict(quantiles)
    for percent, count in enumerate(counts):
        reached += count
        for quantile in QUANTILES:
            if total and found[str(quantile)] is None and reached >= quantile * total:
                found[str(quantile)] = (percent + 1) / 100
    mean = sum((percent + 0.5) * count for percent, count in enumerate(counts)) / 100 / total if total else None
    return Scores(total, None if mean is None else round(mean, 4), found, list(counts))


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None
