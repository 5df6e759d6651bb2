"""Filters for mails: an event's data as people write it. What can't be read stays as it is."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal, InvalidOperation
from functools import wraps

from django import template

from apps.formats import day_text, moment_text, month_text, number_text

register = template.Library()


def _or_as_it_is(write: Callable[..., str]) -> Callable[..., str]:
    @wraps(write)
    def written(value: object, *arguments: object) -> str:
        try:
            return write(str(value), *arguments)
        except (ValueError, InvalidOperation):
            return str(value)

    return written


@register.filter
@_or_as_it_is
def day(value: str) -> str:
    """2026-11-15T00:00:00Z → 15 November 2026."""
    return day_text(datetime.fromisoformat(value))


@register.filter
@_or_as_it_is
def moment(value: str) -> str:
    """2026-11-15T10:30:00Z → 15 November 2026, 10:30 UTC."""
    return moment_text(datetime.fromisoformat(value))


@register.filter
@_or_as_it_is
def month(value: str) -> str:
    """2026-11 → November 2026."""
    return month_text(value)


@register.filter
@_or_as_it_is
def number(value: str) -> str:
    """1250.50 → 1,250.50."""
    return number_text(Decimal(value))


@register.filter
@_or_as_it_is
def plan(value: str) -> str:
    """basic, basic-2026-11 → Basic."""
    return value.partition("-")[0].title()


@register.filter
@_or_as_it_is
def words(value: str) -> str:
    """insufficient_funds → insufficient funds."""
    return value.replace("_", " ")


@register.filter
@_or_as_it_is
def percent_of(value: str, limit: object) -> str:
    """250 of 100 → 250 %, in whole percent, rounded down."""
    whole = Decimal(str(limit))
    return f"{number_text(int(100 * Decimal(value) / whole))} %" if whole else value


@register.filter
def some(value: object) -> bool:
    """Tell whether an amount is anything but nothing."""
    try:
        return bool(Decimal(str(value)))
    except InvalidOperation:
        return True
