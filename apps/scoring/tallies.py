"""Decisions added up by hour and by day: what charts are drawn from, however many there are.

Written in the transaction that inserts the decisions, from the rows that were really new: repeating a batch changes
nothing. `counting.py` says what is added up; one statement a roll-up and batch adds it.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Sum
from django.db.models.functions import TruncDay, TruncHour

from apps.accounts.tenancy import in_tenant
from apps.scoring import counting, heavy_hitters
from apps.scoring.counting import Columns
from apps.scoring.engine.models import ModelRefused, read_card
from apps.scoring.engine.reference import Reference, load_reference
from apps.scoring.heavy_hitters import Sketch
from apps.scoring.models import OutcomeHour, PartyDay, ScoreDay

TRUNCATED = {"hour": TruncHour, "day": TruncDay}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class RollUp(NamedTuple):
    """A roll-up's table, what its rows are keyed by beside mode and kind, and its sums: column → type."""

    table: str
    keys: Mapping[str, str]
    sums: Mapping[str, str]

    def statement(self, tenant_schema: str) -> str:
        """Add rows, of arrays a column, to those there are: in the order of their keys, lest two writers lock both."""
        columns = {"livemode": "boolean", "schema": "varchar", **self.keys, **self.sums}
        unique = ["livemode", *list(self.keys)[:1], "schema", *list(self.keys)[1:]]
        arrays = ", ".join(f"%s::{of_type}[]" for of_type in columns.values())
        added = ", ".join(f"{name} = known.{name} + EXCLUDED.{name}" for name in self.sums)
        return (
            f"INSERT INTO {connection.ops.quote_name(tenant_schema)}.{self.table} AS known ({', '.join(columns)})"
            f" SELECT * FROM unnest({arrays}) ORDER BY {', '.join(map(str, range(1, len(self.keys) + 3)))}"
            f" ON CONFLICT ({', '.join(unique)}) DO UPDATE SET {added}"
        )


_DAY = {"day": "date"}
_COUNTED = {"decisions": "bigint", "fraud": "bigint"}
_AMOUNTS = {"amount": "float8", "fraud_amount": "float8"}
OUTCOMES = RollUp("scoring_outcomehour", {"hour": "timestamptz", "recommended_action": "varchar"}, _COUNTED)
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


def add(cursor: Any, tenant_schema: str, columns: Columns) -> None:
    """Add decisions that were inserted in this transaction to all roll-ups of their tenant.

    The recorder and batches call it with the rows that were new; n decisions cost about 5 µs each.
    """
    kinds = list(counting.by_kind(columns))
    for roll_up, count, unit in ROLL_UPS:
        rows = [
            (livemode, schema, EPOCH + key[0] * unit, *key[1:], *sums)
            for livemode, schema, of_kind in kinds
            for key, sums in count(of_kind).items()
        ]
        if rows:
            cursor.execute(roll_up.statement(tenant_schema), [list(column) for column in zip(*rows, strict=True)])
    for livemode, schema, of_kind in kinds:
        for (day, field), sketch in sorted(counting.parties(of_kind).items()):
            _add_parties(cursor, tenant_schema, [_day(day), livemode, schema, field], sketch)
        _add_features(cursor, tenant_schema, livemode, schema, of_kind)


def _add_parties(cursor: Any, tenant_schema: str, key: list[Any], sketch: Sketch) -> None:
    """Add to a day's sketch: whoever makes or finds its row holds it until the transaction ends."""
    table = f"{connection.ops.quote_name(tenant_schema)}.scoring_partyday"
    fresh = heavy_hitters.pack(heavy_hitters.merged([sketch]))
    cursor.execute(
        f"INSERT INTO {table} AS known (day, livemode, schema, field, sketch) VALUES (%s, %s, %s, %s, %s)"
        " ON CONFLICT (livemode, day, schema, field) DO UPDATE SET day = known.day"
        " RETURNING id, sketch, xmax = 0",
        [*key, fresh],
    )
    row_id, kept, is_new = cursor.fetchone()
    if not is_new:
        both = heavy_hitters.merged([heavy_hitters.unpack(bytes(kept)), sketch])
        cursor.execute(f"UPDATE {table} SET sketch = %s WHERE id = %s", [heavy_hitters.pack(both), row_id])


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


def _add_features(cursor: Any, tenant_schema: str, livemode: bool, schema: str, columns: Columns) -> None:
    """Add a sample's features and scores to their day's histograms, by model; models without a reference have none."""
    chosen = counting.sampled(len(columns.model))
    rows: dict[tuple[int, str], list[int]] = {}
    for row in range(len(columns.model))[chosen]:
        rows.setdefault((columns.created_us[row] // counting.DAY_US, columns.model[row]), []).append(row)
    for (day, model), places in sorted(rows.items()):
        reference = reference_of(schema, model)
        if reference is not None:
            counted = _counted(reference, columns, places)
            if counted is not None:
                key = [_day(day), livemode, schema, model, reference.digest]
                _add_histograms(cursor, tenant_schema, key, counted * chosen.step, len(places))


def _counted(reference: Reference, columns: Columns, rows: Sequence[int]) -> np.ndarray | None:
    """int64[F + 1, bins]; of vectors of another length, of an older form of the kind, nothing."""
    width = len(reference.histograms) - 1
    mine = [row for row in rows if len(columns.features[row]) == 4 * width]
    if not mine:
        return None
    features = np.frombuffer(b"".join([columns.features[row] for row in mine]), "<f4").reshape(-1, width)
    scores = np.array([columns.fraud_probability[row] for row in mine], dtype=np.float64)  # None is nan
    return reference.counted(features, scores)


def _add_histograms(cursor: Any, tenant_schema: str, key: list[Any], counted: np.ndarray, decisions: int) -> None:
    """Add to a row of bytes: whoever makes or finds it holds it until the transaction ends."""
    table = f"{connection.ops.quote_name(tenant_schema)}.scoring_featureday"
    unique = "day, livemode, schema, model, reference"
    cursor.execute(
        f"INSERT INTO {table} AS known ({unique}, counts, decisions) VALUES (%s, %s, %s, %s, %s, %s, %s)"
        " ON CONFLICT (livemode, day, schema, model, reference)"
        " DO UPDATE SET decisions = known.decisions + EXCLUDED.decisions RETURNING id, counts, xmax = 0",
        [*key, counted.astype("<i8").tobytes(), decisions],
    )
    row_id, before, is_new = cursor.fetchone()
    if not is_new:
        sums = np.frombuffer(before, "<i8") + counted.ravel()
        cursor.execute(f"UPDATE {table} SET counts = %s WHERE id = %s", [sums.astype("<i8").tobytes(), row_id])


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
    with in_tenant(tenant_schema):
        hours = OutcomeHour.objects.filter(livemode=livemode, hour__gte=start, hour__lt=end)
        moments = hours.annotate(moment=TRUNCATED[by]("hour", tzinfo=UTC)).values_list("moment", "recommended_action")
        rows = moments.annotate(Sum("decisions"), Sum("fraud")).order_by("moment", "recommended_action")
        return list(map(Outcomes._make, rows))


def scores(tenant_schema: str, livemode: bool, start: date, schema: str | None = None) -> list[int]:
    """Decisions since `start` by whole percent of fraud probability: 100 numbers."""
    with in_tenant(tenant_schema):
        days = ScoreDay.objects.filter(livemode=livemode, day__gte=start, **({"schema": schema} if schema else {}))
        counted = dict(days.values_list("percent").annotate(Sum("decisions")))
    return [counted.get(percent, 0) for percent in range(100)]
