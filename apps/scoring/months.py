"""Whole months of what is counted by hour or day, added up once more: a year is read from twelve rows, not from 365.

    a month is over ─► `fold_closed` adds it up and marks it ─► reads take marked months whole, of all others the days
                            ▲                      │
                            └──────────────────────┴── whoever counts into it later takes its mark away (`changed`)

A mark and the rows it vouches for are written in one transaction, under the month's lock: exclusive for the fold,
shared for whoever takes the mark away, once it has counted. So a fold has seen all that was counted before it, and
nothing that is counted after leaves a mark standing. Rows without a mark are never read.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple

from django.db import connection, transaction

from apps import roll_ups
from apps.accounts.tenancy import in_tenant
from apps.periods import Period
from apps.roll_ups import Statement
from apps.scoring.models import FoldedMonth

#: A month is closed so long after its end: until then the recorder is still at it. What comes later has it folded
#: anew.
SETTLED = timedelta(minutes=10)
_LOCK = "SELECT pg_advisory_xact_lock(hashtext(current_schema()), hashtext(%s))"
_SHARED = "SELECT pg_advisory_xact_lock_shared(hashtext(%s), hashtext(name)) FROM unnest(%s::text[]) AS named(name)"

#: Days from the first to before the second.
Range = tuple[date, date]


class Fold(NamedTuple):
    """What is added up: `rows` (a table, or a query in parentheses) with their time in `at`, into `table`, whose day or
    month is `kept`; its keys beside mode and kind of transaction, and its sums: column → type."""

    subject: str
    rows: str
    at: str
    table: str
    kept: str
    keys: Sequence[str]
    sums: Mapping[str, str]

    def add_up(self, cursor: Any, month: Period) -> None:
        """Write the rows of a month anew; in its tenant's schema."""
        by_day = ("day",) if self.kept == "day" else ()
        grouped = ", ".join(("livemode", "schema", *by_day, *self.keys))
        kept = "" if by_day else ", %(first)s::date"
        columns = f"{grouped}{'' if by_day else ', month'}, {', '.join(self.sums)}"
        sums = ", ".join(f"sum({name})" for name in self.sums)
        said = {"first": month.start.date(), "start": self.moment(month.start), "end": self.moment(month.end)}
        said["after"] = month.end.date()
        cursor.execute(f"DELETE FROM {self.table} WHERE {self.kept} >= %(first)s AND {self.kept} < %(after)s", said)
        cursor.execute(
            f"INSERT INTO {self.table} ({columns}) SELECT {grouped}{kept}, {sums} FROM {self.rows} AS counted"
            f" WHERE livemode IN (true, false) AND {self.at} >= %(start)s AND {self.at} < %(end)s GROUP BY {grouped}",
            said,
        )

    def moment(self, midnight: datetime) -> date | datetime:
        """A midnight (UTC) as `at` is held against it."""
        return midnight.date() if self.at == "day" else midnight

    def bounds(self, ranges: Iterable[Range]) -> list[date | datetime]:
        """Ranges of days as `at` is held against them: one bound after the other."""
        return [self.moment(datetime.combine(day, time.min, UTC)) for pair in ranges for day in pair]


class Subject(NamedTuple):
    """What is folded and marked together: SQL for the first day there is, and what adds a month up."""

    name: str
    first: str
    steps: Sequence[Callable[[Any, Period], None]]


def changed(cursor: Any, tenant_schema: str, subject: str, months: Collection[Period]) -> None:
    """Take the marks of months away that were counted into in this transaction: after all that is counted in it."""
    roll_ups.send(cursor, marks_taken(tenant_schema, subject, months))


def marks_taken(tenant_schema: str, subject: str, months: Collection[Period]) -> list[Statement]:
    """What `changed` says to Postgres; nothing of no months."""
    if not months:
        return []
    table = f"{connection.ops.quote_name(tenant_schema)}.scoring_foldedmonth"
    locks, first_days = [_lock_of(subject, month) for month in sorted(months)], [month.start.date() for month in months]
    return [
        (_SHARED, [tenant_schema, locks]),
        (f"DELETE FROM {table} WHERE subject = %s AND month = ANY(%s)", [subject, first_days]),
    ]


def fold_closed(tenant_schema: str, subject: Subject, now: datetime) -> int:
    """Fold every closed month that has no mark; how many. Harmless when repeated."""
    with in_tenant(tenant_schema):
        waiting = _waiting(subject, Period.of(now - SETTLED))
        for month in waiting:
            fold(subject, month)
    return len(waiting)


def fold(subject: Subject, month: Period) -> None:
    """Add a month up and mark it; in its tenant's schema."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_LOCK, [_lock_of(subject.name, month)])
        for step in subject.steps:
            step(cursor, month)
        FoldedMonth.objects.get_or_create(subject=subject.name, month=month.start.date())


def folded(cursor: Any, subject: str, start: date, end: date) -> set[date]:
    """The first days of the months that are marked, of those that begin in a span; in their tenant's schema."""
    cursor.execute(
        "SELECT month FROM scoring_foldedmonth WHERE subject = %s AND month >= %s AND month < %s", [subject, start, end]
    )
    return {month for (month,) in cursor.fetchall()}


def apart(start: date, end: date, folded: Collection[date]) -> tuple[list[Range], list[Range]]:
    """Days from `start` to before `end` as folded months that lie within whole, and all others; in ranges. Pure."""
    whole: list[Range] = []
    rest: list[Range] = []
    day = start
    while day < end:
        is_last = Period.of(day) == Period.of(end)
        after = end if is_last else Period.of(day).end.date()
        _extend(whole if day in folded and not is_last else rest, (day, after))
        day = after
    return whole, rest


def _extend(ranges: list[Range], added: Range) -> None:
    """Put a range behind others, as one with the last where they touch."""
    if ranges and ranges[-1][1] == added[0]:
        ranges[-1] = (ranges[-1][0], added[1])
    else:
        ranges.append(added)


def _waiting(subject: Subject, current: Period) -> list[Period]:
    """The months before the current one that have no mark, from the first in which anything was counted."""
    with connection.cursor() as cursor:
        cursor.execute(subject.first)
        (first,) = cursor.fetchone()
    marks = FoldedMonth.objects.filter(subject=subject.name)
    marked = {Period.of(day) for day in marks.values_list("month", flat=True)}
    month, waiting = current if first is None else Period.of(first), []
    while month < current:
        waiting += [] if month in marked else [month]
        month = month.next()
    return waiting


def _lock_of(subject: str, month: Period) -> str:
    return f"{subject} of {month.start:%Y-%m}"
