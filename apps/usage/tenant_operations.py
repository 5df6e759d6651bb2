"""Subscription changes by an operator. The row is changed and audited in one transaction, then the gate is told: it
holds from the next request on, on every process; while Valkey is away the recorder tells it later."""

from datetime import datetime
from typing import Any

from django.db import transaction

from apps.accounts.audit import record_audit
from apps.accounts.models import Tenant
from apps.api_keys.gate import Gate
from apps.api_keys.services import invalidate_pending
from apps.billing.models import Subscription
from apps.billing.subscriptions.services import agree


def change_subscription(
    *,
    tenant: Tenant,
    plan_code: str,
    rate_per_minute: int | None,
    included: int | None,
    gate: Gate,
    now: datetime,
    actor: str = "command",
    more: dict[str, Any] | None = None,
) -> Subscription:
    """What was agreed with a tenant: its plan, and limits of its own where they are given. Holds at once.

    `more`: other columns of the subscription, such as the spend cap.
    """
    agreed = {"plan_code": plan_code, "custom_rate_per_minute": rate_per_minute, "custom_included": included}
    with transaction.atomic():
        columns = {name: _plain(value) for name, value in (more or {}).items()}
        known = Subscription.objects.filter(tenant=tenant).values(*agreed, *columns).first()
        before = {name: _plain(value) for name, value in known.items()} if known else None
        changed = agree(
            tenant_id=tenant.pk,
            plan_code=plan_code,
            rate_per_minute=rate_per_minute,
            included=included,
            now=now,
            more=more,
        )
        _audit_subscription(tenant, before, agreed | columns, actor, now)
    invalidate_pending(gate)
    return changed


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def _audit_subscription(
    tenant: Tenant, before: dict[str, Any] | None, after: dict[str, Any], actor: str, now: datetime
) -> None:
    record_audit(
        tenant=tenant,
        actor=actor,
        action="subscription.changed",
        target=tenant.slug,
        before=before,
        after=after,
        now=now,
    )
