"""Celery tasks of review, on the schedule of config/celery.py."""

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from apps.accounts.models import Tenant
from apps.review import history_marks
from apps.review.cases import queues
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
