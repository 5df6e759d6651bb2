"""What was used, for people: the month so far and its days. Reads of the roll-ups, nothing else."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db.models import Sum

from apps.billing.services import plan_for
from apps.usage.models import UsageDay, UsageHour


def month(tenant_id: int, now: datetime) -> dict[str, Any]:
    """The month so far: units against the plan, decisions by endpoint, test decisions apart."""
    start, end = month_of(now)
    plan, rate, included = plan_for(tenant_id)
    days = UsageDay.objects.filter(tenant_id=tenant_id, day__gte=start, day__lt=end)
    live = days.filter(livemode=True)
    totals = live.aggregate(units=Sum("units"), decisions=Sum("decisions"), degraded=Sum("degraded"))
    used = totals["units"] or 0
    return {
        "object": "usage",
        "period": {"start": start.isoformat(), "end": end.isoformat()},
        "plan": plan.code,
        "rate_per_minute": rate,
        "included": included,
        "used": used,
        "remaining": max(included - used, 0),
        "decisions": totals["decisions"] or 0,
        "degraded": totals["degraded"] or 0,
        "test_decisions": days.filter(livemode=False).aggregate(all=Sum("decisions"))["all"] or 0,
        "average_response_ms": _average_ms(tenant_id, start, end),
        "by_endpoint": _by(live, "endpoint"),
        "by_key": _by(_hours(tenant_id, start, end), "key_id"),
    }


def daily(tenant_id: int, start: date, end: date) -> list[dict[str, Any]]:
    """One row a day with anything on it, oldest first; `end` is not in it."""
    days = UsageDay.objects.filter(tenant_id=tenant_id, livemode=True, day__gte=start, day__lt=end)
    rows = (
        days.values("day").annotate(all_units=Sum("units"), all=Sum("decisions"), free=Sum("degraded")).order_by("day")
    )
    return [
        {"date": row["day"].isoformat(), "units": row["all_units"], "decisions": row["all"], "degraded": row["free"]}
        for row in rows
    ]


def month_of(now: datetime) -> tuple[date, date]:
    """First day of the month, first day of the next; UTC."""
    start = now.astimezone(UTC).date().replace(day=1)
    return start, (start + timedelta(days=32)).replace(day=1)


def _average_ms(tenant_id: int, start: date, end: date) -> float | None:
    found = _hours(tenant_id, start, end).aggregate(time=Sum("latency_us"), all=Sum("decisions"))
    return round(found["time"] / found["all"] / 1000, 3) if found["all"] else None


def _hours(tenant_id: int, start: date, end: date) -> Any:
    first = datetime(start.year, start.month, start.day, tzinfo=UTC)
    last = datetime(end.year, end.month, end.day, tzinfo=UTC)
    return UsageHour.objects.filter(tenant_id=tenant_id, livemode=True, hour__gte=first, hour__lt=last)


def _by(rows: Any, column: str) -> list[dict[str, Any]]:
    found = rows.values(column).annotate(all_units=Sum("units"), all=Sum("decisions")).order_by(column)
    return [{column: row[column], "units": row["all_units"], "decisions": row["all"]} for row in found]
