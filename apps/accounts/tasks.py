"""Celery tasks of accounts, on the schedule of config/celery.py."""

from celery import shared_task

from apps.accounts import ready_schemas


@shared_task
def stock_schemas() -> int:
    """Keep as many schemas ready for tenants to come as the settings say; how many were built."""
    return ready_schemas.stock()
