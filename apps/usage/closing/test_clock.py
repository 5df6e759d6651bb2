"""Billing's day: what time alone brings about. The real clock runs it for everybody, a billing clock for one tenant.

timelines    scheduled plans begin, trials end (and are announced three days before)
closing      last month is invoiced
collecting   what is due is tried, who does not pay becomes past due, limited, cancelled
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db import transaction

from apps.accounts.models import Tenant
from apps.billing.collecting import payments
from apps.billing.collecting.providers import get_gateway
from apps.billing.models import BillingClock, ClockStep, Invoice, PlanSpan
from apps.billing.subscriptions.services import follow_timelines, notify_trials_ending
from apps.periods import Period
from apps.usage.closing.closing import close_period

#: A billing clock stops at least this often; a failed card is tried again on its day, not at its month's end.
STEP = timedelta(days=1)


def start_clock(tenant: Tenant, now: datetime) -> BillingClock:
    """Give a tenant a time of its own, beginning now. Real time leaves it alone from here on."""
    return BillingClock.objects.get_or_create(tenant=tenant, defaults={"now": now})[0]


def advance(tenant: Tenant, by: timedelta, real_now: datetime | None = None) -> Iterator[datetime]:
    """Walk a tenant's clock through each of its days and moments; those it stopped at.

    `real_now`: what is used from then on counts at the moment the clock is moved to.
    """
    begun = BillingClock.objects.get(tenant=tenant).now
    if real_now is not None and by:
        ClockStep.objects.create(tenant=tenant, real_at=real_now, clock_at=begun + by)
    for moment in stops(tenant, begun, begun + by):
        live(tenant, moment)
        yield moment


def stops(tenant: Tenant, begun: datetime, end: datetime) -> Iterator[datetime]:
    """Midnights and ends of spans in (begun, end], and the end itself, in their order."""
    moment = begun
    while moment < end:
        midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0) + STEP
        spans = PlanSpan.objects.filter(tenant=tenant, ends_at__gt=moment).order_by("ends_at")
        ends = [one for one in spans.values_list("ends_at", flat=True)[:1] if one]
        moment = min([midnight, end, *ends])
        yield moment


def live(tenant: Tenant, now: datetime) -> list[Invoice]:
    """Let it be `now` for a tenant: whatever is due by then happens. Harmless when repeated."""
    with transaction.atomic():
        BillingClock.objects.filter(tenant=tenant).update(now=now)
        follow_timelines(now, tenant.pk)
        notify_trials_ending(now, tenant.pk)
    issued = list(close_period(Period.of(now).before(), Tenant.objects.filter(pk=tenant.pk), now))
    gateway = get_gateway()
    payments.recover(gateway, now, tenant_ids=[tenant.pk])
    payments.collect_due(gateway, now, tenant_ids=[tenant.pk])
    return issued
