"""Sums over a span of days: whole months where they are folded, and the days of all others."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from apps.analytics.asked import Asked
from apps.analytics.replica import reading_in
from apps.scoring import months
from apps.scoring.months import Fold, Range


def added_up(
    asked: Asked, fold: Fold, by: Sequence[str], only: Mapping[str, Sequence[str]] | None = None
) -> list[tuple[Any, ...]]:
    """The values of `by`, then each sum of the fold, over the span; `only`: rows in which a column has one of these."""
    wanted = {**(only or {}), **({"schema": [asked.schema]} if asked.schema else {})}
    with reading_in(asked.tenant_schema) as connection, connection.cursor() as cursor:
        whole, rest = months.apart(asked.start, asked.end, months.folded(cursor, fold.subject, asked.start, asked.end))
        parts = [
            _part(asked, rows, at, bounds, (*by, *fold.sums), wanted)
            for rows, at, bounds in ((fold.table, fold.kept, _flat(whole)), (fold.rows, fold.at, fold.bounds(rest)))
            if bounds
        ]
        if not parts:
            return []
        sums = ", ".join(f"sum({name})::{of_type}" for name, of_type in fold.sums.items())
        added = " UNION ALL ".join(statement for statement, _ in parts)
        grouped = ", ".join(by)
        cursor.execute(
            f"SELECT {grouped}, {sums} FROM ({added}) AS added GROUP BY {grouped}",
            [value for _, values in parts for value in values],
        )
        return list(cursor.fetchall())


def _part(
    asked: Asked, rows: str, at: str, bounds: Sequence[Any], columns: Sequence[str], wanted: Mapping[str, Sequence[str]]
) -> tuple[str, list[Any]]:
    """A query of what lies within pairs of bounds, and its values."""
    within = " OR ".join([f"({at} >= %s AND {at} < %s)"] * (len(bounds) // 2))
    words = "".join(f" AND {column} = ANY(%s)" for column in wanted)
    statement = f"SELECT {', '.join(columns)} FROM {rows} AS counted WHERE livemode = %s AND ({within}){words}"
    return statement, [asked.livemode, *bounds, *map(list, wanted.values())]


def _flat(ranges: Sequence[Range]) -> list[date]:
    return [day for pair in ranges for day in pair]
