"""How the business goes, for the operators' front page: this month against the last, and who brings and costs what.

Money of several currencies is told in US dollars, roughly (`apps/currencies.py`): to look at, never to owe.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from django.db.models import Count, Q, QuerySet, Sum
from django.urls import reverse

from apps.accounts.models import Tenant
from apps.backoffice.attention import get_journal
from apps.billing.models import Invoice, Payment, PlanSpan, Subscription
from apps.billing.rating.plans import DEFAULT_CURRENCY, PLANS
from apps.currencies import CURRENCIES
from apps.periods import Period
from apps.usage.models import UsageDay, UsageHour
from apps.usage.statements.reads import statements_of
from apps.valkey import Away

#: Tenants in the table of margins: those that used most this month.
SHOWN = 10
#: What we pay, in dollars: an hour of a processor, and keeping a decision (3 KB) for a year. By hand; change it here.
CPU_HOUR, KEPT_DECISION = Decimal("0.05"), Decimal("0.000004")
#: Payments that failed are told for so long.
RECENT = timedelta(days=7)

Fees = Mapping[int, Decimal]


class Figure(NamedTuple):
    """A number and what it was in the month before, up to the same day of it; `address`: where it comes from."""

    title: str
    now: str
    before: str = ""
    address: str = ""


class Movements(NamedTuple):
    """What made monthly recurring revenue what it is: dollars a month."""

    new: Decimal
    expansion: Decimal
    contraction: Decimal
    churn: Decimal


class Margin(NamedTuple):
    """A tenant's month so far, in dollars: what it comes to, what it costs us, what is left."""

    tenant: Tenant
    units: int
    revenue: Decimal
    cost: Decimal

    @property
    def left(self) -> Decimal:
        return self.revenue - self.cost

    @property
    def percent(self) -> int | None:
        """Of the revenue; None without any."""
        return int(100 * self.left / self.revenue) if self.revenue else None


def figures(now: datetime) -> list[Figure]:
    """All of them."""
    month = Period.of(now)
    begun, then = month.start, _same_moment_before(now)
    fees = fees_at(now)
    moved = movements(fees_at(begun), fees)
    invoices, tenants = reverse("admin:billing_invoice_changelist"), reverse("admin:accounts_tenant_changelist")
    failed = Payment.objects.filter(status=Payment.Status.FAILED)
    return [
        Figure("Decisions this month", f"{_decisions(begun, now):,}", f"{_decisions(*then):,}"),
        Figure("Invoiced this month", _dollars(_invoiced(begun, now)), _dollars(_invoiced(*then)), invoices),
        Figure("Recurring a month (MRR)", _dollars(sum(fees.values())), _dollars(sum(fees_at(begun).values()))),
        Figure("of it new", _signed(moved.new)),
        Figure("of it larger plans", _signed(moved.expansion)),
        Figure("lost to smaller plans", _signed(-moved.contraction)),
        Figure("lost to leaving (churn)", _signed(-moved.churn)),
        Figure("Sign-ups this month", str(_signed_up(begun, now)), str(_signed_up(*then)), tenants),
        Figure(
            "Payments that failed, 7 days",
            str(failed.filter(updated_at__gte=now - RECENT).count()),
            str(failed.filter(updated_at__gte=now - 2 * RECENT, updated_at__lt=now - RECENT).count()),
            reverse("admin:billing_payment_changelist") + "?status__exact=failed",
        ),
        Figure("Recorder's lag now", recorder_lag()),
    ]


def recorder_lag() -> str:
    """For how long the oldest decision waits to be recorded."""
    try:
        return f"{get_journal().age_ms() / 1_000:.1f} s"
    except Away:
        return "unknown: Valkey does not answer"


def margins(now: datetime) -> list[Margin]:
    """The tenants that used most this month, the largest revenue first."""
    month = Period.of(now)
    used = UsageDay.objects.filter(day__gte=month.start.date(), day__lte=now.date(), livemode=True)
    most = used.values("tenant_id").annotate(all=Sum("units")).order_by("-all")[:SHOWN]
    units = {row["tenant_id"]: row["all"] for row in most}
    costs, revenues = _costs(units, month), _revenues(units, month)
    tenants = Tenant.objects.in_bulk(list(units))
    rows = [
        Margin(tenant, units[pk], revenues.get(pk, Decimal(0)), costs.get(pk, Decimal(0)))
        for pk, tenant in tenants.items()
    ]
    return sorted(rows, key=lambda row: -row.revenue)


def movements(before: Fees, after: Fees) -> Movements:
    """What came and went between two moments, by tenant. Pure."""
    changes = {pk: after.get(pk, Decimal(0)) - before.get(pk, Decimal(0)) for pk in {*before, *after}}
    return Movements(
        new=sum((after[pk] for pk in after if not before.get(pk)), Decimal(0)),
        expansion=sum((by for pk, by in changes.items() if by > 0 and before.get(pk)), Decimal(0)),
        contraction=sum((-by for pk, by in changes.items() if by < 0 and after.get(pk)), Decimal(0)),
        churn=sum((before[pk] for pk in before if not after.get(pk)), Decimal(0)),
    )


def fees_at(at: datetime) -> dict[int, Decimal]:
    """Tenant → the monthly fee of the plan in force at a moment, in dollars; without trials and tenants on a clock."""
    spans = PlanSpan.objects.filter(Q(ends_at=None) | Q(ends_at__gt=at), starts_at__lte=at, trial=False)
    rows = list(spans.filter(tenant__billing_clock=None).values_list("tenant_id", "plan_code"))
    currencies = dict(Subscription.objects.values_list("tenant_id", "currency"))
    found = {}
    for tenant_id, code in rows:
        currency = currencies.get(tenant_id, DEFAULT_CURRENCY)
        if fee := PLANS[code].prices[currency].monthly:
            found[tenant_id] = _in_dollars(fee, currency)
    return found


class _Moment(NamedTuple):
    start: datetime
    at: datetime


def _same_moment_before(now: datetime) -> _Moment:
    """As far into the month before as now is into this one; its end, where it is shorter."""
    month = Period.of(now)
    last = month.before()
    return _Moment(last.start, min(last.start + (now - month.start), last.end))


def _decisions(start: datetime, end: datetime) -> int:
    hours = UsageHour.objects.filter(hour__gte=start, hour__lt=end, livemode=True)
    return hours.aggregate(all=Sum("decisions"))["all"] or 0


def _invoiced(start: datetime, end: datetime) -> Decimal:
    issued = Invoice.objects.filter(issued_at__gte=start, issued_at__lt=end).exclude(status=Invoice.Status.VOID)
    sums = issued.values_list("currency").annotate(Sum("total"))
    return sum((_in_dollars(amount, currency) for currency, amount in sums), Decimal(0))


def _signed_up(start: datetime, end: datetime) -> int:
    return _counted(Tenant.objects.filter(created_at__gte=start, created_at__lt=end))


def _counted(rows: QuerySet[Tenant]) -> int:
    return int(rows.aggregate(all=Count("pk"))["all"])


def _costs(tenant_ids: Iterable[int], month: Period) -> dict[int, Decimal]:
    """What computing and keeping costs, test data included."""
    hours = UsageHour.objects.filter(tenant_id__in=tenant_ids, hour__gte=month.start, hour__lt=month.end)
    sums = hours.values_list("tenant_id").annotate(Sum("latency_us"), Sum("decisions"))
    return {
        pk: CPU_HOUR * Decimal(microseconds) / 3_600_000_000 + KEPT_DECISION * count for pk, microseconds, count in sums
    }


def _revenues(tenant_ids: Iterable[int], month: Period) -> dict[int, Decimal]:
    """What the month comes to so far."""
    return {pk: _in_dollars(one.cost(), one.currency) for pk, one in statements_of(tenant_ids, month).items()}


def _in_dollars(amount: Decimal, currency: str) -> Decimal:
    return amount * Decimal(str(CURRENCIES[currency].dollars))


def _dollars(amount: Decimal | int) -> str:
    return f"${amount:,.0f}"


def _signed(amount: Decimal) -> str:
    return f"{'−' if amount < 0 else '+'}${abs(amount):,.0f}" if amount else "$0"
