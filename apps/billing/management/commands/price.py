"""`manage.py price --plan P --units N [--currency C] [--tax PERCENT] [--json]`: what a month would cost."""

import json
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from apps.billing.rating.money import EXPONENTS
from apps.billing.rating.plans import CURRENT, DEFAULT_CURRENCY, PLANS, current
from apps.billing.rating.quotes import quoted
from apps.formats import number_text
from apps.periods import Period

#: More than anybody will use: beyond it a typing mistake is likelier.
MOST_UNITS = 10**15


class Command(BaseCommand):
    """A quote: lines and totals of one whole month. Reads nothing but the plan table."""

    help = "What a month of a plan would cost."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--plan", required=True, help=f"{', '.join(CURRENT)}, or a dated code")
        parser.add_argument("--units", required=True, type=int, help="units used in the month")
        parser.add_argument("--currency", default=DEFAULT_CURRENCY, choices=sorted(EXPONENTS))
        parser.add_argument("--tax", default="0", help="tax in percent, such as 19 or 7.7")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        value = options["plan"]
        if value not in CURRENT and value not in PLANS:
            raise CommandError(f"--plan: there is no '{value}'; choose from {', '.join((*CURRENT, *PLANS))}")
        if not 0 <= options["units"] <= MOST_UNITS:
            raise CommandError(f"--units: 0 to {MOST_UNITS:,}")
        plan = current(value) if value in CURRENT else PLANS[value]
        found = quoted(plan, options["units"], options["currency"], Period.of(timezone.now()), _percent(options["tax"]))
        self.stdout.write(json.dumps(found) if options["json"] else _as_text(found))


def _percent(text: str) -> Decimal:
    try:
        percent = Decimal(text)
    except InvalidOperation as wrong:
        raise CommandError("--tax: a percentage such as 19 or 7.7") from wrong
    if not percent.is_finite() or not 0 <= percent <= 100:
        raise CommandError("--tax: 0 to 100")
    return percent


def _as_text(found: dict[str, Any]) -> str:
    lines = [
        f"{line['description']}: {number_text(Decimal(line['quantity']))} × {line['unit_price']} = "
        f"{number_text(Decimal(line['amount']))}"
        for line in found["lines"]
    ]
    sums = [
        f"{name}: {number_text(Decimal(found[name]))} {found['currency']}"
        for name in ("subtotal", "credits", "tax", "total")
    ]
    return "\n".join([*lines, *sums])
