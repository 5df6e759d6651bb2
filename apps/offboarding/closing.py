"""Closing a tenant, as a story:

asked      an owner closes it: keys are refused from the next request on, the plan ends, owners and admins are told
grace      30 days: pages, invoices and exports can still be read; an owner can undo it, and everything is as before
last       the month's invoice is made when the month ends, as always: the fee up to the closing, and what was used
finished   keys, webhooks, decisions, policies, memberships and exports are removed; what the money's books need stays

Keys stop at once, not at the end of the month: whoever closes an account at Stripe expects that nobody can run up costs
with it any more. Nothing is lost by it, for the fee is cut to the second.
"""

import logging
from datetime import datetime
from typing import NamedTuple

from django.db import transaction

from apps.accounts.audit import record_audit
from apps.accounts.models import Tenant
from apps.api_keys.gate import Gate
from apps.api_keys.services import invalidating
from apps.billing.collecting import payment_methods
from apps.billing.collecting.gateway import Gateway, GatewayError
from apps.billing.models import Closing, Subscription
from apps.billing.rating.plans import current
from apps.billing.receivables import delinquency
from apps.billing.subscriptions import services as subscriptions
from apps.billing.subscriptions import timeline
from apps.notifications.services import notify
from apps.offboarding import removal
from apps.offboarding.models import GRACE, Closure
from apps.periods import Period
from apps.times import rfc3339
from apps.valkey import Away, Valkey

log = logging.getLogger(__name__)


class NotPossible(ValueError):
    """What was asked can't be: the message says why."""


def close_tenant(*, tenant: Tenant, gate: Gate, now: datetime, actor: str) -> Closure:
    """Close a tenant; the closure. Harmless when repeated."""
    with transaction.atomic():
        row = Tenant.objects.select_for_update().get(pk=tenant.pk)
        return Closure.objects.filter(tenant=row).first() or _close(row, gate, now, actor)


def reopen_tenant(*, tenant: Tenant, gate: Gate, now: datetime, actor: str) -> None:
    """Undo a closing: keys work again, and what was agreed holds again. Raises `NotPossible` when the data is gone."""
    with transaction.atomic():
        row = Tenant.objects.select_for_update().get(pk=tenant.pk)
        closure = Closure.objects.filter(tenant=row).first()
        if closure is None:
            return
        if closure.finished_at is not None:
            raise NotPossible("The data was removed: sign up anew.")
        _reopen(row, closure, gate, now, actor)


class Outside(NamedTuple):
    """What stands beside the database and is asked to forget, too."""

    valkey: Valkey
    gateway: Gateway


def finish_closures(now: datetime, outside: Outside) -> int:
    """Remove what belongs to tenants whose grace is over and whose last month is invoiced; how many.

    One of whom the provider or Valkey can't be told just now waits for the next time.
    """
    due, finished = Closure.objects.filter(finished_at=None, ends_at__lte=now), 0
    for closure in due.select_related("tenant").order_by("pk"):
        try:
            finished += _finish(closure, outside, now)
        except (GatewayError, Away) as reason:
            log.warning("tenant %s can't be removed yet: %s", closure.tenant.handle, reason)
    return finished


def _close(tenant: Tenant, gate: Gate, now: datetime, actor: str) -> Closure:
    subscription = subscriptions.subscription_of(tenant.pk)
    span = timeline.span_at(tenant.pk, now)
    closure = Closure.objects.create(
        tenant=tenant,
        asked_at=now,
        asked_by=actor,
        ends_at=now + GRACE,
        plan_code=current("free").code if span and span.trial else subscription.plan_code,
        custom_rate_per_minute=subscription.custom_rate_per_minute,
        custom_included=subscription.custom_included,
    )
    subscriptions.cancel_now(tenant_id=tenant.pk, now=now, actor=actor)
    _set_closed(tenant, now, gate)
    after = {"until": rfc3339(closure.ends_at)}
    record_audit(tenant=tenant, actor=actor, action="tenant.closing", target=tenant, after=after, now=now)
    data = {"by": actor, "until": rfc3339(closure.ends_at)}
    notify(tenant=tenant, kind="account.closing", data=data, key=f"closing:{closure.pk}", now=now)
    return closure


def _reopen(tenant: Tenant, closure: Closure, gate: Gate, now: datetime, actor: str) -> None:
    subscriptions.agree(
        tenant_id=tenant.pk,
        plan_code=closure.plan_code,
        rate_per_minute=closure.custom_rate_per_minute,
        included=closure.custom_included,
        now=now,
        more={"status": Subscription.Status.ACTIVE},
    )
    delinquency.refresh(tenant.pk, now)
    _set_closed(tenant, None, gate)
    after = {"plan": closure.plan_code}
    record_audit(tenant=tenant, actor=actor, action="tenant.reopened", target=tenant, after=after, now=now)
    notify(tenant=tenant, kind="account.reopened", data={"by": actor}, key=f"reopened:{closure.pk}", now=now)
    closure.delete()


def _set_closed(tenant: Tenant, at: datetime | None, gate: Gate) -> None:
    """The gate hears of it once that is committed."""
    Tenant.objects.filter(pk=tenant.pk).update(closed_at=at)
    invalidating(gate)(tenant)


@transaction.atomic
def _finish(closure: Closure, outside: Outside, now: datetime) -> bool:
    """Once, by whoever is first. Whether it was done. Raises `GatewayError`, `Away`: then nothing was."""
    row = Closure.objects.select_for_update().select_related("tenant").get(pk=closure.pk)
    if row.finished_at is not None or not _is_invoiced(row):
        return False
    Closure.objects.filter(pk=row.pk).update(finished_at=now)
    tenant = row.tenant
    payment_methods.remove_customer(tenant, outside.gateway, now)
    removal.forget_traces(tenant, outside.valkey)
    removal.forget_notifications(tenant)
    data = {"name": tenant.name}
    notify(tenant=tenant, kind="account.closed", data=data, key=f"closed:{row.pk}", now=now)
    removal.remove(tenant)
    record_audit(tenant=tenant, actor="closing", action="tenant.closed", target=tenant, now=now)
    return True


def _is_invoiced(closure: Closure) -> bool:
    """Whether the month of the closing was closed: no month after it brings anything."""
    period = str(Period.of(closure.asked_at))
    return Closing.objects.filter(tenant=closure.tenant, period=period).exists()
