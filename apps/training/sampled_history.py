"""Drawn histories for training rows.

The training file is a sample: all frauds are in it and about one honest transaction in three hundred, so the histories
that can be counted in it are far thinner than those of live traffic, and thinner for honest rows than for frauds.
Learning from them would teach the sampling. So a training row draws its history at random, the same for both labels:
unknown, fresh, or as busy as live parties are. Only one thing is taught on purpose and mildly: bursts of one origin,
most of them honest.
"""

from types import SimpleNamespace

import numpy as np

from apps.scoring.engine.windows import Activity

FIELDS = Activity.__struct_fields__
UNKNOWN_SHARE = 0.45  # rows without names, or with history unavailable
QUIET_SHARE = 0.25


def origin(count: int, random: np.random.Generator) -> SimpleNamespace:
    """Mostly unknown or fresh; else a handful of transactions in the week."""
    return _mixed(count, random, typical_week=3.0)


def destination(count: int, random: np.random.Generator) -> SimpleNamespace:
    """Unknown, fresh, or anything up to a busy collecting account."""
    return _mixed(count, random, typical_week=25.0)


def burst(count: int, random: np.random.Generator) -> SimpleNamespace:
    """An origin with 6 to 256 transactions in the last hour."""
    return _past(np.exp(random.uniform(np.log(6), np.log(256), count)).round(), random, within_hour=0.9)


def _mixed(count: int, random: np.random.Generator, typical_week: float) -> SimpleNamespace:
    share = random.random(count)
    week = np.minimum(random.gamma(0.6, typical_week / 0.6, count).round(), 256.0)
    past = _past(np.where(share < UNKNOWN_SHARE + QUIET_SHARE, 0.0, week), random, within_hour=0.05)
    for name in FIELDS:
        getattr(past, name)[share < UNKNOWN_SHARE] = np.nan
    return past


def _past(week: np.ndarray, random: np.random.Generator, within_hour: float) -> SimpleNamespace:
    """Consistent counts, sums, counterparties and age for `week` events in the last 7 days."""
    events = week.astype(int)
    day = random.binomial(events, np.maximum(random.uniform(0, 0.6, len(week)), within_hour)).astype(float)
    hour = random.binomial(day.astype(int), within_hour).astype(float)
    each = np.exp(random.normal(11.0, 1.5, len(week))).round(2)
    since = np.where(
        hour > 0, 0.0, np.where(day > 0, random.integers(1, 24, len(week)), random.integers(24, 168, len(week)))
    )
    spans = {"1h": hour, "24h": day, "7d": week}
    return SimpleNamespace(
        count_1h=hour, count_24h=day, count_7d=week.astype(float),
        sum_1h=hour * each, sum_24h=day * each, sum_7d=week * each,
        distinct_1h=_distinct(hour, random), distinct_24h=_distinct(day, random), distinct_7d=_distinct(week, random),
        since_last=np.where(week > 0, since * 3600.0, np.nan),
        **{f"max_{window}": np.where(events > 0, each, np.nan) for window, events in spans.items()},
    )  # fmt: skip


def _distinct(events: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return np.ceil(events * random.uniform(0.1, 1.0, len(events)))
