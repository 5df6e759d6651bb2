"""Celery tasks of own models. The table is the queue: `go_on` trains what waits there, one after the other."""

from contextlib import suppress

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from apps.accounts.models import Tenant
from apps.api_keys.services import get_gate
from apps.own_models import refill, retraining, services, shadows, training
from apps.valkey import Away, server


@shared_task
def go_on() -> int:
    """Train every model that waits; how many. Harmless when repeated: a model is trained by one worker at a time."""
    trained = 0
    for tenant in Tenant.objects.filter(closed_at=None, suspended_at=None).order_by("pk"):
        for model_id in list(services.waiting(tenant)):
            trained += training.run(tenant, model_id, timezone.now())
    return trained


@shared_task
def retrain() -> int:
    """Ask for a training of each model that is trained again every week; how many."""
    return retraining.ask_all(timezone.now())


@shared_task
def refill_lost() -> int:
    """Bring back what own models know of parties where Valkey lost it; of how many tenants. Away, it is tried again."""
    valkey, filled = server(settings.REDIS_URL, settings.REDIS_TIMEOUT), 0
    with suppress(Away):
        for tenant in Tenant.objects.filter(closed_at=None, suspended_at=None).order_by("pk"):
            filled += bool(refill.refill_lost(tenant, valkey))
    return filled


@shared_task
def compare_shadows() -> int:
    """Hold every model in shadow against what decided, and promote where the stated conditions are met; how many."""
    return shadows.compare_all(timezone.now(), get_gate())
