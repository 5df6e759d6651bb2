"""Celery tasks of payments, on the schedule of config/celery.py. Each is harmless when repeated."""

import logging
from collections.abc import Iterable

from celery import shared_task
from django.utils import timezone
from prometheus_client import Gauge

from apps.accounts.models import Tenant
from apps.accounts.services import PROVIDER_BOOKS, record_check
from apps.billing.collecting import customer_tax_ids, payments, provider_events, reconciliation, refunds
from apps.billing.collecting.gateway import GatewayError
from apps.billing.collecting.providers import get_gateway
from apps.billing.receivables import receivables

log = logging.getLogger(__name__)

UNANSWERED = Gauge(
    "palisade_payments_unanswered", "Tries of a payment without a last word", multiprocess_mode="mostrecent"
)


@shared_task
def work_through_events() -> int:
    """Work through the provider's events that came since."""
    return provider_events.work_through(get_gateway(), timezone.now())


@shared_task
def collect_payments() -> int:
    """Ask again where there was no answer, try what is due, note where everybody stands; the tries made."""
    gateway, now = get_gateway(), timezone.now()
    payments.recover(gateway, now)
    refunds.recover(gateway, now)
    UNANSWERED.set(payments.unanswered())
    return payments.collect_due(gateway, now, tenant_ids=_on_real_time(receivables.tenants_owing()))


def _on_real_time(tenant_ids: Iterable[int]) -> list[int]:
    """Those without a test clock, in their order."""
    ids = list(tenant_ids)
    real = set(Tenant.objects.on_real_time().filter(pk__in=ids).values_list("pk", flat=True))
    return [tenant_id for tenant_id in ids if tenant_id in real]


@shared_task
def tell_tax_ids() -> int:
    """Tell the provider of tax ids that changed; how many were told."""
    return customer_tax_ids.tell_due(get_gateway())


@shared_task
def reconcile_with_provider() -> int:
    """Compare with the provider's own books; a difference is an alert."""
    gateway = get_gateway()
    if not gateway.collects:
        return 0
    try:
        report = reconciliation.reconcile(gateway, timezone.now())
    except GatewayError as away:
        log.error("the provider's books could not be read: %s", away)
        raise
    record_check(PROVIDER_BOOKS, report.differences, timezone.now())
    for difference in report.differences:
        log.error("the provider's books differ: %s", difference)
    return len(report.differences)
