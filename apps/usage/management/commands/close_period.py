"""`manage.py close_period --month YYYY-MM [--tenant S] [--again] [--json]`: invoice a month. May run twice."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from apps.accounts.models import Tenant
from apps.billing.invoicing.invoices import NotPossible
from apps.billing.models import Invoice
from apps.billing.subscriptions import test_clock
from apps.periods import Period
from apps.usage.closing.closing import NotClosed, close_period


class Command(BaseCommand):
    """Close a month: every tenant, or one; whoever was closed before is left as it is."""

    help = "Issue the invoices of a month that is over. Harmless when repeated."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--month", required=True, help="YYYY-MM")
        parser.add_argument("--tenant", help="one tenant's slug (default: all)")
        parser.add_argument("--again", action="store_true", help="bill anew where the invoice was voided")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        tenants = Tenant.objects.on_real_time()
        if options["tenant"]:
            tenants = Tenant.objects.filter(slug=options["tenant"])
            if not tenants.exists():
                raise CommandError(f"--tenant: there is no '{options['tenant']}'")
            now = test_clock.now_for(tenants[0].pk, now)
        issued: list[Invoice] = []
        try:
            period = Period.parse(options["month"])
            issued.extend(close_period(period, tenants, now, again=options["again"]))
        except (ValueError, NotPossible) as wrong:
            raise CommandError(f"--month: {wrong}") from wrong
        except NotClosed as trouble:
            self._print(period, issued, options["json"])
            raise CommandError(str(trouble)) from trouble
        self._print(period, issued, options["json"])

    def _print(self, period: Period, issued: list[Invoice], as_json: bool) -> None:
        if as_json:
            rows = [
                {
                    "number": invoice.number,
                    "tenant": invoice.tenant.slug,
                    "status": invoice.status,
                    "units": invoice.units,
                    "total": str(invoice.money(invoice.total)),
                    "currency": invoice.currency,
                }
                for invoice in issued
            ]
            self.stdout.write(json.dumps({"month": str(period), "issued": len(issued), "invoices": rows}))
            return
        for one in issued:
            self.stdout.write(f"{one.number} {one.tenant.slug}: {one.money(one.total)} {one.currency}")
        self.stdout.write(f"{period}: {len(issued)} invoices issued.")
