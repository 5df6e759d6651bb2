"""What was used and what it costs, for people: the month so far and its days. Reads of the roll-ups, nothing else.

Amounts are decimal strings, before credits and tax.
"""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Sum

from apps.billing.rating.money import rounded, shown
from apps.billing.rating.pricing import included_units
from apps.billing.subscriptions.services import allowance, plan_for
from apps.periods import Period
from apps.usage.metering.quantities import units_between
from apps.usage.models import UsageDay, UsageHour
from apps.usage.statements import reads
from apps.usage.statements.costs import METHOD, Comparison, MonthStatement, shared


def month(tenant_id: int, now: datetime) -> dict[str, Any]:
    """The month so far: units against the plan, its cost, decisions by endpoint and key, test decisions apart."""
    start, end = days_of_month(now)
    plan, rate, _ = plan_for(tenant_id)
    spent = _spent(tenant_id, now)
    included = included_units(spent.terms, spent.period)
    end_of_month = reads.month_end(tenant_id, spent, now)
    overage = spent.cost() - spent.fee()
    endpoints = _endpoints(tenant_id, start, end)
    live = [row for row in endpoints if row["livemode"]]
    keys, average_ms = _keys(tenant_id, start, end)
    return {
        "object": "usage",
        "period": {"start": start.isoformat(), "end": end.isoformat()},
        "plan": plan.code,
        "rate_per_minute": rate,
        "included": included,
        "used": spent.used,
        "remaining": _remaining(tenant_id, included, spent.used, now),
        "decisions": sum(row["decisions"] for row in live),
        "degraded": sum(row["degraded"] for row in live),
        "test_decisions": sum(row["decisions"] for row in endpoints if not row["livemode"]),
        "average_response_ms": average_ms,
        "currency": spent.currency,
        "fee": str(spent.fee()),
        "overage_cost": str(overage),
        "cost_to_date": str(spent.cost()),
        "month_estimate": {"units": end_of_month.units, "cost": str(end_of_month.cost), "method": METHOD},
        "by_endpoint": _with_costs("endpoint", live, overage, spent.currency),
        "by_key": _with_costs("key_id", keys, overage, spent.currency),
        "cheapest_plan": _told(reads.cheapest_plan(tenant_id, now)),
    }


def account(tenant_id: int, refused: int, now: datetime) -> dict[str, Any]:
    """The month so far in the words of the Commercial interface. `refused`: calls for scoring that were refused."""
    start, end = days_of_month(now)
    spent = _spent(tenant_id, now)
    included = included_units(spent.terms, spent.period)
    rows = [row for row in _endpoints(tenant_id, start, end) if row["livemode"]]
    successful = sum(row["decisions"] for row in rows)
    total = successful + refused
    return {
        "total_requests": total,
        "successful_requests": successful,
        "success_rate": round(100 * successful / total, 2) if total else 100.0,
        "average_response_ms": _keys(tenant_id, start, end)[1],
        "included": included,
        "remaining": _remaining(tenant_id, included, spent.used, now),
        "cost_to_date": float(spent.cost()),
        "estimated_month_cost": float(reads.month_end(tenant_id, spent, now).cost),
        "currency": spent.currency,
        "period": str(spent.period),
        "by_endpoint": {row["endpoint"]: row["decisions"] for row in rows},
    }


def daily(tenant_id: int, start: date, end: date) -> list[dict[str, Any]]:
    """One row a day with anything on it, oldest first; `end` is not in it. `cost`: what it added to its month's."""
    costs = reads.costs_of_days(tenant_id, start, end)
    nothing = str(rounded(0, reads.currency_of(tenant_id)))
    days = UsageDay.objects.filter(tenant_id=tenant_id, livemode=True, day__gte=start, day__lt=end)
    rows = (
        days.values("day").annotate(all_units=Sum("units"), all=Sum("decisions"), free=Sum("degraded")).order_by("day")
    )
    return [
        {
            "date": row["day"].isoformat(),
            "units": row["all_units"],
            "decisions": row["all"],
            "degraded": row["free"],
            "cost": costs.get(row["day"], nothing),
        }
        for row in rows
    ]


def days_of_month(now: datetime) -> tuple[date, date]:
    """First day of the month, first day of the next; UTC."""
    start = now.astimezone(UTC).date().replace(day=1)
    return start, (start + timedelta(days=32)).replace(day=1)


def _spent(tenant_id: int, now: datetime) -> MonthStatement:
    """This month of a tenant that has signed up."""
    found = reads.statement_of(tenant_id, Period.of(now))
    if found is None:
        raise LookupError(f"tenant {tenant_id} has no plan in {Period.of(now)}")
    return found


def _remaining(tenant_id: int, included: int, used: int, now: datetime) -> int:
    """What can still be used, by the gate's own allowance; without any bound, what is left of the included units."""
    allowed = allowance(tenant_id, now, units_between).allowed_units
    return max((included if allowed is None else allowed) - used, 0)


def _told(comparison: Comparison | None) -> dict[str, Any] | None:
    if comparison is None:
        return None
    return {
        "months": [str(period) for period in comparison.months],
        "units": comparison.units,
        "cost": str(comparison.owed),
        "plan": comparison.cheapest,
        "saving": str(comparison.saving),
        "text": _sentence(comparison),
        "plans": [{"plan": name, "cost": str(total)} for name, total in comparison.totals.items()],
    }


def _sentence(comparison: Comparison) -> str:
    if not comparison.saving:
        return "No plan sold today would have cost less."
    saving = shown(comparison.saving, comparison.currency)
    return f"You would have paid {saving} less on {comparison.cheapest.title()}."


def _with_costs(name: str, rows: list[dict[str, Any]], overage: Decimal, currency: str) -> list[dict[str, Any]]:
    """Each row by its name, with its share of the overage by its units."""
    costs = shared(overage, [row["units"] for row in rows], currency)
    return [
        {name: row[name], "units": row["units"], "decisions": row["decisions"], "cost": str(cost)}
        for row, cost in zip(rows, costs, strict=True)
    ]


def _endpoints(tenant_id: int, start: date, end: date) -> list[dict[str, Any]]:
    """Usage by endpoint, live and test apart."""
    days = UsageDay.objects.filter(tenant_id=tenant_id, day__gte=start, day__lt=end).values("endpoint", "livemode")
    sums = days.annotate(all_units=Sum("units"), all=Sum("decisions"), free=Sum("degraded")).order_by("endpoint")
    return [
        {
            "endpoint": row["endpoint"],
            "livemode": row["livemode"],
            "units": row["all_units"],
            "decisions": row["all"],
            "degraded": row["free"],
        }
        for row in sums
    ]


def _keys(tenant_id: int, start: date, end: date) -> tuple[list[dict[str, Any]], float | None]:
    """Live usage by key, and the average time of an answer in ms."""
    first = datetime(start.year, start.month, start.day, tzinfo=UTC)
    last = datetime(end.year, end.month, end.day, tzinfo=UTC)
    hours = UsageHour.objects.filter(tenant_id=tenant_id, livemode=True, hour__gte=first, hour__lt=last)
    sums = hours.values("key_id").annotate(all_units=Sum("units"), all=Sum("decisions"), time=Sum("latency_us"))
    rows = list(sums.order_by("key_id"))
    decisions = sum(row["all"] for row in rows)
    average = round(sum(row["time"] for row in rows) / decisions / 1000, 3) if decisions else None
    return [{"key_id": row["key_id"], "units": row["all_units"], "decisions": row["all"]} for row in rows], average
