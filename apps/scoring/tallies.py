"""Decisions added up by hour and by day: what charts are drawn from, however many there are.

Written in the transaction that inserts the decisions, from the rows that were really new: repeating a batch changes
nothing. `counting.py` says what is added up; two messages a batch add it. Months that are over are added up once
more (`folds.py`), without the recorder.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Sum

from apps import roll_ups
from apps.accounts.tenancy import in_tenant
from apps.periods import Period
from apps.roll_ups import Added, BytesRollUp, RollUp, added
from apps.scoring import counting, heavy_hitters, months
from apps.scoring.counting import Columns, Grouped, Sums
from apps.scoring.engine.models import ModelRefused, read_card
from apps.scoring.engine.reference import Reference, load_reference
from apps.scoring.heavy_hitters import Sketch
from apps.scoring.models import OutcomeHour, PartyDay, ScoreDay
from apps.steps import step_of, whole_sum

STEPS = {"hour": timedelta(hours=1), "day": timedelta(days=1)}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: What their months are marked as.
DECISIONS = "decisions"


def _with_sketch(held: bytes, fresh: Sketch) -> bytes:
    return heavy_hitters.pack(heavy_hitters.merged([heavy_hitters.unpack(held), fresh]))


def _histograms_packed(fresh: np.ndarray) -> bytes:
    return fresh.astype("<i8").tobytes()


def _with_histograms(held: bytes, fresh: np.ndarray) -> bytes:
    return _histograms_packed(np.frombuffer(held, "<i8") + fresh.ravel())


_KIND = {"livemode": "boolean", "schema": "varchar"}
_DAY = {**_KIND, "day": "date"}
_COUNTED = {"decisions": "bigint", "fraud": "bigint"}
_AMOUNTS = {"amount": "float8", "fraud_amount": "float8"}
OUTCOMES = RollUp("scoring_outcomehour", {**_KIND, "hour": "timestamptz", "recommended_action": "varchar"}, _COUNTED)
SCORES = RollUp("scoring_scoreday", {**_DAY, "percent": "smallint"}, {"decisions": "bigint"})
PATTERNS = RollUp("scoring_patternday", {**_DAY, "dimension": "varchar", "word": "varchar"}, {**_COUNTED, **_AMOUNTS})
RULES = RollUp("scoring_ruleday", {**_DAY, "rule": "varchar", "other": "varchar"}, {**_COUNTED, "decided": "bigint"})
#: Every roll-up of sums, how it is counted, and the unit of the time its key begins with.
ROLL_UPS = (
    (OUTCOMES, counting.outcomes, timedelta(hours=1)),
    (SCORES, counting.scores, timedelta(days=1)),
    (PATTERNS, counting.patterns, timedelta(days=1)),
    (RULES, counting.rules, timedelta(days=1)),
)
_OF_DAY = {"livemode": "boolean", "day": "date", "schema": "varchar"}
PARTIES = BytesRollUp(
    "scoring_partyday", {**_OF_DAY, "field": "varchar"}, "sketch", {}, heavy_hitters.pack, _with_sketch
)
FEATURES = BytesRollUp(
    "scoring_featureday",
    {**_OF_DAY, "model": "varchar", "reference": "varchar"},
    "counts",
    {"decisions": "bigint"},
    _histograms_packed,
    _with_histograms,
)


class Counted(NamedTuple):
    """What decisions add to their tenant's roll-ups: rows of sums, sketches and histograms by key; to which months."""

    sums: Added
    parties: Mapping[tuple[Any, ...], tuple[Sketch]]
    features: Mapping[tuple[Any, ...], tuple[np.ndarray, int]]
    months: Sequence[Period]


def counted(columns: Columns) -> Counted:
    """Count decisions of one tenant, before any transaction: the recorder does it while another batch is written."""
    grouped = counting.grouped(columns)
    sums = [one for roll_up, count, unit in ROLL_UPS for one in added(roll_up, _timed(count(grouped), unit))]
    return Counted(sums, _parties(grouped), _features(grouped), _months(grouped))


def _months(grouped: Grouped) -> list[Period]:
    """The months of times: mostly one."""
    return sorted({Period.of(_day(kind.day)) for kind in grouped.kinds})


def _timed(sums: Sums, unit: timedelta) -> Sums:
    """The same, the hour or day that is each key's third told as a time instead of its number since 1970."""
    times = {number: EPOCH + number * unit for number in {key[2] for key in sums}}
    return {(*key[:2], times[key[2]], *key[3:]): row for key, row in sums.items()}


def add(cursor: Any, tenant_schema: str, found: Counted) -> None:
    """Add decisions that were inserted in this transaction to all roll-ups of their tenant.

    The recorder and batches call it with the rows that were new. Two messages: all sums, and what is there of sketches
    and histograms; then these with what is added, and the marks of months that were counted into.
    """
    schema = connection.ops.quote_name(tenant_schema)
    in_bytes = [(roll_up, rows) for roll_up, rows in ((PARTIES, found.parties), (FEATURES, found.features)) if rows]
    sums = roll_ups.statements(schema, found.sums)
    roll_ups.send(cursor, [*sums, *(roll_up.insert(schema, rows) for roll_up, rows in in_bytes)])
    told = list(_results(cursor, len(sums), len(in_bytes)))
    updates = [
        one
        for (roll_up, rows), there in zip(in_bytes, told, strict=True)
        for one in roll_up.update(schema, rows, there)
    ]
    roll_ups.send(cursor, [*updates, *months.marks_taken(tenant_schema, DECISIONS, found.months)])


def _results(cursor: Any, skipped: int, count: int) -> Iterator[Sequence[tuple[Any, ...]]]:
    """So many results of a message, behind those that tell nothing."""
    for number in range(skipped + count):
        if number >= skipped:
            yield cursor.fetchall()
        cursor.nextset()


def _parties(grouped: Grouped) -> dict[tuple[Any, ...], tuple[Sketch]]:
    """The sketches of a batch, by their rows' keys."""
    return {
        (livemode, _day(day), schema, field): (sketch,)
        for (livemode, schema, day, field), sketch in counting.parties(grouped).items()
    }


def forget_parties(tenant_schema: str, names: Sequence[str]) -> int:
    """Forget parties in every day's sketch; how many sketches named one. Harmless when repeated."""
    changed = 0
    with in_tenant(tenant_schema), transaction.atomic():
        for row in PartyDay.objects.select_for_update().order_by(*PARTIES.keys).iterator():
            sketch = heavy_hitters.unpack(bytes(row.sketch))
            if not sketch.counters.keys().isdisjoint(names):
                kept = heavy_hitters.pack(heavy_hitters.without(sketch, names))
                changed += PartyDay.objects.filter(pk=row.pk).update(sketch=kept)
    return changed


def _day(number: int) -> date:
    """A day by its number since 1970."""
    return EPOCH.date() + timedelta(days=number)


def _features(grouped: Grouped) -> dict[tuple[Any, ...], tuple[np.ndarray, int]]:
    """The histograms of a batch's sampled features and scores, and how many were looked at, by their rows' keys; models
    without a reference have none."""
    found = {}
    for (livemode, schema, day, model), (step, rows) in counting.sample(grouped).items():
        reference = reference_of(schema, model)
        histograms = None if reference is None else _histograms(reference, grouped.columns, rows)
        if reference is not None and histograms is not None:
            found[livemode, _day(day), schema, model, reference.digest] = (histograms * step, len(rows))
    return found


def _histograms(reference: Reference, columns: Columns, rows: Sequence[int]) -> np.ndarray | None:
    """int64[F + 1, bins]; of vectors of another length, of an older form of the kind, nothing."""
    width = len(reference.histograms) - 1
    mine = [row for row in rows if len(columns.features[row]) == 4 * width]
    if not mine:
        return None
    features = np.frombuffer(b"".join([columns.features[row] for row in mine]), "<f4").reshape(-1, width)
    scores = np.array([columns.fraud_probability[row] for row in mine], dtype=np.float64)  # None is nan
    return reference.counted(features, scores)


@lru_cache(maxsize=256)
def reference_of(schema: str, model: str) -> Reference | None:
    """The reference of name@version; None for a model without one, and for what is no single model."""
    name, _, version = model.partition("@")
    directory = settings.ARTIFACTS_DIR / schema / name / version
    if not (name and version and directory.is_dir()):
        return None
    try:
        return load_reference(directory, read_card(directory))
    except ModelRefused:
        return None


class Outcomes(NamedTuple):
    """Decisions of one hour or day with one recommendation."""

    moment: datetime
    action: str
    decisions: int
    fraud: int


def outcomes(
    tenant_schema: str, livemode: bool, start: datetime, end: datetime, by: Literal["hour", "day"] = "hour"
) -> list[Outcomes]:
    """The hours or days (UTC) in [start, end) on which anything was decided, the oldest first."""
    step = STEPS[by]
    with in_tenant(tenant_schema):
        hours = OutcomeHour.objects.filter(livemode=livemode, hour__gte=start, hour__lt=end)
        places = hours.annotate(place=step_of("hour", step, EPOCH)).values_list("place", "recommended_action")
        rows = places.annotate(all=whole_sum("decisions"), found=whole_sum("fraud"))
        rows = rows.order_by("place", "recommended_action")
        return [Outcomes(EPOCH + place * step, *told) for place, *told in rows]


def scores(tenant_schema: str, livemode: bool, start: date, schema: str | None = None) -> list[int]:
    """Decisions since `start` by whole percent of fraud probability: 100 numbers."""
    with in_tenant(tenant_schema):
        days = ScoreDay.objects.filter(livemode=livemode, day__gte=start, **({"schema": schema} if schema else {}))
        counted = dict(days.values_list("percent").annotate(Sum("decisions")))
    return [counted.get(percent, 0) for percent in range(100)]
