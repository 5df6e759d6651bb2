"""Signing up for a plan, and what a tenant's plan is."""

from datetime import datetime

from django.db import transaction

from apps.accounts.models import Tenant
from apps.accounts.services import create_tenant
from apps.billing.models import Subscription
from apps.billing.plans import PLANS, Plan, current


@transaction.atomic
def sign_up(
    *,
    slug: str,
    name: str,
    plan: str,
    now: datetime,
    rate_per_minute: int | None = None,
    included: int | None = None,
    actor: str = "command",
) -> Tenant:
    """A new tenant on a plan, with limits of its own where they are given."""
    tenant = create_tenant(slug=slug, name=name, now=now, actor=actor)
    Subscription.objects.create(
        tenant=tenant,
        plan_code=current(plan).code,
        started_at=now,
        custom_rate_per_minute=rate_per_minute,
        custom_included=included,
    )
    return tenant


def plan_for(tenant_id: int) -> tuple[Plan, int, int]:
    """A tenant's plan, its requests a minute and its included units a month."""
    subscription = Subscription.objects.filter(tenant_id=tenant_id).first()
    if subscription is None:
        plan = current("free")
        return plan, plan.rate_per_minute, plan.included
    plan = PLANS[subscription.plan_code]
    rate, included = subscription.custom_rate_per_minute, subscription.custom_included
    return plan, rate or plan.rate_per_minute, plan.included if included is None else included
