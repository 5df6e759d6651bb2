"""Figures as people read them."""

from decimal import Decimal

from django.template import Library

from apps.billing.rating.money import EXPONENTS, shown
from apps.formats import amount_text
from apps.formats import plain as plain_text
from apps.portal.kinds import KINDS

register = Library()

LEAST, MOST = 0.0001, 0.9999


@register.filter
def probability(value: float) -> str:
    """Write a probability with four digits; one that would read as never or always says which side of them it is on."""
    if value < LEAST:
        return f"< {LEAST}"
    return f"> {MOST}" if value > MOST else f"{value:.4f}"


@register.filter
def money(value: Decimal | str, currency: str) -> str:
    """Write an amount we bill with its currency and the decimals that has: 1,299.00 USD."""
    return shown(Decimal(value), currency)


@register.filter
def amount(value: Decimal | str, currency: str) -> str:
    """Write an amount we bill where its currency stands elsewhere: 1,299.00."""
    return amount_text(Decimal(value), EXPONENTS[currency])


@register.filter
def plain(value: Decimal) -> str:
    """Write a number as it was told, without zeros that only its column has: 100, 0.5."""
    return plain_text(value)


@register.filter
def grouped(value: float | None, digits: int = 0) -> str:
    """Write a number in groups of three, with so many digits behind the point: 1,234,567. A tenth of the time of
    Django's `floatformat`, which pages of hundreds of numbers feel."""
    return "" if value is None else f"{value:,.{digits}f}"


@register.filter
def kind(schema: str) -> str:
    """Name a kind of transaction in the portal's words: Card payment."""
    return KINDS.get(schema, schema)
