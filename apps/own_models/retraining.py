"""Weekly retraining: trains, compares, and, where that is set, promotes when better beyond the interval.

The comparison that counts is with the model that decides now, on the same later weeks: for want of an own champion with
the shared one. A retrained model that is not better stays a candidate, and whoever answers for the tenant is told.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.utils import timezone

from apps.accounts.models import Tenant
from apps.accounts.tenancy import in_tenant
from apps.api_keys.gate import Gate
from apps.own_models import services
from apps.own_models.services import NotNow, TooLittle
from apps.scoring.models import OwnModel, OwnModelSettings

State = OwnModel.State
EVERY = timedelta(days=7)
ACTOR = "weekly retraining"


def ask_all(now: datetime) -> int:
    """Ask for a training of each schema's model that is due; how many were asked for."""
    return sum(_ask(tenant, now) for tenant in Tenant.objects.filter(closed_at=None, suspended_at=None).order_by("pk"))


def _ask(tenant: Tenant, now: datetime) -> int:
    asked = 0
    for row in list(_due(tenant, now)):
        latest = _latest(tenant, row)
        try:
            services.ask_training(
                tenant=tenant, livemode=row.livemode, schema=row.schema,
                families=latest.families if latest else services.USUAL_FAMILIES, since=None, until=None,
                maturity_days=latest.maturity_days if latest else None, now=now, actor=ACTOR,
                retrains=latest.pk if latest else "",
            )  # fmt: skip
            asked += 1
        except (NotNow, TooLittle):
            continue  # next week
    return asked


def _due(tenant: Tenant, now: datetime) -> Iterator[OwnModelSettings]:
    with in_tenant(tenant):
        for row in OwnModelSettings.objects.filter(weekly=True):
            asked = OwnModel.objects.filter(schema=row.schema, livemode=row.livemode, asked_at__gt=now - EVERY)
            if not asked.exists():
                yield row


def _latest(tenant: Tenant, row: OwnModelSettings) -> OwnModel | None:
    with in_tenant(tenant):
        trained = OwnModel.objects.filter(schema=row.schema, livemode=row.livemode).exclude(trained_at=None)
        return trained.order_by("-trained_at").first()


def promoted_if_better(tenant: Tenant, model: OwnModel, gate: Gate) -> bool:
    """Promote a retrained model where that is set and it is better beyond the interval than what decides now."""
    with in_tenant(tenant):
        found = OwnModelSettings.objects.filter(schema=model.schema, livemode=model.livemode).first()
    compared = model.comparison or {}
    better = compared.get("better_than_champion", compared.get("better_beyond_interval"))
    if not (model.asked_by == ACTOR and found and found.promotes and better):
        return False
    services.promote(tenant=tenant, model=model, gate=gate, now=timezone.now(), actor=ACTOR)
    return True
