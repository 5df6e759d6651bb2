"""Delinquency: the status that unpaid invoices give a tenant."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from apps import times
from apps.accounts.models import Tenant
from apps.billing.models import Subscription
from apps.billing.notifications import notify_customer
from apps.billing.receivables import dunning, receivables
from apps.billing.subscriptions import services, test_clock

Status = Subscription.Status
#: Not in good standing.
BAD = (Status.PAST_DUE, Status.LIMITED, Status.CANCELLED)
#: What a standing is called in the outbox.
_STANDINGS = {
    "active": "subscription.restored",
    "past_due": "subscription.past_due",
    "limited": "subscription.limited",
    "cancelled": "subscription.cancelled",
}


@transaction.atomic
def refresh(tenant_id: int, now: datetime) -> str:
    """Note where a tenant stands at `now` (or at its own clock's time): active, past_due, limited or cancelled.

    The gate is told inside this very transaction: no kill between the two can leave somebody limited who has paid.
    """
    Tenant.objects.select_for_update(no_key=True).get(pk=tenant_id)
    now = test_clock.now_for(tenant_id, now)
    status = services.subscription_of(tenant_id).status
    since = receivables.hopeless_since(tenant_id, now)
    wanted = dunning.standing(since, now)
    if wanted != (status if status in BAD else "active"):
        _move(tenant_id, wanted, since, now)
    return wanted


def _move(tenant_id: int, wanted: str, since: datetime | None, now: datetime) -> None:
    plan, ended = services.plan_for(tenant_id)[0].name, {}
    if wanted == "cancelled":
        ended = services.cancel_now(tenant_id=tenant_id, now=now)
    else:
        services.set_status(tenant_id=tenant_id, status=wanted, now=now)
    _notify(tenant_id, plan, wanted, since, now, ended)


def _notify(
    tenant_id: int, plan: str, wanted: str, since: datetime | None, now: datetime, ended_limits: Mapping[str, int]
) -> None:
    """Tell that a tenant became past due, limited, cancelled (with what limits of its own ended), or is as before."""
    data: dict[str, Any] = {"plan": plan}
    if wanted == "cancelled":
        data |= {"at": times.rfc3339(now), "ended_limits": ended_limits or None}
    if wanted == "past_due":
        oldest = receivables.open_invoices(tenant_id)[0]
        data |= {"number": oldest.number, "total": str(oldest.money(oldest.total)), "currency": oldest.currency}
        data["amount_due"] = str(receivables.due(oldest))
    key = f"standing:{tenant_id}:{wanted}:{(since or now).isoformat()}"
    notify_customer(Tenant.objects.get(pk=tenant_id), _STANDINGS[wanted], data, key=key, now=now)
