"""What the worker does on the schedule of config/celery.py."""

import logging

from celery import shared_task
from django.utils import timezone
from prometheus_client import Gauge

from apps.scoring.management.commands.reconcile import reconcile_month

log = logging.getLogger(__name__)

DIFFERENCES = Gauge(
    "palisade_reconciliation_differences", "Books that did not agree when last compared", multiprocess_mode="mostrecent"
)


@shared_task
def reconcile_books() -> int:
    """Compare this month's books; a difference is an alert. Harmless when repeated."""
    found = reconcile_month(timezone.now())
    DIFFERENCES.set(sum(not difference.corrected for difference in found))
    for difference in found:
        log.log(logging.WARNING if difference.corrected else logging.ERROR, "the books differ: %s", difference)
    return len(found)
