"""Reconciles a month: counts the decisions stored for each tenant and hands them to apps/usage/reconciliation.py, which
compares them with what was journaled, recorded, rolled up and invoiced."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date, datetime

from django.conf import settings

from apps.accounts.models import Tenant
from apps.scoring.serving.decisions import count_by_day
from apps.usage.metering.journal import Journal
from apps.usage.reconciliation import Books, DecisionsByDay, reconcile
from apps.usage.statements.reports import days_of_month
from apps.valkey import server


def reconcile_month(month: datetime, now: datetime, slug: str | None = None) -> Iterator[Books]:
    """The books of the month a moment is in, of one tenant or all."""
    tenants = Tenant.objects.filter(**({"slug": slug} if slug else {})).order_by("slug")
    journal = Journal(server(settings.REDIS_URL, max(settings.REDIS_TIMEOUT, 5.0)))
    return reconcile(journal, tenants, *days_of_month(month), _decisions, today=now.date())


_removed: list[DecisionsByDay] = []


def ask_for_removed(removed: DecisionsByDay) -> None:
    """Ask this of the decisions that were recorded and removed since: a room above this one removes them
    (config/apps.py connects them)."""
    _removed[:] = [removed]


def _decisions(tenant: Tenant, start: date, end: date) -> Mapping[date, int]:
    """Decisions by day: those stored, and those removed since."""
    counted = Counter(count_by_day(tenant.schema_name, start, end))
    for removed in _removed:
        counted.update(removed(tenant, start, end))
    return counted
