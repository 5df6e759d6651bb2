"""A tenant's own requests for decisions, by minute and by answer time: read from its usage events, a day at a time.

Nothing is added to the recorder's work. A day that is over is read once and kept (`MeasuredDay`); when more of it was
recorded since, as the roll-up by day tells, it is read again. One request is one however many rows it brought: its
events share key and time. Batches are not among them, their worker asks nobody; nor are test keys.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

import numpy as np
from django.db import connection
from django.db.models import F, QuerySet, Sum

from apps.sla.intervals import moment_of, second_of
from apps.sla.latency import STEPS
from apps.sla.measure import MINUTE, Requests
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


@dataclass
class Asked:
    """Requests of a span: answered by minute since 1970, and by step of `latency`."""

    answered: Counter[int] = field(default_factory=Counter)
    latencies: Counter[int] = field(default_factory=Counter)

    def add(self, other: "Asked") -> None:
        self.answered.update(other.answered)
        self.latencies.update(other.latencies)


def asked_between(tenant_id: int, start: datetime, end: datetime) -> Asked:
    """A tenant's requests of [start, end), to the minute: from days that were kept, the others from its events."""
    found = Asked()
    recorded = _recorded(tenant_id, start, end)
    kept = {row.day: row for row in _kept(tenant_id, recorded)}
    current = [row for day, row in kept.items() if row.decisions == recorded[day]]
    for row in current:
        found.add(_of_row(row))
    for asked in _of_events(tenant_id, recorded.keys() - {row.day for row in current}).values():
        found.add(asked)
    first, last = second_of(start) // MINUTE, second_of(end - timedelta(microseconds=1)) // MINUTE
    found.answered = Counter({minute: count for minute, count in found.answered.items() if first <= minute <= last})
    return found


def requests_of(asked: Asked, tenant_id: int, start: datetime, end: datetime) -> dict[int, Requests]:
    """Answered and failed requests by minute since 1970."""
    alike = {count: Requests(count) for count in set(asked.answered.values())}  # a month has 43,200 minutes
    found = {minute: alike[count] for minute, count in asked.answered.items()}
    for minute, failed in failed_minutes(tenant_id, start, end).items():
        found[minute] = Requests(asked.answered[minute], failed)
    return found


def failed_minutes(tenant_id: int, start: datetime, end: datetime) -> dict[int, int]:
    """Failed requests by minute since 1970."""
    rows = FailedMinute.objects.filter(tenant_id=tenant_id, minute__gte=start, minute__lt=end)
    pairs = rows.annotate(failed=F("counted") + F("direct")).values_list("minute", "failed")
    return {second_of(minute) // MINUTE: failed for minute, failed in pairs}


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
    asked = _of_events(tenant_id, [day]).get(day, Asked())
    minutes = np.zeros(MINUTES_A_DAY, dtype="<u4")
    for minute, count in asked.answered.items():
        minutes[minute % MINUTES_A_DAY] = count
    MeasuredDay.objects.update_or_create(
        tenant_id=tenant_id,
        day=day,
        defaults={"decisions": decisions, "minutes": minutes.tobytes(), "latencies": dict(asked.latencies)},
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


def _of_row(row: MeasuredDay) -> Asked:
    first = second_of(_midnight(row.day)) // MINUTE
    minutes = np.frombuffer(bytes(row.minutes), dtype="<u4")
    places = np.flatnonzero(minutes)
    answered = dict(zip((first + places).tolist(), minutes[places].tolist(), strict=True))
    latencies: Mapping[str, int] = row.latencies
    return Asked(Counter(answered), Counter({int(step): count for step, count in latencies.items()}))


def _of_events(tenant_id: int, days: Collection[date]) -> dict[date, Asked]:
    """Some days' requests, from the events from the first of them to the last."""
    found = {day: Asked() for day in days}
    if not found:
        return found
    with connection.cursor() as cursor:
        cursor.execute(_READ, [tenant_id, _midnight(min(days)), _midnight(max(days)) + DAY, BATCHES])
        for minute, step, count in cursor.fetchall():
            if asked := found.get(moment_of(minute * MINUTE).date()):
                asked.answered[minute] += count
                asked.latencies[step] += count
    return found


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
