"""What the worker does about usage, on the schedule of config/celery.py."""

from celery import shared_task
from django.utils import timezone

from apps.usage import budgets


@shared_task(expires=60)
def tell_budgets() -> int:
    """Tell tenants that reached a threshold of a budget. Harmless when repeated."""
    return budgets.tell_reached(timezone.now())
