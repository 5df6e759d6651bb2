"""Do the books agree? Per tenant and day: journaled = recorded = rolled up = invoiced, once the month is closed; per
month: the gate's counter = units.

The unique usage event in Postgres is the truth. Where Valkey's counter differs (a process died between admission and
journal) it is set right; where events and decisions differ nothing is set right, somebody must look.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import NamedTuple

from django.db.models import Count, Q, Sum
from django.db.models.functions import TruncDate

from apps.accounts.models import Tenant
from apps.api_keys.gate import Names
from apps.api_keys.keys import bucket_of
from apps.billing.invoices import invoiced_by_day
from apps.billing.models import Closing
from apps.billing.periods import Period
from apps.usage.closing import LATE_MONTHS
from apps.usage.journal import STREAMS, Journal, decode
from apps.usage.models import UsageDay, UsageEvent, UsageHour

#: Requests in flight have reserved units and journaled nothing yet: a difference counts when it stands this long.
SETTLE_SECONDS = 0.5

#: Decisions stored per day in a tenant's schema; handed in, because decisions are above this room.
DecisionsByDay = Callable[[Tenant, date, date], Mapping[date, int]]


class Difference(NamedTuple):
    """Two books that don't agree."""

    tenant: str
    day: str
    what: str
    expected: int
    found: int
    corrected: bool = False


class Day(NamedTuple):
    """One day's events of one tenant as Postgres has them."""

    events: int = 0
    direct: int = 0
    units: int = 0


def reconcile(
    journal: Journal, tenants: Iterable[Tenant], start: date, end: date, decisions: DecisionsByDay
) -> list[Difference]:
    """Every difference of a month's days [start, end); the gate's counters are set right on the way."""
    return [
        difference
        for tenant in tenants
        for difference in (
            *_days(journal, tenant, start, end, decisions),
            *_counter(journal, tenant, start, end),
            *_invoiced(tenant, start, end),
        )
    ]


def _invoiced(tenant: Tenant, start: date, end: date) -> list[Difference]:
    """A closed month's units by day against those on invoices. What came after the close waits for the next invoice:
    that is told and no fault, until the months in which it could be billed are closed too."""
    period = Period.of(start)
    closed = Closing.objects.filter(tenant=tenant, period=str(period)).exclude(invoice__status="void")
    if not closed.exists():
        return []
    used = UsageDay.objects.filter(tenant_id=tenant.pk, livemode=True, day__gte=start, day__lt=end)
    known = {str(row["day"]): row["paid"] for row in used.values("day").annotate(paid=Sum("units"))}
    billed = invoiced_by_day(tenant.pk, period)
    last_chance = str(period.later(LATE_MONTHS))
    waits = not Closing.objects.filter(tenant=tenant, period=last_chance).exists()
    return [
        Difference(tenant.slug, day, "units invoiced", known.get(day, 0), billed.get(day, 0), waits and more)
        for day in sorted({*known, *billed})
        if (more := known.get(day, 0) > billed.get(day, 0)) or known.get(day, 0) != billed.get(day, 0)
    ]


def _days(journal: Journal, tenant: Tenant, start: date, end: date, decisions: DecisionsByDay) -> list[Difference]:
    waiting = _waiting(journal, tenant)
    events, stored = _events(tenant, start, end), decisions(tenant, start, end)
    days, hours = (
        _rolled_up(UsageDay, "day", tenant, start, end),
        _rolled_up(UsageHour, "hour__date", tenant, start, end),
    )
    journaled = _journaled(journal, tenant, start)
    found = []
    for day in sorted({*events, *stored, *days, *journaled}):
        have = events.get(day, Day())
        pairs = [
            ("decisions recorded", have.events, stored.get(day, 0)),
            ("decisions rolled up by day", have.events, days.get(day, (0, 0))[0]),
            ("units rolled up by day", have.units, days.get(day, (0, 0))[1]),
            ("units rolled up by hour", have.units, hours.get(day, (0, 0))[1]),
        ]
        found += [Difference(tenant.slug, str(day), *pair) for pair in pairs if pair[1] != pair[2]]
        said, recorded = journaled.get(day, 0), have.events + waiting.get(day, (0, 0))[0]
        # what was written past the journal while Valkey was away may also have reached it
        if not said <= recorded <= said + have.direct:
            found.append(Difference(tenant.slug, str(day), "entries journaled", said, recorded))
    return found


def _counter(journal: Journal, tenant: Tenant, start: date, end: date) -> list[Difference]:
    """The gate's counter of the month against the units recorded and on their way."""
    drift, expected = _drift(journal, tenant, start, end)
    if drift:
        time.sleep(SETTLE_SECONDS)
        again, expected = _drift(journal, tenant, start, end)
        drift = 0 if (drift > 0) != (again > 0) else min(drift, again, key=abs)
    if not drift:
        return []
    journal.valkey.command("DECRBY", _quota(tenant, start), drift)
    return [Difference(tenant.slug, f"{start:%Y-%m}", "units counted by the gate", expected, expected + drift, True)]


def _drift(journal: Journal, tenant: Tenant, start: date, end: date) -> tuple[int, int]:
    counter = journal.valkey.command("GET", _quota(tenant, start))
    waiting = sum(units for _, units in _waiting(journal, tenant).values())
    recorded = sum(day.units for day in _events(tenant, start, end).values())
    expected = recorded + waiting
    return (0 if counter is None else int(counter) - expected), expected


def _quota(tenant: Tenant, start: date) -> str:
    return Names(tenant.handle, True).quota(f"{start:%Y%m}")


def _events(tenant: Tenant, start: date, end: date) -> dict[date, Day]:
    rows = UsageEvent.objects.filter(tenant_id=tenant.pk, occurred_at__date__gte=start, occurred_at__date__lt=end)
    days = rows.annotate(day=TruncDate("occurred_at")).values("day")
    counted = days.annotate(all=Count("id"), past_journal=Count("id", filter=Q(direct=True)), paid=Sum("units"))
    return {row["day"]: Day(row["all"], row["past_journal"], row["paid"]) for row in counted}


def _rolled_up(
    model: type[UsageDay] | type[UsageHour], column: str, tenant: Tenant, start: date, end: date
) -> dict[date, tuple[int, int]]:
    rows = model.objects.filter(tenant_id=tenant.pk, **{f"{column}__gte": start, f"{column}__lt": end})
    sums = rows.values(column).annotate(all=Sum("decisions"), paid=Sum("units"))
    return {row[column]: (row["all"], row["paid"]) for row in sums}


def _journaled(journal: Journal, tenant: Tenant, start: date) -> dict[date, int]:
    """Entries journaled per day of the month, live and test together."""
    answer = journal.valkey.command("HGETALL", Names(tenant.handle, True).journaled(f"{start:%Y%m}"))
    pairs = zip(answer[::2], answer[1::2], strict=True)
    return {start.replace(day=int(day)): int(count) for day, count in pairs}


def _waiting(journal: Journal, tenant: Tenant) -> dict[date, tuple[int, int]]:
    """(entries, units) per day still in the journal."""
    found: dict[date, tuple[int, int]] = {}
    for _, fields in journal.valkey.command("XRANGE", STREAMS[bucket_of(tenant.handle)], "-", "+"):
        event = decode(fields[1]).event
        if event.tenant_id == tenant.pk:
            day = event.day()
            entries, units = found.get(day, (0, 0))
            found[day] = (entries + 1, units + event.units)
    return found
