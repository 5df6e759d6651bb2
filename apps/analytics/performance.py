"""What models are worth: by labels where there are any, else what their scores look like; the answer says which."""

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Annotated, Literal, NamedTuple

import msgspec
import numpy as np
from msgspec import Meta

from apps.analytics import distribution, patterns, trends
from apps.analytics.added_up import added_up
from apps.analytics.asked import Asked, days_before
from apps.analytics.distribution import Scores
from apps.analytics.intervals import Interval, average_precision, bootstrap_precision, wilson
from apps.analytics.trends import Rate, rate
from apps.review.label_months import BINS, DELAY_MONTHS, LABEL_MONTHS, NO_SCORE

#: Labels of decisions so old are all there; by how long they took, those still to come are told.
RIPE_DAYS, LOOK_BACK_DAYS = 90, 365
#: Fewer ripe labels tell nothing about time.
FEWEST_RIPE = 30
NOTE_LABELS = (
    "By labelled decisions alone: where what was blocked is labelled less often than what was approved, they say too "
    "little of false alarms."
)
NOTE_SCORES = "Nothing of these days is labelled: these are statistics of scores, and say nothing of right and wrong."


class Measure(msgspec.Struct, frozen=True):
    """A figure and how sure it is; null where it can't be told."""

    value: float | None
    interval_95: Interval | None


class Money(msgspec.Struct, frozen=True):
    """Amounts of labelled decisions, in their own currencies."""

    saved: Annotated[float, Meta(description="Of frauds that were not approved.")]
    lost: Annotated[float, Meta(description="Of frauds that were approved: the amount lost, where it was told.")]
    false_alarms: Annotated[float, Meta(description="Of legitimate payments that were not approved.")]


class ByLabels(msgspec.Struct, frozen=True):
    """What labels say. A decision counts as caught when it was not approved."""

    labels: int
    frauds: int
    caught: int
    precision: Measure
    recall: Measure
    false_positive_rate: Measure
    average_precision: Annotated[Measure, Meta(description="Interval by a seeded bootstrap.")]
    money: Money


class ModelPerformance(msgspec.Struct, frozen=True):
    """One model's decisions. `by_labels` is null where none of them is labelled."""

    schema: str | None
    model: str
    decisions: int
    fraud: Annotated[int, Meta(description="At level high or critical.")]
    fraud_rate: Rate
    by_labels: ByLabels | None


class Labelled(msgspec.Struct, frozen=True):
    """How far labels have come."""

    labels: int
    frauds: int
    share: Annotated[float | None, Meta(description="Of the span's decisions.")]
    still_to_come: Annotated[
        float | None,
        Meta(
            description="Share of the span's labels that are expected later, by how long those of decisions older than "
            f"{RIPE_DAYS} days took; null while there are fewer than {FEWEST_RIPE} of them."
        ),
    ]


class Performance(msgspec.Struct, frozen=True, kw_only=True):
    """`basis` says what the figures are made of: labels, or scores alone."""

    object: Literal["model_performance"] = "model_performance"
    livemode: bool
    schema: str | None
    start: str
    end: str
    basis: Literal["labels", "scores"]
    note: str
    decisions: int
    labelled: Labelled
    overall: ByLabels | None
    models: list[ModelPerformance]
    scores: Scores


class _Row(NamedTuple):
    """Labels that share these."""

    schema: str
    model: str
    fraud: bool
    caught: bool
    bin: int
    labels: int
    amount: float
    lost: float


def performance(asked: Asked) -> Performance:
    """By labels where the span has any, and the statistics of its scores."""
    rows = [row for row in _labelled(asked) if asked.is_of(row.model)]
    decided = patterns.words(asked, ("level", "model"))
    total = sum(count for dimension, _, count, *_ in decided if dimension == "level")
    by_model = {word: (count, fraud) for dimension, word, count, fraud, *_ in decided if dimension == "model"}
    labels, frauds = (sum(row.labels for row in some) for some in (rows, [row for row in rows if row.fraud]))
    labelled = Labelled(labels, frauds, rate(labels, total), still_to_come(asked) if labels else None)
    names = sorted({*by_model, *(row.model for row in rows)} - {"@"})
    return Performance(
        livemode=asked.livemode,
        schema=asked.schema or None,
        start=str(asked.start),
        end=str(asked.end),
        basis="labels" if rows else "scores",
        note=NOTE_LABELS if rows else NOTE_SCORES,
        decisions=total,
        labelled=labelled,
        overall=_by_labels(rows),
        models=[_model(asked, name, by_model.get(name, (0, 0)), rows) for name in names if asked.is_of(name)],
        scores=distribution.statistics(distribution.histogram(asked)),
    )


def _labelled(asked: Asked) -> list[_Row]:
    return list(map(_Row._make, added_up(asked, LABEL_MONTHS, ("schema", *LABEL_MONTHS.keys))))


def _model(asked: Asked, name: str, decided: tuple[int, int], rows: Sequence[_Row]) -> ModelPerformance:
    mine = [row for row in rows if row.model == name]
    schemas = {row.schema for row in mine} or ({asked.schema} if asked.schema else set())
    schema = schemas.pop() if len(schemas) == 1 else None
    return ModelPerformance(schema, name, *decided, rate(decided[1], decided[0]), _by_labels(mine))


def _by_labels(rows: Sequence[_Row]) -> ByLabels | None:
    """The figures of labelled decisions; None of none."""
    if not rows:
        return None
    counts = {(fraud, caught): 0 for fraud in (True, False) for caught in (True, False)}
    for row in rows:
        counts[row.fraud, row.caught] += row.labels
    hits, missed, alarms, honest = (counts[key] for key in ((True, True), (True, False), (False, True), (False, False)))
    return ByLabels(
        labels=hits + missed + alarms + honest,
        frauds=hits + missed,
        caught=hits,
        precision=_share(hits, hits + alarms),
        recall=_share(hits, hits + missed),
        false_positive_rate=_share(alarms, alarms + honest),
        average_precision=_ranking(rows),
        money=Money(
            saved=round(sum(row.amount for row in rows if row.fraud and row.caught), 2),
            lost=round(sum(row.lost for row in rows if row.fraud and not row.caught), 2),
            false_alarms=round(sum(row.amount for row in rows if not row.fraud and row.caught), 2),
        ),
    )


def _share(part: int, whole: int) -> Measure:
    found = wilson(part, whole)
    return Measure(rate(part, whole), found and (round(found[0], 6), round(found[1], 6)))


def _ranking(rows: Sequence[_Row]) -> Measure:
    """Average precision of the scores, of which those in one bin count as equal; null without frauds or without
    legitimate ones."""
    counts = np.zeros((2, BINS), dtype=np.int64)
    for row in rows:
        if row.bin != NO_SCORE:
            counts[int(row.fraud), row.bin] += row.labels
    honest, frauds = counts
    interval = bootstrap_precision(frauds, honest)
    if interval is None:
        return Measure(None, None)
    value = float(average_precision(frauds, honest))
    return Measure(round(value, 4), (round(interval[0], 4), round(interval[1], 4)))


def still_to_come(asked: Asked) -> float | None:
    """1 - the mean, over the span's decisions, of the share of labels that are known at their age."""
    ripe_until = days_before(asked.end, RIPE_DAYS)
    ripe = asked._replace(start=days_before(ripe_until, LOOK_BACK_DAYS), end=ripe_until)
    took = dict(added_up(ripe, DELAY_MONTHS, ("days",)))
    decided: Counter[date] = Counter()
    for day, _, decisions, _ in trends.by_day(asked):
        decided[day] += decisions
    known, total = sum(took.values()), sum(decided.values())
    if known < FEWEST_RIPE or not total:
        return None
    reached = {age: sum(count for days, count in took.items() if days <= age) / known for age in range(RIPE_DAYS + 1)}
    ages = {day: min((asked.end - timedelta(days=1) - day).days, RIPE_DAYS) for day in decided}
    return round(1 - sum(count * reached[max(ages[day], 0)] for day, count in decided.items()) / total, 4)
