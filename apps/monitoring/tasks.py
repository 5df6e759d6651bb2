"""Celery tasks of monitoring, on the schedule of config/celery.py."""

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from apps.monitoring import figures
from apps.valkey import server


@shared_task
def take_figures() -> int:
    """Take the figures that are told every half minute; how many there are."""
    return figures.take(server(settings.REDIS_URL, settings.REDIS_TIMEOUT), "often", timezone.now())


@shared_task
def take_hourly_figures() -> int:
    """Take those for which every tenant's schema is asked."""
    return figures.take(server(settings.REDIS_URL, settings.REDIS_TIMEOUT), "hourly", timezone.now())
