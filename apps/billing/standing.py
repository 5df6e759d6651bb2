"""Where a tenant stands: what its unpaid invoices make of it."""

from datetime import datetime

from django.db import transaction

from apps.accounts.models import Tenant
from apps.billing import clock, dunning, owing, services
from apps.billing.models import Subscription
from apps.billing.telling import tell_standing

Status = Subscription.Status
#: Not in good standing.
BAD = (Status.PAST_DUE, Status.LIMITED, Status.CANCELLED)


@transaction.atomic
def refresh(tenant_id: int, now: datetime) -> str:
    """Note where a tenant stands at `now` (or at its own clock's time): active, past_due, limited or cancelled.

    The gate is told inside this very transaction: no kill between the two can leave somebody limited who has paid.
    """
    Tenant.objects.select_for_update(no_key=True).get(pk=tenant_id)
    now = clock.now_for(tenant_id, now)
    status = services.subscription_of(tenant_id).status
    since = owing.hopeless_since(tenant_id, now)
    wanted = dunning.standing(since, now)
    if wanted != (status if status in BAD else "active"):
        _move(tenant_id, wanted, since, now)
    return wanted


def _move(tenant_id: int, wanted: str, since: datetime | None, now: datetime) -> None:
    plan = services.plan_for(tenant_id)[0].name
    if wanted == "cancelled":
        services.cancel_now(tenant_id=tenant_id, now=now)
    else:
        services.set_status(tenant_id=tenant_id, status=wanted, now=now)
    tell_standing(tenant_id, plan, wanted, since, now)
