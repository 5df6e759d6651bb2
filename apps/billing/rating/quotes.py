"""A statement as JSON types, for the command, the API and the portal. Pure."""

from decimal import Decimal
from typing import Any

from apps.billing.rating.money import EXPONENTS
from apps.billing.rating.plans import Plan
from apps.billing.rating.pricing import Line, quote, totals
from apps.formats import plain
from apps.periods import Period


def quoted(plan: Plan, units: int, currency: str, period: Period, tax_percent: Decimal = Decimal(0)) -> dict[str, Any]:
    """What a whole month of a plan costs: lines and totals, amounts as decimal strings."""
    found = quote(plan, units, currency, period)
    sums = totals(found.subtotal, (), tax_percent, currency)
    return {
        "plan": plan.code,
        "units": units,
        "included": found.included,
        "currency": currency,
        "lines": [line_as_json(line) for line in found.lines],
        "subtotal": str(sums.subtotal),
        "credits": str(sums.credits),
        "tax": str(sums.tax),
        "total": str(sums.total),
        "rounding": f"half-up, once a line, to {EXPONENTS[currency]} decimals",
    }


def line_as_json(line: Line) -> dict[str, Any]:
    """One line; quantity and prices as decimal strings."""
    return {
        "component": line.component,
        "description": line.description,
        "quantity": plain(line.quantity),
        "unit_price": plain(line.unit_price),
        "amount": str(line.amount),
        "start": line.start.isoformat(),
        "end": line.end.isoformat(),
    }
