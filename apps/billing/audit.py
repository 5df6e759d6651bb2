"""The audit trail of a tenant's billing, dated by our time, whatever the tenant's own clock says."""

from datetime import datetime
from typing import Any

from django.utils import timezone

from apps.accounts.models import Tenant
from apps.accounts.services import record_audit
from apps.billing.models import BillingClock


def record(
    *,
    tenant: Tenant,
    actor: str,
    action: str,
    target: str,
    now: datetime,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """One line. For a tenant on a clock it is dated by ours, and its own time stands beside it (`clock`)."""
    own = BillingClock.objects.filter(tenant=tenant).values_list("now", flat=True).first()
    if own is not None:
        now, after = timezone.now(), {**(after or {}), "clock": own.isoformat()}
    record_audit(tenant=tenant, actor=actor, action=action, target=target, before=before, after=after, now=now)
