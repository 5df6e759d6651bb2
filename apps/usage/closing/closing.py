"""Closing months: what was used is added up and handed to billing, a few hundred tenants at a time.

Harmless when repeated and when many do it at once: billing bills a tenant's month once. What is recorded after the
close goes on the next invoice as a line of its own.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from django.db import DataError, IntegrityError
from django.db.models import QuerySet
from prometheus_client import Counter

from apps.accounts.models import Tenant
from apps.billing.invoicing.invoices import NotPossible, invoiced_units
from apps.billing.invoicing.month_invoices import Late, MonthUsage, issue_invoices
from apps.billing.models import Closing, Invoice
from apps.billing.subscriptions import test_clock, timeline
from apps.periods import Period
from apps.usage.closing.test_clock_usage import month_by_clock
from apps.usage.metering.quantities import by_day_and_endpoint, late_units, month_usage_of, units_of_month

log = logging.getLogger(__name__)

FAILED = Counter("palisade_closing_failures", "Months of tenants that could not be closed")
#: Tenants whose usage is read together.
TOGETHER = 500
#: Errors that concern one tenant only: isolate it and go on. Anything else aborts the run.
ITS_OWN = (ValueError, LookupError, ArithmeticError, IntegrityError, DataError)
#: Months that close by themselves: who could not be closed, or a worker that was away, is made up for this long.
DUE_MONTHS = 3
#: Months before the one being closed that are looked at for late units: 35 days reach into the second.
LATE_MONTHS = 2


class NotClosed(Exception):
    """The month of these could not be closed; everybody else's was."""

    def __init__(self, period: Period, slugs: Sequence[str]) -> None:
        super().__init__(f"{period} of {', '.join(slugs)} could not be closed: the log says why.")
        self.slugs = tuple(slugs)


def close_due(now: datetime) -> int:
    """Close the last months, the earliest first, for everybody who follows the real clock; invoices issued."""
    last = Period.of(now).before()
    return sum(_close_rest(last.later(-back), now) for back in range(DUE_MONTHS - 1, -1, -1))


def _close_rest(period: Period, now: datetime) -> int:
    """Close a month for those that were there and were not closed yet."""
    done = Closing.objects.filter(period=str(period)).values("tenant_id")
    tenants = Tenant.objects.on_real_time().filter(created_at__lt=period.end).exclude(pk__in=done)
    issued = 0
    try:
        for _ in close_period(period, tenants, now):
            issued += 1
    except NotClosed as trouble:
        log.error("%s", trouble)
    return issued


def close_period(period: Period, tenants: QuerySet[Tenant], now: datetime, *, again: bool = False) -> Iterator[Invoice]:
    """Close a month for tenants that follow one clock, at their `now`; the invoices issued.

    `again`: bill anew where the invoice was voided. Raises `NotClosed` at the end when it failed for some.
    """
    if now < period.end:
        raise NotPossible(f"{period} is not over yet.")
    last, failed = 0, list[str]()
    while chunk := list(tenants.filter(pk__gt=last).order_by("pk")[:TOGETHER]):
        yield from _close(period, chunk, now, again, failed)
        last = chunk[-1].pk
    if failed:
        raise NotClosed(period, failed)


def _close(period: Period, tenants: Sequence[Tenant], now: datetime, again: bool, failed: list[str]) -> list[Invoice]:
    """Invoice all of them in one transaction. On an error bisect the batch until the failing tenant is alone."""
    try:
        return issue_invoices(_months(period, tenants), period, now, again=again)
    except ITS_OWN:
        if len(tenants) == 1:
            log.exception("%s of %s can't be closed: a person must look", period, tenants[0].slug)
            FAILED.inc()
            failed.append(tenants[0].slug)
            return []
    half = len(tenants) // 2
    one, other = (_close(period, part, now, again, failed) for part in (tenants[:half], tenants[half:]))
    return one + other


def _months(period: Period, tenants: Sequence[Tenant]) -> list[MonthUsage]:
    """What billing is handed of these tenants."""
    ids = [tenant.pk for tenant in tenants]
    terms = timeline.terms_of(ids, period)
    if len(tenants) == 1 and terms[ids[0]] and (steps := test_clock.steps_of(ids[0])):
        return [month_by_clock(tenants[0], terms[ids[0]], period, steps)]
    used, late = by_day_and_endpoint(ids, period), _late(ids, period)
    return [
        month_usage_of(tenant, terms[tenant.pk], used.get(tenant.pk, {}), late.get(tenant.pk, ()))
        for tenant in tenants
        if terms[tenant.pk]  # the others signed up later
    ]


def _late(ids: Sequence[int], period: Period) -> Mapping[int, list[Late]]:
    """Earlier months of which more is known now than was invoiced."""
    found: dict[int, list[Late]] = {}
    for earlier in (period.later(-back) for back in range(LATE_MONTHS, 0, -1)):
        invoiced = invoiced_units(ids, earlier)
        known = units_of_month(invoiced, earlier)
        more = [tenant_id for tenant_id, units in known.items() if units > invoiced[tenant_id]]
        if more:
            terms, days = timeline.terms_of(more, earlier), by_day_and_endpoint(more, earlier)
            for tenant_id in more:
                anew = late_units(tenant_id, terms[tenant_id], days[tenant_id], earlier)
                found.setdefault(tenant_id, []).append(anew)
    return found
