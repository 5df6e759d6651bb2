"""Decisions that were recorded and removed since, by day: so that the books still agree with what was billed."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime

from django.db import connection

from apps.accounts.models import Tenant
from apps.offboarding.models import RemovedDay

_ADD = """
INSERT INTO public.offboarding_removedday AS known (tenant_id, day, decisions)
SELECT %s, * FROM unnest(%s::date[], %s::bigint[]) AS counted
ON CONFLICT (tenant_id, day) DO UPDATE SET decisions = known.decisions + EXCLUDED.decisions
"""


def note(tenant: Tenant, moments: Iterable[datetime]) -> None:
    """Note decisions made at these moments as removed; in the transaction that removes them."""
    counted = Counter(moment.astimezone(UTC).date() for moment in moments)
    if counted:
        days = sorted(counted)
        with connection.cursor() as cursor:
            cursor.execute(_ADD, [tenant.pk, days, [counted[day] for day in days]])


def removed_by_day(tenant: Tenant, start: date, end: date) -> Mapping[date, int]:
    """Decisions removed, by the day they were made, in [start, end)."""
    rows = RemovedDay.objects.filter(tenant=tenant, day__gte=start, day__lt=end)
    return dict(rows.values_list("day", "decisions"))
