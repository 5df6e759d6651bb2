"""Do the books agree? Per tenant and day: served = journaled = recorded = rolled up = invoiced, once the month is
closed; per month: the gate's counter = units.

    served       decisions in the tenant's history, and those on their way there
    journaled    entries Valkey counted when it took them; what was written past it while it was away is `direct`, and
                 batches' chunks never go through it
    recorded     usage events, and those on their way: the truth that is invoiced
    rolled up    the roll-ups by day and by hour
    invoiced     units by day on invoices, late ones included

Where Valkey's counter differs (a process died between admission and journal) it is set right; where anything else
differs nothing is set right, somebody must look. Traffic may go on meanwhile: Postgres is read as of one moment, and
what was journaled is read before and after.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import NamedTuple

from django.db import connection, transaction
from django.db.models import Count, Q, Sum
from django.db.models.functions import TruncDate

from apps.accounts.models import Tenant
from apps.api_keys.gate import Names
from apps.api_keys.keys import bucket_of
from apps.billing.invoicing.invoices import invoiced_by_day
from apps.billing.models import Closing
from apps.periods import Period
from apps.usage.admission.reservations import reserved
from apps.usage.closing.closing import LATE_MONTHS
from apps.usage.metering import events
from apps.usage.metering.journal import STREAMS, Journal, decode
from apps.usage.models import UsageDay, UsageEvent, UsageHour

#: A request that has reserved units has journaled them after so long, or given them back.
SETTLE_SECONDS = 1.0
#: Tenants whose counters are waited for together.
TOGETHER = 100
#: So long after a month's last entry Valkey forgets how many it took (append.lua).
JOURNALED_KEPT = timedelta(days=62)

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


class BookedDay(NamedTuple):
    """A tenant's day in every book: decisions, then units. None: Valkey keeps it no longer, or not closed yet."""

    tenant: str
    day: str
    served: int
    journaled: int | None
    recorded: int
    rolled_up: int
    units_recorded: int
    units_rolled_up: int
    units_invoiced: int | None
    direct: int = 0
    waiting: int = 0


class Books(NamedTuple):
    """A tenant's month: its days, and what differs."""

    days: list[BookedDay]
    differences: list[Difference]


class Sums(NamedTuple):
    """Events of one day, or what a roll-up says of them."""

    events: int = 0
    units: int = 0
    direct: int = 0
    of_batches: int = 0


class Seen(NamedTuple):
    """The books of a tenant's month by day. `journaled`: before and after the others were read."""

    journaled: tuple[Mapping[date, int], Mapping[date, int]]
    waiting: Mapping[date, Sums]
    events: Mapping[date, Sums]
    stored: Mapping[date, int]
    days: Mapping[date, Sums]
    hours: Mapping[date, Sums]
    invoiced: Mapping[date, int] | None

    def all_days(self) -> list[date]:
        found = (self.events, self.stored, self.days, self.hours, self.waiting, self.journaled[1], self.invoiced or ())
        return sorted({day for one in found for day in one})


def reconcile(
    journal: Journal, tenants: Iterable[Tenant], start: date, end: date, decisions: DecisionsByDay, *, today: date
) -> Iterator[Books]:
    """The books of a month's days [start, end) of each tenant; the gate's counters are set right on the way."""
    waiting = iter(tenants)
    while some := list(islice(waiting, TOGETHER)):
        books = [_books(tenant, _look(journal, tenant, start, end, decisions), start, today) for tenant in some]
        counters = _counters(journal, some, start, end)
        for tenant, (days, differing) in zip(some, books, strict=True):
            yield Books(days, differing + counters.get(tenant.pk, []))


def _books(tenant: Tenant, seen: Seen, start: date, today: date) -> Books:
    days = seen.all_days()
    forgotten = not seen.journaled[1] and bool(days) and days[-1] + JOURNALED_KEPT <= today
    differing = [one for day in days for one in _of_day(tenant, day, seen, forgotten)]
    differing += _invoiced(tenant, seen, Period.of(start))
    return Books([_booked(tenant, day, seen, forgotten) for day in days], differing)


def _look(journal: Journal, tenant: Tenant, start: date, end: date, decisions: DecisionsByDay) -> Seen:
    before, entries = _journaled(journal, tenant, start), _waiting(journal, tenant, start, end)
    with _one_moment():
        waiting, recorded = _unrecorded(entries), _events(tenant, start, end)
        stored = decisions(tenant, start, end)
        days = _rolled_up(UsageDay, "day", tenant, start, end)
        hours = _rolled_up(UsageHour, "hour__date", tenant, start, end)
        billed = _billed(tenant, Period.of(start))
    return Seen((before, _journaled(journal, tenant, start)), waiting, recorded, stored, days, hours, billed)


@contextmanager
def _one_moment() -> Iterator[None]:
    """Postgres as it is at one moment: the recorder goes on meanwhile."""
    outermost = not connection.in_atomic_block
    with transaction.atomic():
        if outermost:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        yield


def _booked(tenant: Tenant, day: date, seen: Seen, forgotten: bool) -> BookedDay:
    have, waiting = seen.events.get(day, Sums()), seen.waiting.get(day, Sums()).events
    return BookedDay(
        tenant=tenant.slug,
        day=str(day),
        served=seen.stored.get(day, 0) + waiting,
        journaled=None if forgotten else seen.journaled[1].get(day, 0),
        recorded=have.events,
        rolled_up=seen.days.get(day, Sums()).events,
        units_recorded=have.units,
        units_rolled_up=seen.days.get(day, Sums()).units,
        units_invoiced=None if seen.invoiced is None else seen.invoiced.get(day, 0),
        direct=have.direct,
        waiting=waiting,
    )


def _of_day(tenant: Tenant, day: date, seen: Seen, forgotten: bool) -> Iterator[Difference]:
    have, days, hours = (book.get(day, Sums()) for book in (seen.events, seen.days, seen.hours))
    pairs = [
        ("decisions recorded", have.events, seen.stored.get(day, 0)),
        ("decisions rolled up by day", have.events, days.events),
        ("units rolled up by day", have.units, days.units),
        ("units rolled up by hour", have.units, hours.units),
    ]
    yield from (Difference(tenant.slug, str(day), *pair) for pair in pairs if pair[1] != pair[2])
    least, most = (book.get(day, 0) for book in seen.journaled)
    found = have.events - have.of_batches + seen.waiting.get(day, Sums()).events
    # what was written past the journal while Valkey was away may also have reached it
    if not forgotten and not least <= found <= most + have.direct:
        yield Difference(tenant.slug, str(day), "entries journaled", most, found)


def _invoiced(tenant: Tenant, seen: Seen, period: Period) -> Iterator[Difference]:
    """A closed month's units by day against those on invoices. What came after the close waits for the next invoice:
    that is told and no fault, until the months in which it could be billed are closed too."""
    if seen.invoiced is None:
        return
    waits = not Closing.objects.filter(tenant=tenant, period=str(period.later(LATE_MONTHS))).exists()
    for day in sorted({*seen.days, *seen.invoiced}):
        used, billed = seen.days.get(day, Sums()).units, seen.invoiced.get(day, 0)
        if used != billed:
            yield Difference(tenant.slug, str(day), "units invoiced", used, billed, waits and used > billed)


def _counters(journal: Journal, tenants: Sequence[Tenant], start: date, end: date) -> dict[int, list[Difference]]:
    """The gate's counters of the month that are off for certain, while units are reserved and journaled; set right."""
    suspects = []
    for tenant in tenants:
        first = _counted(journal, tenant, start)
        if first is not None and first != _units(journal, tenant, start, end):
            suspects.append((tenant, first))
    if suspects:
        time.sleep(SETTLE_SECONDS)
    return {tenant.pk: _set_right(journal, tenant, first, start, end) for tenant, first in suspects}


def _set_right(journal: Journal, tenant: Tenant, first: int, start: date, end: date) -> list[Difference]:
    """Correct the quota counter.

    Too high against the first reading: a process died between admission and journal. Too low against the last reading:
    Valkey lost increments. What is given back meanwhile, of requests or of reservations, is in neither.
    """
    expected, last = _units(journal, tenant, start, end), _counted(journal, tenant, start)
    if last is None:
        return []
    drift = max(min(first, last) - expected, 0) or min(max(first, last) - expected, 0)
    if not drift:
        return []
    journal.valkey.command("DECRBY", _quota(tenant, start), drift)
    return [Difference(tenant.slug, f"{start:%Y-%m}", "units counted by the gate", expected, expected + drift, True)]


def _counted(journal: Journal, tenant: Tenant, start: date) -> int | None:
    counter = journal.valkey.command("GET", _quota(tenant, start))
    return None if counter is None else int(counter)


def _units(journal: Journal, tenant: Tenant, start: date, end: date) -> int:
    """What the counter has to say: units recorded, on their way, and reserved beyond what is recorded of them."""
    entries, waiting = _waiting(journal, tenant, start, end), _reserved(journal, tenant, start)
    with _one_moment():
        books = (_unrecorded(entries), _events(tenant, start, end))
        billed = dict(UsageEvent.objects.filter(pk__in=list(waiting)).values_list("pk", "units"))
    ahead = sum(units - billed.get(name, 0) for name, units in waiting.items())
    return ahead + sum(day.units for book in books for day in book.values())


def _reserved(journal: Journal, tenant: Tenant, start: date) -> Mapping[str, int]:
    return reserved(journal.valkey, tenant, f"{start:%Y%m}")


def _quota(tenant: Tenant, start: date) -> str:
    return Names(tenant.handle, True).quota(f"{start:%Y%m}")


def _events(tenant: Tenant, start: date, end: date) -> dict[date, Sums]:
    first, last = (datetime.combine(day, datetime.min.time(), UTC) for day in (start, end))
    rows = UsageEvent.objects.filter(tenant_id=tenant.pk, occurred_at__gte=first, occurred_at__lt=last)
    days = rows.annotate(day=TruncDate("occurred_at", tzinfo=UTC)).values("day")
    counted = days.annotate(
        all=Sum("decisions"),
        paid=Sum("units"),
        past_journal=Count("id", filter=Q(direct=True)),
        of_batches=Sum("decisions", filter=Q(endpoint=events.BATCHES), default=0),
    )
    return {row["day"]: Sums(row["all"], row["paid"], row["past_journal"], row["of_batches"]) for row in counted}


def _rolled_up(
    model: type[UsageDay] | type[UsageHour], column: str, tenant: Tenant, start: date, end: date
) -> dict[date, Sums]:
    rows = model.objects.filter(tenant_id=tenant.pk, **{f"{column}__gte": start, f"{column}__lt": end})
    sums = rows.values(column).annotate(all=Sum("decisions"), paid=Sum("units"))
    return {row[column]: Sums(row["all"], row["paid"]) for row in sums}


def _billed(tenant: Tenant, period: Period) -> dict[date, int] | None:
    """Units by day on invoices; None before the month is closed."""
    closed = Closing.objects.filter(tenant=tenant, period=str(period)).exclude(invoice__status="void")
    if not closed.exists():
        return None
    return {date.fromisoformat(day): units for day, units in invoiced_by_day(tenant.pk, period).items()}


def _journaled(journal: Journal, tenant: Tenant, start: date) -> dict[date, int]:
    """Entries journaled per day of the month, live and test together."""
    answer = journal.valkey.command("HGETALL", Names(tenant.handle, True).journaled(f"{start:%Y%m}"))
    pairs = zip(answer[::2], answer[1::2], strict=True)
    return {start.replace(day=int(day)): int(count) for day, count in pairs}


def _waiting(journal: Journal, tenant: Tenant, start: date, end: date) -> list[events.UsageEvent]:
    """Events of these days that stand in the journal, some of them perhaps recorded by now."""
    held = journal.valkey.command("XRANGE", STREAMS[bucket_of(tenant.handle)], "-", "+")
    found = [decode(fields[1]).event for _, fields in held]
    return [event for event in found if event.tenant_id == tenant.pk and start <= event.day() < end]


def _unrecorded(waiting: Sequence[events.UsageEvent]) -> dict[date, Sums]:
    """Those that Postgres doesn't have yet, by day."""
    known = set(UsageEvent.objects.filter(pk__in=[event.id for event in waiting]).values_list("pk", flat=True))
    found: dict[date, Sums] = {}
    for event in (event for event in waiting if event.id not in known):
        day = found.get(event.day(), Sums())
        found[event.day()] = Sums(day.events + 1, day.units + event.units)
    return found
