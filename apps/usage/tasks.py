"""Celery tasks of usage, on the schedule of config/celery.py."""

from celery import shared_task
from django.utils import timezone

from apps.billing.subscriptions.services import follow_timelines, notify_trials_ending
from apps.usage.closing import closing
from apps.usage.statements import budgets


@shared_task(expires=60)
def notify_budgets() -> int:
    """Tell tenants that reached a threshold of a budget. Harmless when repeated."""
    return budgets.notify_reached(timezone.now())


@shared_task(expires=60)
def follow_plans() -> int:
    """Scheduled plans begin, trials end or are announced to."""
    now = timezone.now()
    notify_trials_ending(now)
    return len(follow_timelines(now))


@shared_task
def close_months() -> int:
    """Invoice last month where that was not done yet; the invoices issued. Harmless when repeated."""
    return closing.close_due(timezone.now())
