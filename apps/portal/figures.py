"""Figures as people read them."""

from django.template import Library

register = Library()

LEAST, MOST = 0.0001, 0.9999


@register.filter
def probability(value: float) -> str:
    """Write a probability with four digits; one that would read as never or always says which side of them it is on."""
    if value < LEAST:
        return f"< {LEAST}"
    return f"> {MOST}" if value > MOST else f"{value:.4f}"
