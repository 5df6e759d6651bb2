"""The quality of transactions by day: added up as they come, and read against the seven days before."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple

from django.db import connection, transaction
from prometheus_client import Counter as Metric

from apps.accounts.tenancy import POSTGRES_AWAY, in_tenant
from apps.ingest.models import FieldDay, QualityDay
from apps.ingest.quality import CHECKS, LEAST_VALUES, Finding
from apps.scoring.serving.ids import text_hash

#: Days a share is held against.
BEFORE = timedelta(days=7)
#: Days of one answer.
MOST_DAYS = 92
ALL, REFUSED = "", "refused"
UNCOUNTED = Metric("palisade_quality_uncounted_total", "Transactions whose quality was not counted: Postgres was away")

_ADD = """
INSERT INTO ingest_qualityday AS known (day, livemode, schema, check_name, field, transactions)
SELECT %s, %s, %s, * FROM unnest(%s::varchar[], %s::varchar[], %s::bigint[]) AS counted
ON CONFLICT (livemode, day, schema, check_name, field) DO UPDATE
SET transactions = known.transactions + EXCLUDED.transactions
"""
_ADD_FIELDS = """
INSERT INTO ingest_fieldday AS known (day, livemode, schema, field, first_value, sent, others)
SELECT %s, %s, %s, * FROM unnest(%s::varchar[], %s::varchar[], %s::bigint[], %s::bigint[]) AS counted
ON CONFLICT (livemode, day, schema, field) DO UPDATE
SET sent = known.sent + EXCLUDED.sent,
    others = known.others + EXCLUDED.others + CASE WHEN known.first_value = EXCLUDED.first_value THEN 0 ELSE 1 END
"""


class Checked(NamedTuple):
    """One transaction: what was found, the values that may be constant, whether it was refused."""

    findings: Sequence[Finding]
    values: Mapping[str, Any]
    refused: bool = False


class CheckDay(NamedTuple):
    """What a check found at a field on a day: transactions, their share, and the share of the seven days before (None
    when nothing came then)."""

    check: str
    field: str
    transactions: int
    share: float
    share_before: float | None


class Day(NamedTuple):
    """A day's transactions of one kind, with what was found, the largest share first."""

    day: date
    schema: str
    transactions: int
    refused: int
    checks: list[CheckDay]


def add(tenant_schema: str, livemode: bool, day: date, schema: str, rows: Sequence[Checked]) -> None:
    """Count a request's transactions: two statements, however many. While Postgres is away they are not counted."""
    counts = _counted(rows)
    fields = sorted(_fields(rows).items())
    try:
        with in_tenant(tenant_schema), transaction.atomic(), connection.cursor() as cursor:
            checks, named, transactions = zip(*[(*key, counts[key]) for key in sorted(counts)], strict=True)
            key: list[Any] = [day, livemode, schema]
            cursor.execute(_ADD, [*key, list(checks), list(named), list(transactions)])
            if fields:
                first, sent, others = zip(*[values for _, values in fields], strict=True)
                names = [name for name, _ in fields]
                cursor.execute(_ADD_FIELDS, [*key, names, list(first), list(sent), list(others)])
    except POSTGRES_AWAY:
        UNCOUNTED.inc(len(rows))


def days(tenant_schema: str, livemode: bool, start: date, end: date, schema: str | None = None) -> list[Day]:
    """The days in [start, end) on which transactions came, the newest first, each held against the seven before."""
    of = {"livemode": livemode, "day__gte": start - BEFORE, "day__lt": end, **({"schema": schema} if schema else {})}
    with in_tenant(tenant_schema):
        rows = QualityDay.objects.filter(**of).values_list("schema", "day", "check_name", "field", "transactions")
        counted: dict[tuple[str, date], dict[tuple[str, str], int]] = {}
        for name, day, check, field, transactions in rows:
            counted.setdefault((name, day), {})[check, field] = transactions
        for name, day, field, sent in _constant(of):
            counted.setdefault((name, day), {})["constant_field", field] = sent
    shown = [key for key in counted if key[1] >= start]
    return [_day(counted, *key) for key in sorted(shown, key=lambda key: (key[1], key[0]), reverse=True)]


def _counted(rows: Iterable[Checked]) -> Counter[tuple[str, str]]:
    """(check, field) → transactions; each counts once for a check and field."""
    counts: Counter[tuple[str, str]] = Counter()
    for row in rows:
        counts[ALL, ""] += 1
        counts[REFUSED, ""] += row.refused
        counts.update({(finding.check, finding.field) for finding in row.findings})
    return +counts


def _fields(rows: Iterable[Checked]) -> dict[str, tuple[str, int, int]]:
    """Field → (hash of its first value, values sent, values that differ from it)."""
    first: dict[str, Any] = {}
    sent: Counter[str] = Counter()
    others: Counter[str] = Counter()
    for row in rows:
        for name, value in row.values.items():
            first.setdefault(name, value)
            sent[name] += 1
            others[name] += value != first[name]
    return {name: (text_hash(str(value)), sent[name], others[name]) for name, value in first.items()}


def _constant(of: Mapping[str, Any]) -> Iterable[tuple[str, date, str, int]]:
    rows = FieldDay.objects.filter(**of, others=0, sent__gte=LEAST_VALUES)
    return rows.values_list("schema", "day", "field", "sent")


def _day(counted: Mapping[tuple[str, date], Mapping[tuple[str, str], int]], schema: str, day: date) -> Day:
    own = counted[schema, day]
    past = [counted.get((schema, day - timedelta(days=back)), {}) for back in range(1, BEFORE.days + 1)]
    total, total_before = own.get((ALL, ""), 0), sum(one.get((ALL, ""), 0) for one in past)
    named = {key for one in (own, *past) for key in one if key[0] in CHECKS}
    checks = [
        CheckDay(
            check,
            field,
            own.get((check, field), 0),
            own.get((check, field), 0) / total if total else 0.0,
            sum(one.get((check, field), 0) for one in past) / total_before if total_before else None,
        )
        for check, field in sorted(named)
    ]
    checks.sort(key=lambda one: -one.share)
    return Day(day, schema, total, own.get((REFUSED, ""), 0), checks)
