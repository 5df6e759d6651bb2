"""Whose time it is. A tenant in test mode has its own, moved by `manage.py billing_clock`; others have ours."""

from datetime import datetime

from apps.billing.models import BillingClock


def now_for(tenant_id: int, real_now: datetime) -> datetime:
    """The tenant's now."""
    row = BillingClock.objects.filter(tenant_id=tenant_id).only("now").first()
    return row.now if row else real_now


def on_a_clock() -> set[int]:
    """Tenants whose time is their own: what runs by the real clock leaves them alone."""
    return set(BillingClock.objects.values_list("tenant_id", flat=True))
