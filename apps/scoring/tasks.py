"""Celery tasks of scoring, on the schedule of config/celery.py."""

import logging
from datetime import datetime, timedelta

from celery import shared_task
from django.conf import settings
from django.utils import timezone
from prometheus_client import Gauge

from apps.accounts.models import Tenant
from apps.accounts.services import USAGE_BOOKS, record_check
from apps.scoring import feature_drift, folds, months
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.lists import publishing
from apps.scoring.lists import services as lists
from apps.scoring.reconciliation import reconcile_month
from apps.valkey import Away, server

log = logging.getLogger(__name__)

VECTORS = Gauge(
    "palisade_feature_vectors_compared",
    "Of yesterday's vectors, made again",
    ["schema"],
    multiprocess_mode="mostrecent",
)
MISMATCH_RATE = Gauge(
    "palisade_feature_vector_mismatch_rate",
    "Share of those that came out otherwise than they were scored",
    ["schema"],
    multiprocess_mode="mostrecent",
)


@shared_task
def reconcile_books() -> int:
    """Compare this month's books; a difference is an alert. Harmless when repeated."""
    now = timezone.now()
    found = [difference for books in reconcile_month(now, now) for difference in books.differences]
    open_ones = [str(difference) for difference in found if not difference.corrected]
    record_check(USAGE_BOOKS, open_ones, now)
    for difference in found:
        log.log(logging.WARNING if difference.corrected else logging.ERROR, "the books differ: %s", difference)
    return len(found)


@shared_task
def compare_vectors() -> dict[str, float]:
    """Make a hundredth of yesterday's feature vectors again from what is stored; the mismatch rate of each schema."""
    end = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    return {name: _mismatch_rate(name, end - timedelta(days=1), end) for name in SCHEMAS}


@shared_task(expires=60)
def publish_lists() -> int:
    """Write the lists Valkey is still to hear of; how many. While it is away there is nothing to be done."""
    try:
        return publishing.publish_pending(server(settings.REDIS_URL, settings.REDIS_TIMEOUT))
    except Away:
        return 0


@shared_task
def tidy_lists() -> int:
    """End the rows of what has expired, and those of deleted lists; how many."""
    valkey, now = server(settings.REDIS_URL, settings.REDIS_TIMEOUT), timezone.now()
    return sum(lists.tidy(tenant=tenant, valkey=valkey, now=now) for tenant in Tenant.objects.all())


@shared_task
def fold_months() -> int:
    """Add up months of decisions that are over, and those that were counted into since; how many."""
    now, tenants = timezone.now(), Tenant.objects.filter(closed_at=None)
    return sum(months.fold_closed(tenant.schema_name, folds.DECISIONS, now) for tenant in tenants)


def _mismatch_rate(schema: str, start: datetime, end: datetime) -> float:
    compared = differing = 0
    for tenant in Tenant.objects.all():
        found = feature_drift.compare(tenant.schema_name, SCHEMAS[schema], start, end)
        compared, differing = compared + found.compared, differing + found.differing
        if found.differing:
            log.warning(
                "%s: %d of %d %s vectors differ: %s",
                tenant.slug, found.differing, found.compared, schema, dict(found.features),
            )  # fmt: skip
    rate = differing / compared if compared else 0.0
    VECTORS.labels(schema).set(compared)
    MISMATCH_RATE.labels(schema).set(rate)
    return rate
