"""How far features and scores are from the data a model was made from, by kind and model, and since when."""

from collections.abc import Mapping, Sequence
from datetime import date
from functools import reduce
from operator import itemgetter, or_
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import numpy as np
from django.db.models import Model, Q
from msgspec import Meta

from apps.analytics.asked import Asked, days_before
from apps.analytics.replica import reading_in
from apps.scoring import months
from apps.scoring.engine.reference import BINS, DRIFTED, SCORE, UNKNOWN, WATCHED, Reference, by_chance, psi
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.models import FeatureDay, FeatureMonth
from apps.scoring.months import Range
from apps.scoring.tallies import DECISIONS, reference_of

#: How far back "since when" is looked for day by day, and how many decisions make a day of which that can be said.
LOOK_BACK_DAYS, FEWEST_A_DAY = 60, 50
#: Fewer decisions are no distribution.
FEWEST = 100
#: An index is taken for more than chance from so many times what chance gives.
BEYOND_CHANCE = 3.0
Status = Literal["stable", "watch", "drifted", "unknown"]


class Bin(msgspec.Struct, frozen=True):
    """Values up to and including `upto`, null for all above the last bound."""

    upto: float | None
    reference: float
    share: float


class Drifting(msgspec.Struct, frozen=True):
    """A feature, or the score: the share of decisions in each tenth of the reference, and their distance."""

    name: str
    psi: Annotated[float, Meta(description="Population stability index; below 0.1 stable, from 0.25 drifted.")]
    by_chance: Annotated[float, Meta(description="What it comes to for so many decisions of the reference itself.")]
    status: Annotated[Status, Meta(description="unknown: too few decisions to say.")]
    since: Annotated[
        str | None,
        Meta(
            description="The first day of an unbroken run of days that are not stable; of those more than "
            f"{LOOK_BACK_DAYS} days before the end the first of its month."
        ),
    ]
    unknown: Annotated[float, Meta(description="Share of decisions of which it was not known.")]
    unknown_reference: float
    bins: list[Bin]


class ModelDrift(msgspec.Struct, frozen=True):
    """One model's decisions against its reference, the farthest features first."""

    schema: str
    model: str
    decisions: Annotated[int, Meta(description="That were looked at: of many, a sample.")]
    status: Annotated[Status, Meta(description="The worst of score and features.")]
    reference: Annotated[str, Meta(description="Who the reference is.")]
    reference_rows: int
    score: Drifting
    features: list[Drifting]


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """Models with a reference that decided in these days."""

    object: Literal["drift"] = "drift"
    livemode: bool
    schema: str | None
    start: str
    end: str
    data: list[ModelDrift]


class _Day(NamedTuple):
    """A day, or a folded month by its first one."""

    day: date
    counts: np.ndarray  # int64[F + 1, BINS + 1]
    decisions: int


def drift(asked: Asked) -> Drift:
    """Every model's drift over the days, the last ones being looked at for "since"."""
    data = [
        _of_model(asked, schema, model, reference, days)
        for (schema, model), (reference, days) in sorted(_days(asked).items())
        if any(day.day >= asked.start for day in days)
    ]
    return Drift(
        livemode=asked.livemode, schema=asked.schema or None, start=str(asked.start), end=str(asked.end), data=data
    )


def _days(asked: Asked) -> Mapping[tuple[str, str], tuple[Reference, list[_Day]]]:
    """By schema and model: its reference, and what was counted in that reference's bins, the oldest first."""
    days: dict[tuple[str, str], tuple[Reference, list[_Day]]] = {}
    for schema, model, digest, day, counts, decisions in _rows(asked):
        reference = reference_of(schema, model) if asked.is_of(model) else None
        if reference is not None and reference.digest == digest:
            shaped = np.frombuffer(counts, "<i8").reshape(-1, BINS + 1)
            days.setdefault((schema, model), (reference, []))[1].append(_Day(day, shaped, decisions))
    return days


def _rows(asked: Asked) -> list[tuple[Any, ...]]:
    """Histograms of the last days, and of the folded months before them."""
    look_back = days_before(asked.end, LOOK_BACK_DAYS)
    start = min(asked.start, look_back)
    with reading_in(asked.tenant_schema) as connection, connection.cursor() as cursor:
        folded = months.folded(cursor, DECISIONS, start, look_back)
        whole, rest = months.apart(start, look_back, folded)
        found = [
            *_within(asked, FeatureMonth, "month", whole),
            *_within(asked, FeatureDay, "day", [*rest, (look_back, asked.end)]),
        ]
    return sorted(found, key=itemgetter(3))


def _within(asked: Asked, model: type[Model], column: str, ranges: Sequence[Range]) -> list[tuple[Any, ...]]:
    """A table's rows of ranges of days."""
    if not ranges:
        return []
    days = reduce(or_, (Q(**{f"{column}__gte": first, f"{column}__lt": after}) for first, after in ranges))
    of = {"livemode": asked.livemode} | ({"schema": asked.schema} if asked.schema else {})
    rows = model._default_manager.filter(days, **of)
    return list(rows.values_list("schema", "model", "reference", column, "counts", "decisions"))


def _of_model(asked: Asked, schema: str, model: str, reference: Reference, days: Sequence[_Day]) -> ModelDrift:
    span = [day for day in days if asked.start <= day.day]
    counts, decisions = np.sum([day.counts for day in span], axis=0), sum(day.decisions for day in span)
    since = _since(reference, days)
    names = (*SCHEMAS[schema].feature_names, SCORE)
    found = zip(names, psi(reference.shares, counts), by_chance(reference.shares, decisions), since, strict=True)
    rows = [_drifting(reference, place, counts[place], decisions, *one) for place, one in enumerate(found)]
    *features, score = rows
    return ModelDrift(
        schema, model, decisions, max((row.status for row in rows), key=ORDER.index), reference.population,
        reference.rows, score, sorted(features, key=lambda row: (-row.psi, row.name)),
    )  # fmt: skip


ORDER: tuple[Status, ...] = ("unknown", "stable", "watch", "drifted")


def _drifting(
    reference: Reference, place: int, counts: np.ndarray, decisions: int, name: str, index: float, chance: float,
    since: date | None,
) -> Drifting:  # fmt: skip
    status = status_of(index, chance, decisions)
    shares, bounds = counts / max(counts.sum(), 1), reference.histograms[place].bounds
    expected = reference.histograms[place].shares
    bins = [Bin(bound, expected[n], round(float(shares[n]), 6)) for n, bound in enumerate((*bounds, None))]
    return Drifting(
        name=name,
        psi=round(float(index), 4),
        by_chance=round(float(chance), 4),
        status=status,
        since=str(since) if since and status in ("watch", "drifted") else None,
        unknown=round(float(shares[UNKNOWN]), 6),
        unknown_reference=expected[UNKNOWN],
        bins=bins,
    )


def status_of(index: float, chance: float, decisions: int) -> Status:
    """What an index says, for so many decisions."""
    if decisions < FEWEST:
        return "unknown"
    if index < WATCHED or index < BEYOND_CHANCE * chance:
        return "stable"
    return "drifted" if index >= DRIFTED else "watch"


def _since(reference: Reference, days: Sequence[_Day]) -> list[date | None]:
    """Per feature and score the first day of the last unbroken run of days, and of months, that are not stable."""
    told = [day for day in days if day.decisions >= FEWEST_A_DAY]
    since: list[date | None] = [None] * len(reference.histograms)
    if not told:
        return since
    found = psi(reference.shares, np.stack([day.counts for day in told]))
    chance = by_chance(reference.shares, np.array([day.decisions for day in told])[:, None])
    moved = (found >= WATCHED) & (found >= BEYOND_CHANCE * chance)
    for place in range(len(since)):
        for day, is_moved in zip(reversed(told), moved[::-1, place], strict=True):
            if not is_moved:
                break
            since[place] = day.day
    return since
