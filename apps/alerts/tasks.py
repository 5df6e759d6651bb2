"""Celery tasks of alerts, on the schedule of config/celery.py."""

from celery import shared_task
from django.utils import timezone

from apps.alerts.evaluation import evaluate


@shared_task(expires=60)
def look_each_minute() -> int:
    """What is looked at each minute, and what is to be sent. Harmless when repeated."""
    return evaluate("minute", timezone.now())


@shared_task
def look_each_hour() -> int:
    """What is held against full hours and days. Harmless when repeated."""
    return evaluate("hour", timezone.now())
