"""The test clock: a tenant in test mode has a time of its own, moved by `manage.py billing_clock`; others have ours."""

from datetime import datetime

from apps.billing.models import BillingClock, ClockStep
from apps.one_look import asked_once


def now_for(tenant_id: int, real_now: datetime) -> datetime:
    """The tenant's now."""
    row = _clock(tenant_id)
    return row.now if row else real_now


@asked_once
def _clock(tenant_id: int) -> BillingClock | None:
    return BillingClock.objects.filter(tenant_id=tenant_id).only("now").first()


def steps_of(tenant_id: int) -> list[ClockStep]:
    """How a tenant's clock was moved, the earliest first; none for whom real time holds."""
    return list(ClockStep.objects.filter(tenant_id=tenant_id).order_by("real_at", "pk"))
