"""Budgets: a tenant is notified when its month reaches a percentage of the included volume, or of its spend cap.

Where several are reached at once webhooks get each, and one mail tells the highest.

Each threshold of each of the two is told once a month: its event's key is what makes it so, however often and by how
many workers it is looked at.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Literal, NamedTuple

from django.db import transaction
from msgspec import UNSET, UnsetType

from apps.accounts.audit import record_audit
from apps.accounts.models import Tenant
from apps.billing.models import Subscription
from apps.billing.notifications import notify_customer
from apps.billing.rating.money import rounded, shown
from apps.billing.rating.pricing import included_units
from apps.billing.subscriptions.services import set_spend_cap
from apps.formats import number_text
from apps.notifications.models import Event
from apps.periods import Period
from apps.usage.models import Budget, UsageDay
from apps.usage.statements import reads
from apps.usage.statements.costs import MonthStatement

#: Percentages that are told unless a tenant has chosen its own.
DEFAULT = (80, 100)
#: A tenant may choose so many, of these percentages.
MOST_THRESHOLDS = 10
LEAST_PERCENT, MOST_PERCENT = 1, 100
#: Tenants looked at together.
TOGETHER = 500


class BudgetState(NamedTuple):
    """How much of a limit is used: units of the included volume, or money of the spend cap."""

    budget: Literal["included", "spend_cap"]
    used: Decimal
    limit: Decimal
    unit: str

    def reached(self, thresholds: Iterable[int]) -> Iterator[int]:
        """The percentages that are used up, the lowest first."""
        return (
            threshold
            for threshold in sorted(thresholds)
            if self.limit > 0 and 100 * self.used >= threshold * self.limit
        )


class Alert(NamedTuple):
    """A threshold that was reached, with its notification."""

    reached_at: datetime
    budget: Literal["included", "spend_cap"]
    threshold: int


class Reached(NamedTuple):
    """A threshold that was reached. `highest`: no other one of this limit and month is above it."""

    tenant_id: int
    state: BudgetState
    threshold: int
    highest: bool

    def key(self, period: Period) -> str:
        """The key under which it is notified once."""
        return _key(period, self.state.budget, self.threshold)


def budget_states(month: MonthStatement, cap: Decimal | None) -> Iterator[BudgetState]:
    """A month against its limits."""
    yield BudgetState("included", Decimal(month.used), Decimal(included_units(month.terms, month.period)), "units")
    if cap is not None:
        yield BudgetState("spend_cap", month.cost(), rounded(cap, month.currency), month.currency)


def cap_effect(month: MonthStatement, cap: Decimal | None) -> str:
    """Say in a sentence what a cap does to the rest of the month; empty without one.

    What the fee has paid for is never refused: a cap below what is spent stops what is beyond it, not the month.
    """
    if cap is None:
        return ""
    cost, currency = month.cost(), month.currency
    spent, bound = shown(cost, currency), shown(cap, currency)
    included = max(included_units(month.terms, month.period) - month.used, 0)
    if cost < cap:
        left = shown(cap - cost, currency)
        return f"{spent} of {bound} are spent; {left} are left for decisions beyond the included ones."
    standing = f"{spent} are spent, {'more than' if cost > cap else 'which is all of'} the cap of {bound}"
    if included:
        return f"{standing}: the {number_text(included)} included decisions left are paid for; beyond them calls stop."
    return f"{standing}: calls are refused until the cap is raised or the month is over."


def notify_reached(now: datetime) -> int:
    """Notify all who used anything since yesterday and reached a threshold; how many were notified anew."""
    days = UsageDay.objects.filter(day__gte=now.date() - timedelta(days=1), livemode=True)
    active = days.order_by("tenant_id").values_list("tenant_id", flat=True).distinct()
    return sum(_notify(ids, now) for ids in _chunks(active))


def thresholds_of(tenant_ids: Sequence[int]) -> Mapping[int, Sequence[int]]:
    own = dict(Budget.objects.filter(tenant_id__in=tenant_ids).values_list("tenant_id", "thresholds"))
    return {tenant_id: own.get(tenant_id, DEFAULT) for tenant_id in tenant_ids}


@transaction.atomic
def change_budget(
    *,
    tenant_id: int,
    spend_cap: Decimal | UnsetType | None,
    thresholds: Iterable[int] | UnsetType,
    now: datetime,
    actor: str,
) -> None:
    """Change the cap, the thresholds or both; what is UNSET stays. Raises `NotPossible`: then neither is changed."""
    if spend_cap is not UNSET:
        set_spend_cap(tenant_id=tenant_id, cap=spend_cap, now=now, actor=actor)
    if thresholds is not UNSET:
        set_thresholds(tenant=Tenant.objects.get(pk=tenant_id), thresholds=thresholds, now=now, actor=actor)


@transaction.atomic
def set_thresholds(*, tenant: Tenant, thresholds: Iterable[int], now: datetime, actor: str = "command") -> None:
    """The tenant's own percentages instead of `DEFAULT`. Harmless when repeated."""
    wanted = sorted(set(thresholds))
    before = list(thresholds_of([tenant.pk])[tenant.pk])
    if wanted == before:
        return
    Budget.objects.update_or_create(tenant=tenant, defaults={"thresholds": wanted})
    record_audit(
        tenant=tenant,
        actor=actor,
        action="budget.changed",
        target=tenant.slug,
        before={"thresholds": before},
        after={"thresholds": wanted},
        now=now,
    )


def alerts_of(tenant_id: int, period: Period) -> list[Alert]:
    """The alerts of a month, the first one first."""
    begin = f"{tenant_id}:{_key(period, '')}"
    rows = Event.objects.filter(tenant_id=tenant_id, kind="budget.reached", key__startswith=begin)
    return sorted(Alert(event.occurred_at, event.data["budget"], event.data["threshold"]) for event in rows)


def _notify(tenant_ids: Sequence[int], now: datetime) -> int:
    period = Period.of(now)
    months = reads.statements_of(tenant_ids, period)
    caps = dict(Subscription.objects.filter(tenant_id__in=tenant_ids).values_list("tenant_id", "spend_cap"))
    thresholds = thresholds_of(tenant_ids)
    reached = [
        alert
        for tenant_id, month in months.items()
        for state in budget_states(month, caps.get(tenant_id))
        for alert in _reached(tenant_id, state, thresholds[tenant_id])
    ]
    keys = [f"{alert.tenant_id}:{alert.key(period)}" for alert in reached]
    known = set(Event.objects.filter(key__in=keys).values_list("key", flat=True))
    new = [alert for alert, key in zip(reached, keys, strict=True) if key not in known]
    tenants = Tenant.objects.in_bulk([alert.tenant_id for alert in new])
    return sum(_notify_one(tenants[alert.tenant_id], alert, period, now) for alert in new if alert.tenant_id in tenants)


def _reached(tenant_id: int, state: BudgetState, thresholds: Iterable[int]) -> list[Reached]:
    """What is reached of one limit; the last is the highest."""
    reached = list(state.reached(thresholds))
    return [Reached(tenant_id, state, threshold, threshold == reached[-1]) for threshold in reached]


def _notify_one(tenant: Tenant, alert: Reached, period: Period, now: datetime) -> bool:
    state = alert.state
    data = {
        "budget": state.budget,
        "threshold": alert.threshold,
        "used": str(state.used),
        "limit": str(state.limit),
        "unit": state.unit,
        "period": str(period),
    }
    return notify_customer(tenant, "budget.reached", data, key=alert.key(period), now=now, mailed=alert.highest)


def _key(period: Period, budget: str, threshold: int | str = "") -> str:
    return f"budget:{period}:{budget}:{threshold}" if budget else f"budget:{period}:"


def _chunks(ids: Iterable[int]) -> Iterator[Sequence[int]]:
    rest = iter(ids)
    while chunk := list(islice(rest, TOGETHER)):
        yield chunk
