"""Celery tasks of simulations. A task that is lost is asked for again by whoever looks at its simulation."""

from celery import shared_task
from django.utils import timezone

from apps.accounts.models import Tenant
from apps.simulation import services


@shared_task
def simulate(tenant_id: int, simulation_id: str) -> None:
    """Run a simulation of a tenant's."""
    tenant = Tenant.objects.filter(pk=tenant_id).first()
    if tenant is not None:
        services.run(tenant, simulation_id, timezone.now())
