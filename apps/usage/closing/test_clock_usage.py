"""What a tenant on a billing clock used, at its own time: what is really used after a step of the clock counts at the
moment the clock was moved to. So overage follows a trial that only the clock has ended."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import NamedTuple

from django.db.models import QuerySet, Sum
from django.db.models.functions import TruncDate

from apps.accounts.models import Tenant
from apps.billing.invoicing.month_invoices import Days, MonthUsage
from apps.billing.models import ClockStep
from apps.billing.rating.pricing import Term
from apps.periods import Period
from apps.usage.models import UsageEvent


class Used(NamedTuple):
    """Units of an endpoint on a real day, and when that was by the tenant's clock."""

    at: datetime
    day: date
    endpoint: str
    units: int


def month_by_clock(tenant: Tenant, terms: Sequence[Term], period: Period, steps: Sequence[ClockStep]) -> MonthUsage:
    """A month by the tenant's own time, with the real days beside it: by them the books are compared."""
    used = list(_used(tenant.pk, steps, period))
    later = [sum(one.units for one in used if term.start <= one.at < term.end) for term in terms[1:]]
    return MonthUsage(
        tenant=tenant,
        terms=tuple(terms),
        units=(sum(one.units for one in used) - sum(later), *later),
        by_day=_summed((str(one.at.date()), one.units) for one in used),
        by_endpoint=_summed((one.endpoint, one.units) for one in used),
        real_days=_by_month(used),
    )


def _used(tenant_id: int, steps: Sequence[ClockStep], period: Period) -> Iterator[Used]:
    """Before the first step real time is the clock's; after it, the clock stands where it was moved to."""
    live = UsageEvent.objects.filter(tenant_id=tenant_id, livemode=True, units__gt=0)
    before = live.filter(occurred_at__gte=period.start, occurred_at__lt=min(period.end, steps[0].real_at))
    for at, endpoint, units in before.values_list("occurred_at", "endpoint", "units"):
        yield Used(at, at.astimezone(UTC).date(), endpoint, units)
    for step, end in zip(steps, [*(one.real_at for one in steps[1:]), None], strict=True):
        if period.start <= step.clock_at < period.end:
            events = live.filter(occurred_at__gte=step.real_at)
            yield from _at_once(step.clock_at, events.filter(occurred_at__lt=end) if end else events)


def _at_once(at: datetime, events: QuerySet[UsageEvent]) -> Iterator[Used]:
    days = events.annotate(day=TruncDate("occurred_at", tzinfo=UTC)).values("day", "endpoint")
    for row in days.annotate(all=Sum("units")).order_by("day", "endpoint"):
        yield Used(at, row["day"], row["endpoint"], row["all"])


def _by_month(used: Sequence[Used]) -> Mapping[str, Days]:
    months = sorted({str(Period.of(one.day)) for one in used})
    return {
        month: _summed((str(one.day), one.units) for one in used if str(Period.of(one.day)) == month)
        for month in months
    }


def _summed(pairs: Iterator[tuple[str, int]]) -> Days:
    found: dict[str, int] = {}
    for name, units in pairs:
        found[name] = found.get(name, 0) + units
    return tuple(sorted(found.items()))
