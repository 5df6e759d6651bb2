"""What was used and what it costs, for people: the month so far and its days. Reads of the roll-ups, nothing else.

Amounts are decimal strings, before credits and tax.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from django.db.models import Sum
from msgspec import Meta

from apps import periods
from apps.billing.rating.money import rounded, shown
from apps.billing.rating.pricing import included_units
from apps.billing.subscriptions.services import allowance, plan_for
from apps.periods import Month
from apps.usage import models
from apps.usage.metering.quantities import units_between
from apps.usage.statements import reads
from apps.usage.statements.costs import METHOD, Comparison, MonthStatement, shared

Units = Annotated[int, Meta(description="Billed units.")]
Remaining = Annotated[
    int,
    Meta(
        description="Units that can still be used this month: of the included ones, of what the spend cap pays for, or"
        " of what an account limited for not paying may use. With a payment method and no cap there is no end: then it"
        " says what is left of the included ones."
    ),
]
Decisions = Annotated[int, Meta(description="Decisions, billed or not.")]
Amount = Annotated[str, Meta(description="A decimal number in the tenant's currency.")]
Share = Annotated[str, Meta(description="Its share of `overage_cost`, by its units.")]
Day = Annotated[str, Meta(description="A day, UTC.", extra_json_schema={"format": "date"})]


class Period(msgspec.Struct, frozen=True):
    """A billing month; `end` is not in it."""

    month: Month
    start: Day
    end: Day


class EndpointUsage(msgspec.Struct, frozen=True):
    """Usage of one endpoint."""

    endpoint: str
    units: Units
    decisions: Decisions
    cost: Share


class KeyUsage(msgspec.Struct, frozen=True):
    """Usage of one key."""

    key_id: int
    units: Units
    decisions: Decisions
    cost: Share


class MonthEstimate(msgspec.Struct, frozen=True):
    """The month at its end, if it goes on as it went."""

    units: Units
    cost: Amount
    method: Annotated[
        Literal["linear"],
        Meta(
            description="Units a second so far (over at least a day) for the rest of the month; not less than is used, "
            "not more than may be used."
        ),
    ]


class SchemaUsage(msgspec.Struct, frozen=True):
    """Usage of one kind of transaction."""

    schema: str
    units: Units
    decisions: Decisions
    cost: Share


class PlanCost(msgspec.Struct, frozen=True):
    """What the months would have come to on a plan."""

    plan: str
    cost: Amount


class CheapestPlan(msgspec.Struct, frozen=True):
    """The last whole months, three at most, on the plans sold today."""

    months: list[Month]
    units: Units
    cost: Annotated[str, Meta(description="What they came to, before credits and tax.")]
    plan: Annotated[str, Meta(description="The cheapest one.")]
    saving: Amount
    text: str
    plans: list[PlanCost]


class Usage(msgspec.Struct, frozen=True):
    """The month so far, UTC. Live decisions; test decisions are counted apart."""

    object: Literal["usage"]
    period: Period
    plan: str
    rate_per_minute: int
    included: Annotated[int, Meta(description="Units the plan includes a month.")]
    used: Units
    remaining: Remaining
    decisions: Decisions
    degraded: Annotated[int, Meta(description="Decisions made while a part of ours was away; not billed.")]
    test_decisions: int
    average_response_ms: float | None
    currency: str
    fee: Annotated[str, Meta(description="The plan's fee for the month.")]
    overage_cost: Annotated[str, Meta(description="Units beyond the included ones, so far.")]
    cost_to_date: Annotated[str, Meta(description="fee + overage_cost, before credits and tax.")]
    month_estimate: MonthEstimate
    by_endpoint: list[EndpointUsage]
    by_key: list[KeyUsage]
    cheapest_plan: Annotated[CheapestPlan | None, Meta(description="null until a whole month is over.")]


class AccountUsage(msgspec.Struct, frozen=True):
    """The month so far in the Commercial interface. A request is a transaction sent for scoring with a live key."""

    total_requests: int
    successful_requests: int
    success_rate: Annotated[float, Meta(description="Percent.", ge=0, le=100)]
    average_response_ms: float | None
    included: int
    remaining: Remaining
    cost_to_date: float
    estimated_month_cost: float
    currency: str
    period: Month
    by_endpoint: Annotated[dict[str, int], Meta(description="Successful requests.")]


class UsageDay(msgspec.Struct, frozen=True):
    """Usage of one day."""

    date: Day
    units: Units
    decisions: Decisions
    degraded: int
    cost: Annotated[str, Meta(description="What the day added to its month's cost; the fee is apart.")]


def month(tenant_id: int, now: datetime) -> Usage:
    """The month so far: units against the plan, its cost, decisions by endpoint and key, test decisions apart."""
    return msgspec.structs.replace(month_alone(tenant_id, now), cheapest_plan=cheapest_plan(tenant_id, now))


def month_alone(tenant_id: int, now: datetime) -> Usage:
    """The same without the comparison of past months with other plans."""
    start, end = days_of_month(now)
    plan, rate, _ = plan_for(tenant_id)
    spent = _spent(tenant_id, now)
    included = included_units(spent.terms, spent.period)
    end_of_month = reads.month_end(tenant_id, spent, now)
    overage = spent.cost() - spent.fee()
    endpoints = _endpoints(tenant_id, start, end)
    live = [row for row in endpoints if row["livemode"]]
    keys, average_ms = _keys(tenant_id, start, end)
    return Usage(
        object="usage",
        period=Period(str(spent.period), start.isoformat(), end.isoformat()),
        plan=plan.code,
        rate_per_minute=rate,
        included=included,
        used=spent.used,
        remaining=_remaining(tenant_id, included, spent.used, now),
        decisions=sum(row["decisions"] for row in live),
        degraded=sum(row["degraded"] for row in live),
        test_decisions=sum(row["decisions"] for row in endpoints if not row["livemode"]),
        average_response_ms=average_ms,
        currency=spent.currency,
        fee=str(spent.fee()),
        overage_cost=str(overage),
        cost_to_date=str(spent.cost()),
        month_estimate=MonthEstimate(end_of_month.units, str(end_of_month.cost), METHOD),
        by_endpoint=[
            EndpointUsage(row["endpoint"], row["units"], row["decisions"], cost)
            for row, cost in _with_costs(live, overage, spent.currency)
        ],
        by_key=[
            KeyUsage(row["key_id"], row["units"], row["decisions"], cost)
            for row, cost in _with_costs(keys, overage, spent.currency)
        ],
        cheapest_plan=None,
    )


class Brief(NamedTuple):
    """The month so far in five figures."""

    used: int
    included: int
    cost: Decimal
    estimate: Decimal
    currency: str


def brief(tenant_id: int, now: datetime) -> Brief:
    """The month so far, and what it will come to; before credits and tax."""
    spent = _spent(tenant_id, now)
    end = reads.month_end(tenant_id, spent, now)
    return Brief(spent.used, included_units(spent.terms, spent.period), spent.cost(), end.cost, spent.currency)


def cheapest_plan(tenant_id: int, now: datetime) -> CheapestPlan | None:
    """The last whole months on the plans sold today; None before the first one is over."""
    comparison = reads.cheapest_plan(tenant_id, now)
    if comparison is None:
        return None
    return CheapestPlan(
        months=[str(period) for period in comparison.months],
        units=comparison.units,
        cost=str(comparison.owed),
        plan=comparison.cheapest,
        saving=str(comparison.saving),
        text=_sentence(comparison),
        plans=[PlanCost(name, str(total)) for name, total in comparison.totals.items()],
    )


def account(tenant_id: int, refused: int, now: datetime) -> AccountUsage:
    """The month so far in the words of the Commercial interface. `refused`: calls for scoring that were refused."""
    start, end = days_of_month(now)
    spent = _spent(tenant_id, now)
    included = included_units(spent.terms, spent.period)
    rows = [row for row in _endpoints(tenant_id, start, end) if row["livemode"]]
    successful = sum(row["decisions"] for row in rows)
    total = successful + refused
    return AccountUsage(
        total_requests=total,
        successful_requests=successful,
        success_rate=round(100 * successful / total, 2) if total else 100.0,
        average_response_ms=_keys(tenant_id, start, end)[1],
        included=included,
        remaining=_remaining(tenant_id, included, spent.used, now),
        cost_to_date=float(spent.cost()),
        estimated_month_cost=float(reads.month_end(tenant_id, spent, now).cost),
        currency=spent.currency,
        period=str(spent.period),
        by_endpoint={row["endpoint"]: row["decisions"] for row in rows},
    )


def by_schema(tenant_id: int, now: datetime) -> list[SchemaUsage]:
    """Live usage of the month so far by kind of transaction."""
    first, last = (datetime.combine(day, datetime.min.time(), UTC) for day in days_of_month(now))
    hours = models.UsageHour.objects.filter(tenant_id=tenant_id, livemode=True, hour__gte=first, hour__lt=last)
    sums = hours.values("schema").annotate(all_units=Sum("units"), all=Sum("decisions")).order_by("schema")
    rows = [{"schema": row["schema"], "units": row["all_units"], "decisions": row["all"]} for row in sums]
    spent = _spent(tenant_id, now)
    overage = spent.cost() - spent.fee()
    return [
        SchemaUsage(row["schema"], row["units"], row["decisions"], cost)
        for row, cost in _with_costs(rows, overage, spent.currency)
    ]


def daily(tenant_id: int, start: date, end: date) -> list[UsageDay]:
    """One row a day with anything on it, oldest first; `end` is not in it. `cost`: what it added to its month's."""
    first = start.replace(day=1)  # a day's cost is what it added to its month's
    days = models.UsageDay.objects.filter(tenant_id=tenant_id, livemode=True, day__gte=first, day__lt=end)
    sums = days.values("day").annotate(all_units=Sum("units"), all=Sum("decisions"), free=Sum("degraded"))
    rows = list(sums.order_by("day"))
    costs = reads.costs_of_days(tenant_id, {row["day"]: row["all_units"] for row in rows})
    nothing = str(rounded(0, reads.currency_of(tenant_id)))
    return [
        UsageDay(row["day"].isoformat(), row["all_units"], row["all"], row["free"], costs.get(row["day"], nothing))
        for row in rows
        if row["day"] >= start
    ]


def days_of_month(now: datetime) -> tuple[date, date]:
    """First day of the month, first day of the next; UTC."""
    start = now.astimezone(UTC).date().replace(day=1)
    return start, (start + timedelta(days=32)).replace(day=1)


def _spent(tenant_id: int, now: datetime) -> MonthStatement:
    """This month of a tenant that has signed up."""
    found = reads.statement_of(tenant_id, periods.Period.of(now))
    if found is None:
        raise LookupError(f"tenant {tenant_id} has no plan in {periods.Period.of(now)}")
    return found


def _remaining(tenant_id: int, included: int, used: int, now: datetime) -> int:
    """What can still be used, by the gate's own allowance; without any bound, what is left of the included units."""
    allowed = allowance(tenant_id, now, units_between).allowed_units
    return max((included if allowed is None else allowed) - used, 0)


def _sentence(comparison: Comparison) -> str:
    if not comparison.saving:
        return "No plan sold today would have cost less."
    saving = shown(comparison.saving, comparison.currency)
    return f"You would have paid {saving} less on {comparison.cheapest.title()}."


def _with_costs(rows: list[dict[str, Any]], overage: Decimal, currency: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Each row with its share of the overage, by its units."""
    costs = shared(overage, [row["units"] for row in rows], currency)
    return zip(rows, map(str, costs), strict=True)


def _endpoints(tenant_id: int, start: date, end: date) -> list[dict[str, Any]]:
    """Usage by endpoint, live and test apart."""
    rows = models.UsageDay.objects.filter(tenant_id=tenant_id, day__gte=start, day__lt=end)
    days = rows.values("endpoint", "livemode")
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
    hours = models.UsageHour.objects.filter(tenant_id=tenant_id, livemode=True, hour__gte=first, hour__lt=last)
    sums = hours.values("key_id").annotate(all_units=Sum("units"), all=Sum("decisions"), time=Sum("latency_us"))
    rows = list(sums.order_by("key_id"))
    decisions = sum(row["all"] for row in rows)
    average = round(sum(row["time"] for row in rows) / decisions / 1000, 3) if decisions else None
    return [{"key_id": row["key_id"], "units": row["all_units"], "decisions": row["all"]} for row in rows], average
