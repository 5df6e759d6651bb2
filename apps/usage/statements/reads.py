"""Queries for statements: terms, units and allowances are read here, costs.py does the rest."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from itertools import groupby

from apps.billing.rating.plans import CURRENT, current
from apps.billing.subscriptions import timeline
from apps.billing.subscriptions.services import allowance, subscription_of, subscriptions_of
from apps.one_look import asked_once
from apps.periods import Period
from apps.usage.metering.quantities import units_between, units_of_month, units_of_terms
from apps.usage.statements.costs import Comparison, Estimate, MonthStatement, by_day, compare, estimate

#: Whole months that are compared with other plans.
COMPARED = 3


@asked_once
def statement_of(tenant_id: int, period: Period) -> MonthStatement | None:
    """A tenant's month as it is recorded; None for one before it signed up."""
    return statements_of([tenant_id], period).get(tenant_id)


def statements_of(tenant_ids: Iterable[int], period: Period) -> dict[int, MonthStatement]:
    """The same month of many tenants."""
    ids = list(tenant_ids)
    used = units_of_month(ids, period)
    subscriptions = subscriptions_of(ids)
    return {
        tenant_id: MonthStatement(
            terms=tuple(terms),
            units=units_of_terms(tenant_id, terms, used.get(tenant_id, 0)),
            period=period,
            currency=subscriptions[tenant_id].currency,
        )
        for tenant_id, terms in timeline.terms_of(ids, period).items()
        if terms
    }


def month_end(tenant_id: int, month: MonthStatement, now: datetime) -> Estimate:
    """What the month will come to, as it goes."""
    return estimate(month, now, allowance(tenant_id, now, units_between).allowed_units)


def costs_of_days(tenant_id: int, days: Mapping[date, int]) -> dict[date, str]:
    """What days added to their month's cost, as decimal strings. `days`: units, from a month's first day on."""
    found: dict[date, str] = {}
    for period, group in groupby(sorted(days), key=Period.of):
        month = statement_of(tenant_id, period)
        if month is not None:
            added = by_day(month, {day: days[day] for day in group})
            found |= {day: str(cost) for day, cost in added.items()}
    return found


def cheapest_plan(tenant_id: int, now: datetime) -> Comparison | None:
    """The last whole months on the plans sold today; None before the first one is over."""
    this = Period.of(now)
    if not timeline.terms_of([tenant_id], this.before())[tenant_id]:
        return None
    past = (statement_of(tenant_id, this.later(-back)) for back in range(COMPARED, 0, -1))
    return compare([month for month in past if month is not None], [current(name) for name in CURRENT])


def currency_of(tenant_id: int) -> str:
    return subscription_of(tenant_id).currency
