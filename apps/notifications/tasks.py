"""Celery tasks of the outbox; sending is `manage.py deliver`'s."""

from celery import shared_task
from django.utils import timezone

from apps.notifications import delivery


@shared_task
def forget_old_deliveries() -> int:
    """Delete what was settled long ago. Harmless when repeated."""
    return delivery.forget_old(timezone.now())
