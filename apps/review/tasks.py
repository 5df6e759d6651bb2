"""Celery tasks of review, on the schedule of config/celery.py."""

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from apps.accounts.models import Tenant
from apps.review import history_marks, label_months
from apps.review.cases import queues
from apps.scoring import months
from apps.valkey import server


@shared_task
def mark_histories() -> int:
    """Tell the parties' history of labels that Valkey missed; how many waited. Harmless when repeated."""
    valkey, now = server(settings.REDIS_URL, settings.REDIS_TIMEOUT), timezone.now()
    return sum(history_marks.mark_waiting(tenant, valkey, now) for tenant in Tenant.objects.filter(closed_at=None))


@shared_task(expires=60)
def move_aged_cases() -> int:
    """Move cases into queues of old ones; how many moved. Harmless when repeated."""
    return queues.sort_aged_everywhere(timezone.now())


@shared_task
def fold_months() -> int:
    """Add up months of labels whose decisions' month is over, and those that were labelled since; how many."""
    now, tenants = timezone.now(), Tenant.objects.filter(closed_at=None)
    return sum(months.fold_closed(tenant.schema_name, label_months.SUBJECT, now) for tenant in tenants)
