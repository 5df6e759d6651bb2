"""Units used in a stretch of time, and in each term of a month: what billing is handed."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db.models import QuerySet, Sum

from apps.accounts.models import Tenant
from apps.billing.invoicing.month_invoices import Late, MonthUsage
from apps.billing.rating.pricing import Term
from apps.periods import Period
from apps.usage.models import UsageDay, UsageEvent, UsageHour

_HOUR = timedelta(hours=1)


def units_between(tenant_id: int, start: datetime, end: datetime) -> int:
    """Live units of a tenant in [start, end): whole hours from the roll-ups, the rest event by event."""
    first, last = _hour_after(start), _hour_before(end)
    if first >= last:
        return _of_events(tenant_id, start, end)
    hours = UsageHour.objects.filter(tenant_id=tenant_id, livemode=True, hour__gte=first, hour__lt=last)
    return _sum(hours) + _of_events(tenant_id, start, first) + _of_events(tenant_id, last, end)


def units_of_terms(tenant_id: int, terms: Sequence[Term], month_units: int) -> tuple[int, ...]:
    """Units used in each term of a month in which `month_units` were used."""
    if len(terms) == 1:
        return (month_units,)
    later = [units_between(tenant_id, term.start, term.end) for term in terms[1:]]
    return (max(month_units - sum(later), 0), *later)


def units_of_month(tenant_ids: Iterable[int], period: Period) -> dict[int, int]:
    """Live units of a month of each tenant that used any, as recorded."""
    sums = _days(tenant_ids, period).values("tenant_id").annotate(all=Sum("units"))
    return dict(sums.values_list("tenant_id", "all"))


def by_day_and_endpoint(tenant_ids: Iterable[int], period: Period) -> Mapping[int, Mapping[tuple[date, str], int]]:
    """Live units of a month of each tenant that used any, by day and endpoint."""
    found: dict[int, dict[tuple[date, str], int]] = {}
    days = _days(tenant_ids, period).values_list("tenant_id", "day", "endpoint", "units")
    for tenant_id, day, endpoint, units in days:
        found.setdefault(tenant_id, {})[day, endpoint] = units
    return found


def month_usage_of(
    tenant: Tenant, terms: Sequence[Term], used: Mapping[tuple[date, str], int], late: Sequence[Late] = ()
) -> MonthUsage:
    """What billing is handed for one month of one tenant."""
    return MonthUsage(
        tenant=tenant,
        terms=tuple(terms),
        units=units_of_terms(tenant.pk, terms, sum(used.values())),
        by_day=_grouped(used, 0),
        by_endpoint=_grouped(used, 1),
        late=tuple(late),
    )


def late_units(tenant_id: int, terms: Sequence[Term], used: Mapping[tuple[date, str], int], period: Period) -> Late:
    """All units of an earlier month as they are known now."""
    return Late(period, tuple(terms), units_of_terms(tenant_id, terms, sum(used.values())), _grouped(used, 0))


def _grouped(used: Mapping[tuple[date, str], int], part: int) -> tuple[tuple[str, int], ...]:
    found: dict[str, int] = {}
    for key, units in used.items():
        found[str(key[part])] = found.get(str(key[part]), 0) + units
    return tuple(sorted(found.items()))


def _days(tenant_ids: Iterable[int], period: Period) -> QuerySet[UsageDay]:
    """The roll-ups by day of a month."""
    return UsageDay.objects.filter(
        tenant_id__in=list(tenant_ids), livemode=True, day__gte=period.start.date(), day__lt=period.end.date()
    )


def _of_events(tenant_id: int, start: datetime, end: datetime) -> int:
    if start >= end:
        return 0
    return _sum(
        UsageEvent.objects.filter(tenant_id=tenant_id, livemode=True, occurred_at__gte=start, occurred_at__lt=end)
    )


def _sum(rows: Any) -> int:
    return rows.aggregate(units=Sum("units"))["units"] or 0


def _hour_before(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _hour_after(moment: datetime) -> datetime:
    whole = _hour_before(moment)
    return whole if whole == moment else whole + _HOUR
