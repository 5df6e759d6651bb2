"""`manage.py billing_clock --tenant S [--advance 40d] [--json]`: a tenant's own time, for tests of billing."""

import json
import re
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from apps.accounts.models import Tenant
from apps.billing.models import BillingClock, Invoice, Subscription
from apps.billing.rating.money import shown
from apps.formats import moment_text, month_text
from apps.usage.closing.closing import NotClosed
from apps.usage.closing.test_clock import advance, start_clock

_SPAN = re.compile(r"^(\d{1,4})([dh])$")
_UNITS = {"d": timedelta(days=1), "h": timedelta(hours=1)}


class Command(BaseCommand):
    """Start a tenant's clock, or walk it on: trials end, months close, cards fail and are tried again."""

    help = "Move a tenant's own billing time. Once started, real time leaves the tenant alone."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", required=True, help="the tenant's slug")
        parser.add_argument("--advance", default="0d", help="how far: 40d, 12h")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = Tenant.objects.filter(slug=options["tenant"]).first()
        if tenant is None:
            raise CommandError(f"--tenant: there is no '{options['tenant']}'")
        start_clock(tenant, timezone.now())
        known = set(Invoice.objects.filter(tenant=tenant).values_list("pk", flat=True))
        try:
            moments = list(advance(tenant, _span(options["advance"]), timezone.now()))
        except NotClosed as trouble:
            raise CommandError(str(trouble)) from trouble
        self._print(tenant, known, len(moments), options["json"])

    def _print(self, tenant: Tenant, known: set[int], stops: int, as_json: bool) -> None:
        now = BillingClock.objects.get(tenant=tenant).now
        subscription = Subscription.objects.filter(tenant=tenant).first()
        issued = Invoice.objects.filter(tenant=tenant).exclude(pk__in=known).order_by("pk")
        facts = {
            "tenant": tenant.slug,
            "now": now.isoformat(),
            "stops": stops,
            "plan": subscription.plan_code if subscription else "free",
            "status": subscription.status if subscription else "active",
            "invoices": [
                {"number": one.number, "period": one.period, "status": one.status, "total": str(one.money(one.total))}
                for one in issued
            ],
        }
        self.stdout.write(json.dumps(facts) if as_json else _text(tenant, now, facts, list(issued)))


def _text(tenant: Tenant, now: datetime, facts: dict[str, Any], issued: list[Invoice]) -> str:
    """Where the clock stands and what happened on the way, for people."""
    plan = str(facts["plan"]).partition("-")[0].title()
    lines = [
        f"{tenant.slug}'s clock stands at {moment_text(now)}. It is on {plan}, {facts['status'].replace('_', ' ')}."
    ]
    for invoice in issued:
        month = f" for {month_text(invoice.period)}" if invoice.period else ""
        lines.append(f"Invoice {invoice.number}{month}: {shown(invoice.total, invoice.currency)}, {invoice.status}.")
    if facts["stops"] and not issued:
        lines.append("No invoice was issued on the way.")
    return "\n".join(lines)


def _span(text: str) -> timedelta:
    found = _SPAN.match(text)
    if not found:
        raise CommandError("--advance: a number of days or hours, such as 40d or 12h")
    return int(found[1]) * _UNITS[found[2]]
