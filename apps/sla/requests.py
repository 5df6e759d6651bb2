"""A tenant's own requests for decisions, by minute and by answer time: read from its usage events, a day at a time.

Nothing is added to the recorder's work. A day that is over is read once and kept (`MeasuredDay`); when more of it was
recorded since, as the roll-up by day tells, it is read again. One request is one however many rows it brought: its
events share key and time. Batches are not among them, their worker asks nobody; nor are test keys.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

import numpy as np
from django.db import connection
from django.db.models import F, QuerySet, Sum

from apps.sla.intervals import moment_of, second_of
from apps.sla.latency import STEPS
from apps.sla.measure import MINUTE, Numbers, Requests
from apps.sla.models import FailedMinute, MeasuredDay
from apps.usage.metering.events import BATCHES
from apps.usage.models import UsageDay

DAY = timedelta(days=1)
MINUTES_A_DAY = 1_440
_READ = f"""
WITH asked AS (
    SELECT occurred_at, max(latency_us) AS us FROM public.usage_usageevent
    WHERE tenant_id = %s AND occurred_at >= %s AND occurred_at < %s AND livemode AND endpoint <> %s
    GROUP BY key_id, occurred_at
)
SELECT extract(epoch FROM occurred_at)::bigint / {MINUTE} AS minute,
       floor({STEPS} * ln(greatest(us, 1)::float8) / ln(2::float8))::int AS step, count(*)
FROM asked GROUP BY 1, 2
"""


class Asked(NamedTuple):
    """Requests of a span that were answered: of each minute, the `first` since 1970 and those after it, and by step of
    `latency`."""

    first: int
    answered: Numbers
    latencies: Counter[int]


class _Day(NamedTuple):
    """The same of a day: its minutes, its latencies."""

    minutes: Numbers
    latencies: Counter[int]


def asked_between(tenant_id: int, start: datetime, end: datetime) -> Asked:
    """A tenant's requests of [start, end), to the minute, latencies to the day: from days that were kept, the others
    from its events."""
    recorded = _recorded(tenant_id, start, end)
    kept = {row.day: row for row in _kept(tenant_id, recorded)}
    days = {day: _of_row(row) for day, row in kept.items() if row.decisions == recorded[day]}
    days |= _of_events(tenant_id, recorded.keys() - days.keys())
    first, last = minute_of(start), minute_of(end - timedelta(microseconds=1))
    midnight = minute_of(_midnight(start.date()))
    answered = np.zeros(max(last + MINUTES_A_DAY - midnight, 0) // MINUTES_A_DAY * MINUTES_A_DAY, np.int64)
    latencies: Counter[int] = Counter()
    for day, asked in days.items():
        place = minute_of(_midnight(day)) - midnight
        answered[place : place + MINUTES_A_DAY] = asked.minutes
        latencies.update(asked.latencies)
    return Asked(first, answered[first - midnight : last + 1 - midnight], latencies)


def requests_of(asked: Asked, tenant_id: int, start: datetime, end: datetime) -> Requests:
    """Answered and failed requests by minute since 1970."""
    failed = np.zeros_like(asked.answered)
    for minute, count in failed_minutes(tenant_id, start, end).items():
        failed[minute - asked.first] = count
    places = (asked.answered + failed).nonzero()[0]
    return Requests(asked.first + places, asked.answered[places], failed[places])


def failed_minutes(tenant_id: int, start: datetime, end: datetime) -> dict[int, int]:
    """Failed requests by minute since 1970."""
    rows = FailedMinute.objects.filter(tenant_id=tenant_id, minute__gte=start, minute__lt=end)
    pairs = rows.annotate(failed=F("counted") + F("direct")).values_list("minute", "failed")
    return {minute_of(minute): failed for minute, failed in pairs}


def keep_days(days: Sequence[date]) -> int:
    """Read and keep the days of all tenants that are not kept, or have grown since; how many."""
    rows = _live().filter(day__in=days).values_list("tenant_id", "day").annotate(Sum("decisions")).order_by()
    kept = {
        (tenant_id, day): decisions
        for tenant_id, day, decisions in MeasuredDay.objects.filter(day__in=days).values_list(
            "tenant_id", "day", "decisions"
        )
    }
    behind = [row for row in rows.iterator() if kept.get(row[:2]) != row[2]]
    for tenant_id, day, decisions in behind:
        _keep(tenant_id, day, decisions)
    return len(behind)


def forget_days(before: date) -> None:
    """Forget what no month that may still be corrected is computed from."""
    MeasuredDay.objects.filter(day__lt=before).delete()
    FailedMinute.objects.filter(minute__lt=_midnight(before)).delete()


def _keep(tenant_id: int, day: date, decisions: int) -> None:
    asked = _of_events(tenant_id, [day])[day]
    MeasuredDay.objects.update_or_create(
        tenant_id=tenant_id,
        day=day,
        defaults={
            "decisions": decisions,
            "minutes": asked.minutes.astype("<u4").tobytes(),
            "latencies": dict(asked.latencies),
        },
    )


def _live() -> QuerySet[UsageDay]:
    return UsageDay.objects.filter(livemode=True).exclude(endpoint=BATCHES)


def _recorded(tenant_id: int, start: datetime, end: datetime) -> dict[date, int]:
    """Decisions recorded of each day with any."""
    last = (end - timedelta(microseconds=1)).date()
    days = _live().filter(tenant_id=tenant_id, day__gte=start.date(), day__lte=last)
    return dict(days.values_list("day").annotate(Sum("decisions")).order_by())


def _kept(tenant_id: int, days: Iterable[date]) -> Iterator[MeasuredDay]:
    return MeasuredDay.objects.filter(tenant_id=tenant_id, day__in=list(days)).iterator()


def _of_row(row: MeasuredDay) -> _Day:
    latencies: Mapping[str, int] = row.latencies
    minutes = np.frombuffer(bytes(row.minutes), dtype="<u4").astype(np.int64)
    return _Day(minutes, Counter({int(step): count for step, count in latencies.items()}))


def _of_events(tenant_id: int, days: Collection[date]) -> dict[date, _Day]:
    """Some days' requests, from the events from the first of them to the last."""
    found = {day: _Day(np.zeros(MINUTES_A_DAY, np.int64), Counter()) for day in days}
    if not found:
        return found
    with connection.cursor() as cursor:
        cursor.execute(_READ, [tenant_id, _midnight(min(days)), _midnight(max(days)) + DAY, BATCHES])
        for minute, step, count in cursor.fetchall():
            if asked := found.get(moment_of(minute * MINUTE).date()):
                asked.minutes[minute % MINUTES_A_DAY] += count
                asked.latencies[step] += count
    return found


def minute_of(moment: datetime) -> int:
    """The minute a time is in, since 1970."""
    return second_of(moment) // MINUTE


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
