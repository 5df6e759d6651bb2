"""Decisions added up by hour and by day: what charts are drawn from, however many there are.

Written in the transaction that inserts the decisions, from the rows that were really new: repeating a batch changes
nothing. `counting.py` says what is added up; one message a batch adds all sums. Months that are over are added up once
more (`folds.py`), without the recorder.
"""

from collections.abc import Callable, Mapping, Sequence
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
from apps.roll_ups import Added, RollUp, added
from apps.scoring import counting, heavy_hitters, months
from apps.scoring.counting import Columns, Sums
from apps.scoring.engine.models import ModelRefused, read_card
from apps.scoring.engine.reference import Reference, load_reference
from apps.scoring.models import OutcomeHour, PartyDay, ScoreDay
from apps.steps import step_of, whole_sum

STEPS = {"hour": timedelta(hours=1), "day": timedelta(days=1)}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: What their months are marked as.
DECISIONS = "decisions"
#: A batch apart by mode and kind of transaction.
Kinds = Sequence[tuple[bool, str, Columns]]


class BytesRollUp(NamedTuple):
    """A roll-up of one value in bytes: its table, the keys it is unique by → types, the value's column, sums beside it,
    and how two values become one."""

    table: str
    keys: Mapping[str, str]
    value: str
    sums: Mapping[str, str]
    merged: Callable[[bytes, bytes], bytes]

    def add(self, cursor: Any, tenant_schema: str, rows: Mapping[tuple[Any, ...], tuple[Any, ...]]) -> None:
        """Add (value, *sums) by key: whoever makes or finds a row holds it until the transaction ends."""
        if not rows:
            return
        table = f"{connection.ops.quote_name(tenant_schema)}.{self.table}"
        cursor.execute(
            self._statement(table),
            [list(column) for column in zip(*((*key, *row) for key, row in rows.items()), strict=True)],
        )
        found = [(row_id, tuple(key), bytes(kept)) for row_id, *key, kept, is_new in cursor.fetchall() if not is_new]
        if found:
            both = [self.merged(kept, rows[key][0]) for _, key, kept in found]
            cursor.execute(
                f"UPDATE {table} AS known SET {self.value} = added.value"
                " FROM unnest(%s::bigint[], %s::bytea[]) AS added(id, value) WHERE known.id = added.id",
                [[row_id for row_id, *_ in found], both],
            )

    def _statement(self, table: str) -> str:
        """Insert in the order of the keys, lest two writers lock both; what is there tells what it holds."""
        columns = {**self.keys, self.value: "bytea", **self.sums}
        arrays = ", ".join(f"%s::{of_type}[]" for of_type in columns.values())
        keys, first = ", ".join(self.keys), next(iter(self.keys))
        added = ", ".join(f"{name} = known.{name} + EXCLUDED.{name}" for name in self.sums)
        return (
            f"INSERT INTO {table} AS known ({', '.join(columns)})"
            f" SELECT * FROM unnest({arrays}) ORDER BY {', '.join(map(str, range(1, len(self.keys) + 1)))}"
            f" ON CONFLICT ({keys}) DO UPDATE SET {added or f'{first} = known.{first}'}"
            f" RETURNING id, {keys}, {self.value}, xmax = 0"
        )


def _both_sketches(kept: bytes, fresh: bytes) -> bytes:
    return heavy_hitters.pack(heavy_hitters.merged([heavy_hitters.unpack(kept), heavy_hitters.unpack(fresh)]))


def _both_histograms(kept: bytes, fresh: bytes) -> bytes:
    return (np.frombuffer(kept, "<i8") + np.frombuffer(fresh, "<i8")).astype("<i8").tobytes()


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
PARTIES = BytesRollUp("scoring_partyday", {**_OF_DAY, "field": "varchar"}, "sketch", {}, _both_sketches)
FEATURES = BytesRollUp(
    "scoring_featureday",
    {**_OF_DAY, "model": "varchar", "reference": "varchar"},
    "counts",
    {"decisions": "bigint"},
    _both_histograms,
)


class Counted(NamedTuple):
    """What decisions add to their tenant's roll-ups: rows of sums, and values in bytes by key; and to which months."""

    sums: Added
    parties: Mapping[tuple[Any, ...], tuple[bytes]]
    features: Mapping[tuple[Any, ...], tuple[bytes, int]]
    months: Sequence[Period]


def counted(columns: Columns) -> Counted:
    """Count decisions of one tenant, before any transaction: the recorder does it while another batch is written."""
    kinds = list(counting.by_kind(columns))
    sums = [one for roll_up, count, unit in ROLL_UPS for one in added(roll_up, _by_key(kinds, count, unit))]
    return Counted(sums, _parties(kinds), _features(kinds), _months(columns.created_us))


def _months(created_us: Sequence[int]) -> list[Period]:
    """The months of times: mostly one."""
    return sorted({Period.of(_day(number)) for number in {us // counting.DAY_US for us in created_us}})


def _by_key(kinds: Kinds, count: Callable[[Columns], Sums], unit: timedelta) -> Sums:
    """What is counted of all kinds, by the keys of its roll-up: with mode and kind, its hour or day told as a time."""
    return {
        (livemode, schema, EPOCH + key[0] * unit, *key[1:]): sums
        for livemode, schema, of_kind in kinds
        for key, sums in count(of_kind).items()
    }


def add(cursor: Any, tenant_schema: str, found: Counted) -> None:
    """Add decisions that were inserted in this transaction to all roll-ups of their tenant.

    The recorder and batches call it with the rows that were new. It asks once for all sums, once for all sketches, once
    for all histograms, and once more for those of them that were there.
    """
    roll_ups.add(cursor, connection.ops.quote_name(tenant_schema), found.sums)
    PARTIES.add(cursor, tenant_schema, found.parties)
    FEATURES.add(cursor, tenant_schema, found.features)
    months.changed(cursor, tenant_schema, DECISIONS, found.months)


def _parties(kinds: Kinds) -> dict[tuple[Any, ...], tuple[bytes]]:
    """The sketches of a batch, by their rows' keys."""
    return {
        (livemode, _day(day), schema, field): (heavy_hitters.pack(heavy_hitters.merged([sketch])),)
        for livemode, schema, of_kind in kinds
        for (day, field), sketch in counting.parties(of_kind).items()
    }


def forget_parties(tenant_schema: str, names: Sequence[str]) -> int:
    """Forget parties in every day's sketch; how many sketches named one. Harmless when repeated."""
    changed = 0
    with in_tenant(tenant_schema), transaction.atomic():
        for row in PartyDay.objects.select_for_update().order_by("day", "livemode", "schema", "field").iterator():
            sketch = heavy_hitters.unpack(bytes(row.sketch))
            if not sketch.counters.keys().isdisjoint(names):
                kept = heavy_hitters.pack(heavy_hitters.without(sketch, names))
                changed += PartyDay.objects.filter(pk=row.pk).update(sketch=kept)
    return changed


def _day(number: int) -> date:
    """A day by its number since 1970."""
    return EPOCH.date() + timedelta(days=number)


def _features(kinds: Kinds) -> dict[tuple[Any, ...], tuple[bytes, int]]:
    """The histograms of a batch's sampled features and scores, and how many were looked at, by their rows' keys; models
    without a reference have none."""
    found = {}
    for livemode, schema, columns in kinds:
        step = counting.sampled(len(columns.model)).step
        for (day, model), places in _sample(columns).items():
            reference = reference_of(schema, model)
            histograms = None if reference is None else _histograms(reference, columns, places)
            if reference is not None and histograms is not None:
                key = (livemode, _day(day), schema, model, reference.digest)
                found[key] = ((histograms * step).astype("<i8").tobytes(), len(places))
    return found


def _sample(columns: Columns) -> dict[tuple[int, str], list[int]]:
    """The rows that are looked at, by day and model."""
    rows: dict[tuple[int, str], list[int]] = {}
    for row in range(len(columns.model))[counting.sampled(len(columns.model))]:
        rows.setdefault((columns.created_us[row] // counting.DAY_US, columns.model[row]), []).append(row)
    return rows


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
