"""`manage.py reconcile [--month YYYY-MM] [--tenant S] [--json]`: exits 1 when a difference needs a person."""

import json
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from apps.accounts.models import Tenant
from apps.scoring.decisions import count_by_day
from apps.usage.journal import Journal
from apps.usage.reconciliation import Difference, reconcile
from apps.usage.reports import month_of
from apps.valkey import server


def reconcile_month(now: datetime, slug: str | None = None) -> list[Difference]:
    """Every difference of the month `now` is in, of one tenant or all."""
    tenants = Tenant.objects.filter(**({"slug": slug} if slug else {}))
    journal = Journal(server(settings.REDIS_URL, max(settings.REDIS_TIMEOUT, 5.0)))
    return reconcile(journal, tenants, *month_of(now), _decisions)


def _decisions(tenant: Tenant, start: date, end: date) -> Mapping[date, int]:
    return count_by_day(tenant.schema_name, start, end)


class Command(BaseCommand):
    """served = journaled = recorded = rolled up = invoiced, per tenant and day; the gate's counters are set right."""

    help = "Compare the books of a month and set the gate's counters right; exits 1 when something else differs."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--month", help="YYYY-MM (default: this month, UTC)")
        parser.add_argument("--tenant", help="one tenant's slug (default: all)")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        now = _month(options["month"]) if options["month"] else timezone.now()
        found = reconcile_month(now, options["tenant"])
        wrong = [difference for difference in found if not difference.corrected]
        if options["json"]:
            rows = [difference._asdict() for difference in found]
            self.stdout.write(json.dumps({"ok": not wrong, "differences": rows}))
        else:
            self.stdout.write("\n".join(map(_line, found)) or "The books agree.")
        if wrong:
            raise CommandError(f"{len(wrong)} differences need a person", returncode=1)


def _line(one: Difference) -> str:
    mended = ""
    if one.corrected:
        mended = " (late: on the next invoice)" if one.what == "units invoiced" else " (set right)"
    return f"{one.tenant} {one.day}: {one.what}: expected {one.expected}, found {one.found}{mended}"


def _month(said: str) -> datetime:
    try:
        return datetime.fromisoformat(f"{said}-15T00:00:00+00:00")
    except ValueError as wrong:
        raise CommandError("--month: say YYYY-MM") from wrong
